"""What is 16 bit and what is 32 (paper, appendix A), and loss scaling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

NAMES = ('auto', 'float32', 'bfloat16', 'float16')


def compute_dtype(name: str) -> jnp.dtype:
  """Returns the dtype of matrix products for a `config.precision`.

  Args:
    name: one of `NAMES`; auto is bfloat16 on GPU and TPU, float32 on CPU, where
      16-bit arithmetic is emulated and slower.
  """
  if name == 'auto':
    name = 'float32' if jax.default_backend() == 'cpu' else 'bfloat16'
  return jnp.dtype(name)


@jax.custom_vjp
def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Multiplies in the dtype of x, accumulates and returns float32.

  Plain autodiff of a product with `preferred_element_type` feeds float32
  cotangents to the backward products; this rule rounds them to x's dtype, so
  that all three products run on 16-bit inputs.

  Args:
    x: [batch, in], float32, bfloat16 or float16.
    kernel: [in, out] float32, rounded to x's dtype.

  Returns:
    [batch, out] float32. Gradients have the dtypes of `x` and `kernel`.
  """
  return _dot(x, kernel.astype(x.dtype))


def _matmul_fwd(
  x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return matmul(x, kernel), (x, kernel)


def _matmul_bwd(
  residuals: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
  x, kernel = residuals
  dy = dy.astype(x.dtype)
  dx = _dot(dy, kernel.astype(x.dtype).T).astype(x.dtype)
  xt = x.T
  if jax.default_backend() == 'cpu':
    # XLA's CPU product with a transposed left side runs at half speed; a
    # transpose in memory costs far less.
    xt = lax.optimization_barrier(xt)
  return dx, _dot(xt, dy).astype(kernel.dtype)


matmul.defvjp(_matmul_fwd, _matmul_bwd)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
  # HIGHEST keeps float32 products from being done in TF32 or bfloat16; 16-bit
  # inputs have one way only.
  precision = lax.Precision.HIGHEST if a.dtype == jnp.float32 else None
  return jnp.matmul(
    a, b, precision=precision, preferred_element_type=jnp.float32
  )


class LossScale(NamedTuple):
  """Dynamic loss scaling for float16 (Micikevicius et al., ICLR 2018)."""

  scale: jax.Array  # shape=(), float32: what the loss is multiplied by
  good_steps: jax.Array  # shape=(), int32: finite steps since the last change


INITIAL_SCALE = 2.0**15
MIN_SCALE = 2.0**-14
GROWTH_INTERVAL = 2000  # finite steps after which the scale doubles


def init_loss_scale() -> LossScale:
  """Returns the scale at the start of a float16 run."""
  return LossScale(jnp.float32(INITIAL_SCALE), jnp.int32(0))


def adjust(loss_scale: LossScale, finite: jax.Array) -> LossScale:
  """Halves the scale after an overflow, doubles it after a long calm.

  Args:
    loss_scale: the scale that the step used.
    finite: shape=(), bool: whether all gradients were finite.
  """
  scale, good_steps = loss_scale
  grow = finite & (good_steps + 1 >= GROWTH_INTERVAL)
  grown = jnp.minimum(scale * 2.0, 2.0**24)
  scale = jnp.where(
    finite,
    jnp.where(grow, grown, scale),
    jnp.maximum(scale / 2.0, MIN_SCALE),
  )
  return LossScale(scale, jnp.where(finite & ~grow, good_steps + 1, 0))


def all_finite(tree: object) -> jax.Array:
  """Returns whether every element of every leaf is finite, shape=(), bool."""
  leaves = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
  return jnp.all(jnp.stack(leaves))
