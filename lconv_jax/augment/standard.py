"""Random horizontal flip, and random crop of the padded image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, Key, UInt8

PADDING = 4  # black pixels on every side


def flip_crop(
  key: Key[Array, ''],
  images: UInt8[Array, 'b h w c'],
  index: Integer[Array, ' b'],
) -> UInt8[Array, 'b h w c']:
  """Flips half of the images, then shifts each by up to 4 pixels.

  Args:
    key: of the step.
    images: a batch.
    index: of each image in the data set. What happens to an image depends on
      the key and on its index only, not on its place in the batch.

  Returns:
    The images; what comes from outside is black.
  """
  _, height, width, _ = images.shape
  keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
  bits = jax.vmap(lambda k: jax.random.bits(k, (3,)))(keys)
  span = jnp.uint32(2 * PADDING + 1)
  shift = (bits[:, :2] % span).astype(jnp.int32) - PADDING
  flip = (bits[:, 2] >> 31).astype(bool)

  rows = jnp.arange(height) + shift[:, :1]  # source of each row, [b, h]
  columns = jnp.arange(width) + shift[:, 1:]
  inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None]
  columns = jnp.where(flip[:, None], width - 1 - columns, columns)
  batch = jnp.arange(len(images))[:, None, None]
  moved = images.at[batch, rows[:, :, None], columns[:, None]].get(mode='clip')
  return jnp.where(inside[..., None], moved, 0)


def _inside(i: Array, size: int) -> Array:
  return (i >= 0) & (i < size)
