"""Crop, flip and cutout, as everybody does them on CIFAR-10."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, UInt8


def crop_flip(
  images: UInt8[Array, 'b h w c'],
  shift: Integer[Array, 'b 2'],
  flip: Bool[Array, ' b'],
) -> UInt8[Array, 'b h w c']:
  """Moves images, black pixels coming in, then mirrors some left to right.

  Args:
    images: a batch.
    shift: rows up and columns to the left. Padding by p pixels and cropping at
      (y, x) of the padded image shifts by (y - p, x - p).
    flip: which images to mirror.
  """
  batch, height, width, _ = images.shape
  x = jnp.arange(width)
  x = jnp.where(flip[:, None], width - 1 - x, x)
  rows = jnp.arange(height) + shift[:, :1]  # source of each row, [b, h]
  columns = x + shift[:, 1:]
  inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None]
  rows, columns = rows[:, :, None], columns[:, None]
  moved = images.at[jnp.arange(batch)[:, None, None], rows, columns].get(
    mode='clip'
  )
  return jnp.where(inside[..., None], moved, 0)


def erase(
  x: Float[Array, 'b h w c'], centre: Integer[Array, 'b 2'], size: int
) -> Float[Array, 'b h w c']:
  """Sets a square of each image to zero (DeVries & Taylor 2017).

  Args:
    x: normalised images, whose mean is zero.
    centre: row and column; what of the square lies outside is clipped.
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
