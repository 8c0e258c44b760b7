"""Whole training steps against the same net on `nn.ConvLocal` and `nn.Conv`.

  python -m benchmarks.step --out benchmarks/results/step.json

Ours are steps as training runs them, several in one compiled loop. The peer is
the same net in plain Flax and optax, one jitted step after the other: LOCAL on
`nn.ConvLocal`, CONV on `nn.Conv`. Both train on one batch without augmentation,
by SGD with momentum and weight decay, and must have come to the same loss after
a few steps before anything is timed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from benchmarks import interleave, pictures
from benchmarks.peers import flax_net
from configs import base
from lconv_jax import models
from lconv_jax.train import parallel, precision, trainer
from lconv_jax.train import step as program

CASES = {
  's_conv': 32,
  's_local': 32,
  'd_conv': 15,
  'd_local': 15,
}  # name -> α
STEPS = 1000  # over which the learning rate anneals
_CALL = 3  # steps of one timed call
# Of the loss after `_CALL` steps: the paths of correct nets part slowly.
_TOLERANCE = {'float32': 2e-3, 'bfloat16': 0.1, 'float16': 0.1}

Train = Callable[[int], float]  # takes some steps, returns the last one's loss
# (x, labels) -> loss, number of right answers
Learn = Callable[[Any, Any], tuple[Any, Any]]


def config(
  name: str, alpha: int, batch: int, dtype: str = 'float32'
) -> ml_collections.ConfigDict:
  """Returns SGD on one batch: an epoch is one step, without augmentation."""
  c = base.base()
  base.momentum(c)
  c.model.update({'name': name, 'base_channels': alpha})
  c.data.augment = 'none'
  c.train.update({'batch_size': batch, 'epochs': STEPS})
  c.precision = dtype
  return c


def ours(c: ml_collections.ConfigDict) -> tuple[Train, trainer.Trainer]:
  """Returns steps as training runs them, and the trainer that takes them."""
  batch, taken = c.train.batch_size, 0
  t = trainer.Trainer(trainer.setup(c, pictures.dataset(batch)))

  def train(count: int) -> float:
    nonlocal taken
    taken += count
    return float(t.train_until(taken)[0].loss) / batch

  return train, t


def peer_in_flax(c: ml_collections.ConfigDict, t: trainer.Trainer) -> Learn:
  """Returns steps of the same net in Flax, from the net that `t` has now."""
  start = parallel.unreplicate(t.net())
  dtype = t.setup.program.dtype
  return flax_net.learner(
    net(c, dtype), start['params'], start['batch_stats'], c.optim, STEPS
  )


def net(c: ml_collections.ConfigDict, dtype: Any) -> models.Net:
  """Returns the net of a config."""
  return models.build(c.model, pictures.SHAPE, pictures.CLASSES, dtype)


def normalised(data: program.Data) -> np.ndarray:
  """Returns the images as a net sees them, float32 [B, H, W, C]."""
  return (np.float32(data.images) / 255 - data.mean) / data.std


def repeat(learn: Learn, batch: tuple[Any, Any]) -> Train:
  """Returns a peer's steps on one batch, which is x and labels."""

  def train(count: int) -> float:
    for _ in range(count):
      loss, _ = learn(*batch)
    return float(loss)

  return train


def check(name: str, candidates: Mapping[str, Train], dtype: jnp.dtype) -> None:
  """Raises a WrongResultError if losses differ after some steps."""
  losses = {who: train(_CALL) for who, train in candidates.items()}
  found = list(losses.values())
  if not np.allclose(found, losses['ours'], rtol=_TOLERANCE[dtype.name]):
    raise interleave.WrongResultError(
      f'The losses of {name} differ after {_CALL} steps ({losses}); it is not '
      'timed.'
    )


def measure(c: ml_collections.ConfigDict, rounds: int) -> list[interleave.Row]:
  """Checks that ours and the peer train alike, and times them.

  Raises:
    WrongResultError: the losses differ.
  """
  train, t = ours(c)
  dtype, data = t.setup.program.dtype, pictures.batch(c.train.batch_size)
  batch = jnp.asarray(normalised(data)), jnp.asarray(data.labels)
  found = {'ours': train, 'flax': repeat(peer_in_flax(c, t), batch)}
  check(c.model.name, found, dtype)
  calls = {
    who: lambda train=train: train(_CALL) for who, train in found.items()
  }
  return interleave.compare(
    calls, rounds, ['ours'], labels(c, dtype), 20.0, _CALL
  )


def labels(c: ml_collections.ConfigDict, dtype: jnp.dtype) -> dict[str, Any]:
  """Returns what rows say about the net that was trained."""
  return {
    'net': c.model.name,
    'alpha': c.model.base_channels,
    'batch': c.train.batch_size,
    'dtype': dtype.name,
  }


def one_device() -> None:
  """Exits with one sentence where there are several devices."""
  if jax.local_device_count() > 1:
    sys.exit('error: one device is measured; hide the others.')


def main(argv: Sequence[str] | None = None) -> None:
  """Times training steps, prints a table and writes it."""
  parser = interleave.parser('benchmarks.step', __doc__, rounds=9)
  parser.add_argument('--nets', nargs='+', choices=CASES, default=list(CASES))
  parser.add_argument('--alpha', type=int, help="instead of each net's own")
  parser.add_argument('--batch', type=int, default=512)
  parser.add_argument('--precision', choices=precision.NAMES, default='float32')
  args = parser.parse_args(argv)
  one_device()
  rows = []
  for name in args.nets:
    print(f'{name} ...', file=sys.stderr)
    alpha = args.alpha or CASES[name]
    rows += measure(
      config(name, alpha, args.batch, args.precision), args.rounds
    )
  interleave.finish(args.out, rows)
  interleave.show(
    'Median of one training step in ms (over ours):',
    rows,
    ('net', 'alpha', 'batch', 'dtype'),
    interleave.milliseconds('ours'),
  )


if __name__ == '__main__':
  main()
