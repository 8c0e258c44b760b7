"""Where Pillow's affine transformations look, in its fixed-point numbers.

A matrix is int32 [6], (a, b, c, d, e, f): pixel (x, y) of the result is pixel
(a x + b y + c, d x + e y + f) of the image, in units of 2^-16 pixel.

They come from float64. In float32, three in two thousand rotations move pixels.
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
    width: likewise.
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
  elif name in ('TranslateX', 'TranslateY'):
    # Without shear or rotation, Pillow moves by whole pixels.
    pixels = xp.clip(xp.floor(v + 0.5), -_FAR, _FAR)
    linear = one, zero, zero, one
    offset = (pixels, zero) if name == 'TranslateX' else (zero, pixels)
  else:
    linear, offset = _rotation(v, height, width, xp)
  (a, b, d, e), (c, f) = linear, offset
  # Pillow looks at the centres of pixels.
  c, f = c + a * 0.5 + b * 0.5, f + d * 0.5 + e * 0.5
  fixed = xp.floor(xp.stack([a, b, c, d, e, f], -1) * 65536 + 0.5)
  return fixed.astype(xp.int32)


def _rotation(v: Any, height: int, width: int, xp: ModuleType) -> Any:
  """As `PIL.Image.rotate`: about the centre, sines rounded to 15 digits."""
  angle = -xp.radians(v % 360)
  cos, sin = (xp.round(f(angle) * 1e15) / 1e15 for f in (xp.cos, xp.sin))
  x, y = width / 2, height / 2
  offset = cos * -x + sin * -y + x, -sin * -x + cos * -y + y
  return (cos, sin, -sin, cos), offset
