"""Pillow's operations on a batch, by name."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, UInt8

from lconv_jax import errors
from lconv_jax.augment import affine, ops


class Settings(NamedTuple):
  """Settings of an operation, which reads at most one of the fields."""

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

# Branches of `lax.switch`, one for all affine operations.
BRANCHES: dict[str, Op] = {
  'Identity': lambda image, s: image,
  'Affine': lambda image, s: ops.transform(image, s.matrix),
  **_OTHERS,
}

OPS = (*affine.NAMES, *_OTHERS)


def branch(name: str) -> str:
  """Returns the name of the branch that does an operation of `OPS`."""
  return 'Affine' if name in affine.NAMES else name


def apply_op(
  name: str,
  images: UInt8[Array, 'b h w 3'],
  magnitude: Float[Array, ' b'] | Float[Array, ''] | float,
  centre: Float[Array, 'b 2'] | None = None,
) -> UInt8[Array, 'b h w 3']:
  """Applies one of Pillow's operations to a batch, bit-identical to Pillow.

  Args:
    name: one of `OPS`.
    images: RGB, at most 256 x 256.
    magnitude: float32, in Pillow's own terms. Shear: source pixels per pixel,
      up to 64; Translate: pixels; Rotate: degrees, counter-clockwise; Solarize:
      threshold; Posterize: bits, 1 to 8, truncated; Contrast, Color,
      Brightness, Sharpness: factor, 1 changes nothing; Cutout: pixels. The
      others ignore it. A single number holds for all images.
    centre: float32, x and y in pixels, which only Cutout needs.

  Returns:
    The transformed images; nothing is random.

  Raises:
    UsageError: the operation does not exist.
    ValueError: the images have another shape or dtype, or Cutout has no centre.
  """
  if name not in OPS:
    raise errors.unknown('operation', name, OPS)
  check_images(images)
  if name == 'Cutout' and centre is None:
    raise ValueError('Cutout needs centre, [B, 2] in pixels.')
  magnitude = jnp.broadcast_to(jnp.asarray(magnitude, jnp.float32), len(images))
  return _apply(name, images, magnitude, centre)


def check_images(images: Array) -> None:
  """Raises a ValueError for images whose results would be silently wrong."""
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
  """Returns the box of `CutoutAbs` in Lim et al.'s code, in whole pixels."""
  first = jnp.floor(jnp.maximum(0, centre - v[:, None] / 2))
  last = jnp.minimum(jnp.array([width, height]), first + v[:, None])
  last = jnp.where(v[:, None] > 0, last, -1)
  return jnp.concatenate([first, last], axis=1).astype(jnp.int32)
