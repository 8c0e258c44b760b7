"""Crop, flip and cutout, as is usual on CIFAR-10."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer, UInt8


def crop_flip(
  images: UInt8[Array, 'b h w c'],
  corner: Integer[Array, 'b 2'],
  flip: Bool[Array, ' b'],
  padding: int,
) -> UInt8[Array, 'b h w c']:
  """Pads with black, crops to the old size, and mirrors some left to right.

  Signals, which are images of height 1, are padded and cropped along their
  length alone.

  Args:
    images: a batch.
    corner: row and column of the crop in the padded image, 0 to 2 `padding`.
    flip: which images to mirror.
    padding: pixels on every side.
  """
  # Mirroring first, and cropping from the other end, leaves the copying of
  # whole rows for last, which compilers then do not repeat for each use.
  images = jnp.where(flip[:, None, None, None], images[:, :, ::-1], images)
  row, column = corner.T
  column = jnp.where(flip, 2 * padding - column, column)
  border = (padding, padding)
  above = border if images.shape[1] > 1 else (0, 0)  # the slice clips `row`
  padded = jnp.pad(images, ((0, 0), above, border, (0, 0)))
  crop = jax.vmap(lambda x, *at: lax.dynamic_slice(x, at, images.shape[1:]))
  return crop(padded, row, column, jnp.zeros_like(row))


def erase(
  x: Float[Array, 'b h w c'], centre: Integer[Array, 'b 2'], size: int
) -> Float[Array, 'b h w c']:
  """Sets a square of each image to zero (DeVries & Taylor 2017).

  Args:
    x: normalised images, whose mean is zero.
    centre: row and column; the square is clipped at the image's borders.
    size: pixels; the square goes from centre - size // 2 to
      centre + size // 2 - 1, so that an odd size counts as one less.
  """
  _, height, width, _ = x.shape
  half = size // 2
  rows = jnp.arange(height) - centre[:, :1] + half
  columns = jnp.arange(width) - centre[:, 1:] + half
  rows, columns = _inside(rows, 2 * half), _inside(columns, 2 * half)
  inside = rows[:, :, None] & columns[:, None]
  return jnp.where(inside[..., None], 0, x)


def _inside(i: Array, size: int) -> Array:
  return (i >= 0) & (i < size)
