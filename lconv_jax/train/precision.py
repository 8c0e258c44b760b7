"""Dtype of matrix products (paper, appendix A), and loss scaling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

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
  """Halves the scale after an overflow, and doubles it after many good steps.

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
