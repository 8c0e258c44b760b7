"""Different operations for the images of a batch."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Integer, UInt8

from lconv_jax.augment.apply import BRANCHES, Op, Settings

METHODS = ('loop', 'select')
_OPS = tuple(BRANCHES.values())


def switch(
  images: UInt8[Array, 'b h w 3'],
  branch: Integer[Array, ' b'],
  settings: Settings,
  method: str | None = None,
) -> UInt8[Array, 'b h w 3']:
  """Applies to each image the operation that `branch` names.

  Args:
    images: a batch.
    branch: indices into `BRANCHES`.
    settings: with a leading axis of the batch.
    method: `loop` goes through the operations, and for each through the images
      that need it; `select` computes all operations of all images. None: `loop`
      on CPU and `select` on accelerators.
  """
  if method is None:
    method = 'loop' if jax.default_backend() == 'cpu' else 'select'
  fn = {'loop': _loop, 'select': _select}[method]
  return fn(images, branch, settings)


def _select(images: Array, branch: Array, settings: Settings) -> Array:
  return jax.vmap(lambda image, b, s: lax.switch(b, _OPS, image, s))(
    images, branch, settings
  )


# Jitted so that the steps of a policy are traced once; sequential under vmap,
# as loops of unequal lengths would carry every image along.
@jax.jit
@jax.custom_batching.sequential_vmap
def _loop(images: Array, branch: Array, settings: Settings) -> Array:
  if not len(images):
    return images
  order = jnp.argsort(branch)
  start = jnp.searchsorted(branch[order], jnp.arange(len(_OPS) + 1))
  for k, op in enumerate(_OPS[1:], 1):  # Identity changes nothing

    def body(i: Array, images: Array, op: Op = op) -> Array:
      j = order[i]
      image = op(images[j], jax.tree.map(lambda s: s[j], settings))
      return images.at[j].set(image)

    images = lax.fori_loop(start[k], start[k + 1], body, images)
  return images
