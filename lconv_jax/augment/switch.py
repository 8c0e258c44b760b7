"""Another operation for every image of a batch."""

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
    method: `loop` takes the images that need an operation one by one, for each
      operation in turn; `select` computes every operation of every image, and
      selects. By default, `loop` on CPU and `select` on accelerators.
  """
  if method is None:
    method = 'loop' if jax.default_backend() == 'cpu' else 'select'
  fn = {'loop': _loop, 'select': _select}[method]
  return fn(images, branch, settings)


def _select(images: Array, branch: Array, settings: Settings) -> Array:
  return jax.vmap(lambda image, b, s: lax.switch(b, _OPS, image, s))(
    images, branch, settings
  )


# Jitted, so that all steps of a policy are traced once. A batch of loops of
# unequal lengths would drag every image along.
@jax.jit
@jax.custom_batching.sequential_vmap
def _loop(images: Array, branch: Array, settings: Settings) -> Array:
  if not len(images):
    return images
  order = jnp.argsort(branch)
  start = jnp.searchsorted(branch[order], jnp.arange(len(_OPS) + 1))
  for k, op in enumerate(_OPS[1:], 1):  # Identity leaves them as they are

    def body(i: Array, images: Array, op: Op = op) -> Array:
      j = order[i]
      image = op(images[j], jax.tree.map(lambda s: s[j], settings))
      return images.at[j].set(image)

    images = lax.fori_loop(start[k], start[k + 1], body, images)
  return images
