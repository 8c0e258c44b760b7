"""Whole training steps against the same net on `nn.ConvLocal` and `nn.Conv`.

  python -m benchmarks.step --out benchmarks/results/step.json

Ours are steps as training runs them, several in one compiled loop. The peer is
the same net in plain Flax and optax, one jitted step after the other: on
`nn.ConvLocal` for LOCAL, on `nn.Conv` for CONV. All train on one batch without
augmentation, by SGD with momentum and weight decay. Before anything is timed,
both must have come to the same loss after a few steps.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from benchmarks import interleave, layer
from benchmarks.peers import flax_net
from configs import base
from lconv_jax import augment, models
from lconv_jax.train import optim, parallel, precision
from lconv_jax.train import step as program

CASES = {
  's_conv': 32,
  's_local': 32,
  'd_conv': 15,
  'd_local': 15,
}  # name -> α
STEPS = 1000  # over which the learning rate anneals
_CALL = 3  # steps of one timed call
# Of the loss after `_CALL` steps: their paths part slowly.
_TOLERANCE = {'float32': 2e-3, 'bfloat16': 0.1, 'float16': 0.1}


def config(name: str, alpha: int) -> ml_collections.ConfigDict:
  """Returns the paper's setting of a net with another α, by SGD."""
  c = base.base()
  c.model.update({'name': name, 'base_channels': alpha})
  base.momentum(c)
  return c


def ours(
  c: ml_collections.ConfigDict,
  data: program.Data,
  dtype: jnp.dtype,
  pipeline: augment.Pipeline,
) -> tuple[Callable[[int], float], program.TrainState]:
  """Returns steps as training runs them, on one batch, and their beginning.

  Args:
    c: the net and its optimiser.
    data: the batch; an epoch is one step.
    dtype: of matrix products.
    pipeline: augments.

  Returns:
    What takes some steps and gives the loss of the last one; the state before
    the first.
  """
  batch = len(data.labels)
  what = c.model, data.images.shape[1:], 10
  net = models.build(*what, dtype, parallel.AXIS)
  convolutional = models.describe(*what).convolutional
  p = program.Program(
    model=models.as_functions(net),
    structure=optim.Structure.from_config(c, STEPS, convolutional),
    dtype=dtype,
    augment=pipeline,
    num_train=batch,
    batch_size=batch,
    num_devices=1,
  )
  hyper = parallel.replicate(optim.Hyper.from_config(c))
  on_device = parallel.replicate(data)
  chunk = parallel.pmap(p.train_chunk, donate_argnums=(0,))
  state = parallel.pmap(p.init)(hyper, on_device.images)
  start = parallel.unreplicate(state)
  taken = 0

  def train(count: int) -> float:
    nonlocal state, taken
    taken += count
    stop = parallel.replicate(np.int32(taken))
    state = chunk(state, hyper, on_device, stop)
    return float(parallel.unreplicate(state.totals.loss)) / batch

  return train, start


def candidates(
  name: str, alpha: int, batch: int, dtype: jnp.dtype
) -> dict[str, Callable[[int], float]]:
  """Returns what takes steps and gives the loss of the last one, by name."""
  c = config(name, alpha)
  rng = np.random.default_rng(0)
  data = program.Data(
    rng.integers(0, 256, (batch, 32, 32, 3), np.uint8),
    rng.integers(0, 10, batch, np.int32),
    np.float32([0.5] * 3),
    np.float32([0.25] * 3),
  )
  train, start = ours(c, data, dtype, augment.Pipeline())
  net = models.build(c.model, (32, 32, 3), 10, dtype, parallel.AXIS)
  x = (np.float32(data.images) / 255 - data.mean) / data.std
  learn = flax_net.learner(net, start.params, start.batch_stats, c.optim, STEPS)
  batch = jnp.asarray(x), jnp.asarray(data.labels)
  return {'ours': train, 'flax': repeat(learn, batch)}


def repeat(
  learn: Callable[..., tuple[Any, Any]], batch: tuple[Any, Any]
) -> Callable[[int], float]:
  """Returns what takes steps on one batch and gives the loss of the last one.

  Args:
    learn: a peer's step, (x, labels) -> loss, number of right answers.
    batch: x and labels.
  """

  def train(count: int) -> float:
    for _ in range(count):
      loss, _ = learn(*batch)
    return float(loss)

  return train


def check(
  name: str, candidates: Mapping[str, Callable[[int], float]], dtype: jnp.dtype
) -> None:
  """Raises a WrongResultError if losses differ after some steps."""
  losses = {who: train(_CALL) for who, train in candidates.items()}
  found = list(losses.values())
  if not np.allclose(found, losses['ours'], rtol=_TOLERANCE[dtype.name]):
    raise layer.WrongResultError(
      f'The losses of {name} differ after {_CALL} steps ({losses}); it is not '
      'measured.'
    )


def measure(
  name: str, alpha: int, batch: int, dtype: jnp.dtype, rounds: int
) -> list[dict[str, Any]]:
  """Checks that ours and the peer train alike, and measures them.

  Raises:
    WrongResultError: the losses differ.
  """
  found = candidates(name, alpha, batch, dtype)
  check(name, found, dtype)
  calls = {
    who: lambda train=train: train(_CALL) for who, train in found.items()
  }
  timings = interleave.measure(calls, rounds, seconds=20.0)
  timings = {who: t.divided_by(_CALL) for who, t in timings.items()}
  return interleave.rows(
    timings, ('ours',), net=name, alpha=alpha, batch=batch, dtype=dtype.name
  )


def show(rows: Sequence[Mapping[str, Any]]) -> None:
  """Prints times and ratios."""
  print('Median of one training step in ms (over ours):')
  labels = ('net', 'alpha', 'batch', 'dtype')
  print(interleave.table(rows, labels, interleave.milliseconds('ours')))


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints a table and writes it.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = interleave.parser('benchmarks.step', __doc__)
  parser.add_argument('--nets', nargs='+', choices=CASES, default=list(CASES))
  parser.add_argument('--alpha', type=int, help="instead of each net's own")
  parser.add_argument('--batch', type=int, default=512)
  parser.add_argument('--precision', choices=precision.NAMES, default='float32')
  parser.add_argument('--rounds', type=int, default=9)
  args = parser.parse_args(argv)
  if jax.local_device_count() > 1:
    parser.error('one device is measured; hide the others.')
  rows = []
  for name in args.nets:
    print(f'{name} ...', file=sys.stderr)
    dtype = precision.compute_dtype(args.precision)
    alpha = args.alpha or CASES[name]
    rows += measure(name, alpha, args.batch, dtype, args.rounds)
  if args.out:
    interleave.write(args.out, rows)
  show(rows)


if __name__ == '__main__':
  main()
