"""Share of XLA's own peak that a training step of S-FC reaches.

The peak is that of a chain of large square products. The step is timed without
augmentation, and only its products are counted: three for each layer (value,
gradients of kernel and of input), two for the first one, whose input needs no
gradient.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import PyTree

from benchmarks import interleave, step
from lconv_jax import models
from lconv_jax.train import parallel

_SIZE = 2048  # rows and columns of the square matrices
_CALL = 4  # steps or products of one timed call, one after the other


def measure(c: ml_collections.ConfigDict, rounds: int) -> list[interleave.Row]:
  """Times steps of S-FC and products in turn.

  Args:
    c: `step.config` of S-FC.
    rounds: see `interleave.measure`.
  """
  train, t = step.ours(c)
  dtype, params = t.setup.program.dtype, parallel.unreplicate(t.state.params)
  calls = {'products': products(dtype), 'step': lambda: train(_CALL)}
  for call in calls.values():
    call()  # compiles
  labels = {'table': 'peak', **step.labels(c, dtype)}
  rows = interleave.compare(calls, rounds, ['products'], labels, 20.0, _CALL)
  flop = 2 * _SIZE**3, step_flop(params, c.train.batch_size)
  for row, count in zip(rows, flop, strict=True):
    row['flop_per_s'] = count / row['median_s']
    row['share_of_peak'] = row['flop_per_s'] / rows[0]['flop_per_s']
  return rows


def step_flop(params: PyTree, batch: int) -> int:
  """Returns the operations of a step's products in a fully connected net."""
  first, *others = (k.size for k in models.kernels(params).values())
  return 2 * batch * (2 * first + 3 * sum(others))


def products(dtype: jnp.dtype) -> Callable[[], jax.Array]:
  """Returns a chain of square products, each of the one before."""
  rng = np.random.default_rng(0)
  a = rng.standard_normal((_SIZE, _SIZE), np.float32) / np.sqrt(_SIZE)
  a = jnp.asarray(a, dtype)

  @jax.jit
  def chain(a: jax.Array) -> jax.Array:
    x = a
    for _ in range(_CALL):
      x = jnp.matmul(x, a, precision=jax.lax.Precision.HIGHEST)
    return x

  return lambda: chain(a).block_until_ready()


def show(rows: Sequence[interleave.Row]) -> None:
  """Prints rates and shares."""
  interleave.show(
    f'GFLOP/s (share of the peak of {_SIZE}³ products), step of S-FC:',
    rows,
    ('alpha', 'batch', 'dtype'),
    lambda row: f'{row["flop_per_s"] / 1e9:.0f} ({row["share_of_peak"]:.0%})',
  )
