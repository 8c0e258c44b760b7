"""What share of XLA's own peak a training step of S-FC reaches.

The peak is that of a chain of large square products. The step is measured
without augmentation, and only its products are counted: three for each layer
(value, gradients of kernel and of input), two for the first one, whose input
needs no gradient.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from benchmarks import interleave, step
from lconv_jax import augment, models
from lconv_jax.train import step as program

_SIZE = 2048  # rows and columns of the square matrices
_CALL = 4  # steps or products of one timed call, one after the other


def measure(
  data: program.Data, alpha: int, dtype: jnp.dtype, rounds: int
) -> list[dict[str, Any]]:
  """Measures steps of S-FC and products in turn.

  Args:
    data: a batch.
    alpha: of S-FC.
    dtype: of the products.
    rounds: how often, see `interleave.measure`.
  """
  c = step.config('s_fc', alpha)
  train, start = step.ours(c, data, dtype, augment.Pipeline())
  flop = {
    'products': _CALL * 2 * _SIZE**3,
    'step': _CALL * step_flop(start.params, len(data.labels)),
  }
  calls = {'products': products(dtype), 'step': lambda: train(_CALL)}
  for call in calls.values():
    call()  # to compile
  timings = interleave.measure(calls, rounds, seconds=20.0)
  peak = flop['products'] / timings['products'].median_s
  rows = interleave.rows(
    {who: t.divided_by(_CALL) for who, t in timings.items()},
    ('products',),
    table='peak',
    alpha=alpha,
    batch=len(data.labels),
    dtype=dtype.name,
  )
  for row in rows:
    who = row['candidate']
    row['flop_per_s'] = flop[who] / timings[who].median_s
    row['share_of_peak'] = row['flop_per_s'] / peak
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


def show(rows: Sequence[Mapping[str, Any]]) -> None:
  """Prints rates and shares."""
  print(f'GFLOP/s (share of the peak of {_SIZE}³ products), step of S-FC:')
  print(
    interleave.table(
      rows,
      ('alpha', 'batch', 'dtype'),
      lambda row: f'{row["flop_per_s"] / 1e9:.0f} ({row["share_of_peak"]:.0%})',
    )
  )
