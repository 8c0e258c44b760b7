"""Matrices of Pillow's affine transformations, in its fixed-point numbers.

A matrix is int32 [6], (a, b, c, d, e, f): pixel (x, y) of the result is pixel
(a x + b y + c, d x + e y + f) of the image, in units of 2^-16 pixel. Matrices
are computed in float64, as in float32 three of two thousand rotations would
move pixels.
"""

from types import ModuleType
from typing import Any

import numpy as np

NAMES = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate')

_FAR = 1 << 14  # pixels; more than any image, and safe in int32


def matrix(
  name: str, magnitude: Any, height: int, width: int, xp: ModuleType = np
) -> Any:
  """Returns the matrix by which Pillow transforms an image.

  Args:
    name: one of `NAMES`.
    magnitude: float64 [...]; the shear, pixels or degrees.
    height: of the image, at most 256 pixels.
    width: of the image, at most 256 pixels.
    xp: `numpy`, or `jax.numpy` where float64 is enabled.

  Returns:
    int32 [..., 6].
  """
  v = xp.asarray(magnitude, xp.float64)
  one, zero = xp.ones_like(v), xp.zeros_like(v)
  if name == 'ShearX':
    linear = one, v, zero, one
    offset = zero, zero
  elif name == 'ShearY':
    linear = one, zero, v, one
    offset = zero, zero
  elif name == 'TranslateX':
    a, c = _translation(v, width, xp)
    linear, offset = (a, zero, zero, one), (c, zero)
  elif name == 'TranslateY':
    e, f = _translation(v, height, xp)
    linear, offset = (one, zero, zero, e), (zero, f)
  else:
    linear, offset = _rotation(v, height, width, xp)
  (a, b, d, e), (c, f) = linear, offset
  # Pillow takes the centres of pixels.
  c, f = c + a * 0.5 + b * 0.5, f + d * 0.5 + e * 0.5
  fixed = xp.floor(xp.stack([a, b, c, d, e, f], -1) * 65536 + 0.5)
  return fixed.astype(xp.int32)


def _translation(v: Any, size: int, xp: ModuleType) -> Any:
  """Returns scale and offset of a translation.

  Pillow moves by whole pixels, and goes from one to the next by adding 1.0 in
  float64. If v is within a rounding of a half, this may skip a pixel, once. A
  scale of 1 + 2^-16 skips it at the same place.
  """
  v = xp.clip(v, -_FAR, _FAR)
  if xp is not np:  # float32 magnitudes are never so near a half
    return xp.ones_like(v), xp.floor(v + 0.5)
  steps = np.ones((*v.shape, size))
  steps[..., 0] = v + 0.5
  source = np.floor(np.cumsum(steps, -1))
  first = source[..., 0]
  skipped = source - first[..., None] > np.arange(size)
  scale = np.where(skipped.any(-1), 1 + 2.0**-16, 1.0)
  at = skipped.argmax(-1)
  return scale, first + np.where(scale > 1, 1 - at / 65536 - scale / 2, 0)


def _rotation(v: Any, height: int, width: int, xp: ModuleType) -> Any:
  """Returns scales and offset of `PIL.Image.rotate`, about the centre."""
  angle = -xp.radians(v % 360)
  cos, sin = xp.cos(angle), xp.sin(angle)
  x, y = width / 2, height / 2
  offset = cos * -x + sin * -y + x, -sin * -x + cos * -y + y
  return (cos, sin, -sin, cos), offset
