"""One of Pillow's operations on a batch, by name."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, UInt8

from lconv_jax import errors
from lconv_jax.augment import affine, ops


class Settings(NamedTuple):
  """What operations need besides the image; each reads at most one of them."""

  matrix: Integer[Array, '... 6']  # of the affine ones, see affine.py
  amount: Float[Array, '...']  # float32: factor, threshold or bits
  box: Integer[Array, '... 4']  # of Cutout, see ops.cutout


Op = Callable[[ops.Image, Settings], ops.Image]

_OTHERS: dict[str, Op] = {
  'AutoContrast': lambda image, s: ops.auto_contrast(image),
  'Invert': lambda image, s: ops.invert(image),
  'Equalize': lambda image, s: ops.equalize(image),
  'Solarize': lambda image, s: ops.solarize(image, s.amount),
  'Posterize': lambda image, s: ops.posterize(image, s.amount),
  'Contrast': lambda image, s: ops.contrast(image, s.amount),
  'Color': lambda image, s: ops.color(image, s.amount),
  'Brightness': lambda image, s: ops.brightness(image, s.amount),
  'Sharpness': lambda image, s: ops.sharpness(image, s.amount),
  'Cutout': lambda image, s: ops.cutout(image, s.box),
}

# What `lax.switch` chooses from: the affine operations are one of them.
BRANCHES: dict[str, Op] = {
  'Identity': lambda image, s: image,
  'Affine': lambda image, s: ops.transform(image, s.matrix),
  **_OTHERS,
}

OPS = (*affine.NAMES, *_OTHERS)


def branch(name: str) -> str:
  """Returns which of `BRANCHES` does the operation `name` of `OPS`."""
  return 'Affine' if name in affine.NAMES else name


def apply_op(
  name: str,
  images: UInt8[Array, 'b h w 3'],
  magnitude: Float[Array, ' b'] | Float[Array, ''] | float,
  centre: Float[Array, 'b 2'] | None = None,
) -> UInt8[Array, 'b h w 3']:
  """Applies one of Pillow's operations to a batch, to the bit.

  Args:
    name: one of `OPS`.
    images: RGB, at most 256 x 256.
    magnitude: float32, in Pillow's own terms. Shear: source pixels per pixel,
      up to 64; Translate: pixels; Rotate: degrees, counter-clockwise; Solarize:
      threshold; Posterize: bits, 1 to 8, truncated; Contrast, Color,
      Brightness, Sharpness: factor, 1 changes nothing; Cutout: pixels. The
      others ignore it. A number serves for all images.
    centre: float32, x and y in pixels; of Cutout, which needs it.

  Returns:
    The images. Nothing is random.

  Raises:
    UsageError: there is no such operation.
    ValueError: the images are no such images, or Cutout has no centre.
  """
  if name not in OPS:
    raise errors.unknown('operation', name, OPS)
  check_images(images)
  if name == 'Cutout' and centre is None:
    raise ValueError('Cutout needs centre, [B, 2] in pixels.')
  magnitude = jnp.broadcast_to(jnp.asarray(magnitude, jnp.float32), len(images))
  return _apply(name, images, magnitude, centre)


def check_images(images: Array) -> None:
  """Raises a ValueError where operations would be wrong without a word."""
  shape, dtype = images.shape, images.dtype
  if dtype != jnp.uint8 or len(shape) != 4 or shape[-1] != 3:
    raise ValueError(
      f'images are {dtype}{list(shape)}, but must be uint8 [B, H, W, 3].'
    )
  if max(shape[1:3]) > 256:
    raise ValueError(f'{shape[1]} x {shape[2]} pixels; at most 256 x 256.')


@jax.jit(static_argnames='name')
def _apply(
  name: str,
  images: UInt8[Array, 'b h w 3'],
  magnitude: Float[Array, ' b'],
  centre: Float[Array, 'b 2'] | None,
) -> UInt8[Array, 'b h w 3']:
  batch, height, width, _ = images.shape
  matrix = jnp.zeros((batch, 6), jnp.int32)
  box = jnp.zeros((batch, 4), jnp.int32)
  with jax.enable_x64(True):  # Pillow computes these in float64
    if name in affine.NAMES:
      matrix = affine.matrix(name, magnitude, height, width, jnp)
    if name == 'Cutout':
      centre, v = (a.astype(jnp.float64) for a in (centre, magnitude))
      box = _box(v, centre, height, width)
  settings = Settings(matrix, magnitude, box)
  return jax.vmap(BRANCHES[branch(name)])(images, settings)


def _box(v: Array, centre: Array, height: int, width: int) -> Array:
  """As `CutoutAbs` of Lim et al.'s code; Pillow truncates the corners."""
  first = jnp.floor(jnp.maximum(0, centre - v[:, None] / 2))
  last = jnp.minimum(jnp.array([width, height]), first + v[:, None])
  last = jnp.where(v[:, None] > 0, last, -1)
  return jnp.concatenate([first, last], axis=1).astype(jnp.int32)
