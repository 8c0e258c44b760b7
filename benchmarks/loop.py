"""Training as a whole (data, augmentation, step, metrics) against two scripts.

  python -m benchmarks.loop --out benchmarks/results/loop.json

Ours is what `train.py` runs: the data set on the device, augmented there, an
epoch in one call. The scripts are what one would write in PyTorch (a DataLoader
whose two workers augment by Pillow) and in Flax (NumPy batches from two such
workers, some ahead); both take loss and accuracy of every step. Before anything
is timed, Pillow must make the images that ours makes, and all must have come
to the same loss after a few steps on one batch without augmentation.

A timed call is an epoch of 8 steps that begins with nothing prefetched and ends
with nothing left: nobody finds batches that were made while another one was
measured, and workers are idle by then. While they make the first batches, they
have all cores, as the net has for the last ones.

Then, what share of XLA's own peak a bare step of S-FC reaches.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from benchmarks import augment as augment_benchmark
from benchmarks import interleave, peak, step
from benchmarks.peers import flax_net, optional, pillow_workers
from configs import base
from lconv_jax import augment, models
from lconv_jax.data import dataset as data
from lconv_jax.train import parallel, trainer
from lconv_jax.train import step as program

CASES = {
  's_fc': (1, 4, 16),
  's_conv': (8,),
  's_local': (8,),
  'd_conv': (4,),
  'd_local': (4,),
}  # name -> α
_PEAK = 16  # α
_STEPS = 8  # of an epoch
_WORKERS = 2
_DTYPE = jnp.dtype('float32')

# (x, labels) -> loss, number of right answers
Learn = Callable[[Any, Any], tuple[Any, Any]]


class Peer(NamedTuple):
  """How another script computes, and how it gets its data."""

  # (our net, its beginning, config.optim) -> what takes a step
  learner: Callable[..., Learn]
  images: Callable[[np.ndarray], Any]  # [B, H, W, C] in its own layout
  labels: Callable[[np.ndarray], Any]
  epoch: Callable[[], Iterable[tuple[Any, Any]]]  # batches, augmented


def config(name: str, alpha: int, batch: int) -> ml_collections.ConfigDict:
  """Returns training of a net on images that are drawn on the spot."""
  c = step.config(name, alpha)
  base.nlgp(c)
  c.data.update({'augment': 'fast_autoaugment', 'policy': 'fa_reduced_cifar10'})
  c.data.validation = 0
  xi = tuple(np.linspace(1, 5.5, 10).tolist())
  c.data.nlgp.update({'xi': xi, 'channels': 3})
  c.data.nlgp.update({'train': _STEPS * batch, 'test': 1})
  c.train.batch_size = batch
  c.precision = _DTYPE.name
  return c


def flax_peer(d: program.Data, batches: pillow_workers.Batches) -> Peer:
  """Returns the script in Flax.

  Args:
    d: the training images.
    batches: of `pillow_workers.start`.
  """
  rng = np.random.default_rng(0)

  def learner(
    net: models.Net, start: program.TrainState, optim: ml_collections.ConfigDict
  ) -> Learn:
    return flax_net.learner(
      net, start.params, start.batch_stats, optim, step.STEPS
    )

  def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    index = rng.permutation(len(d.labels)).reshape(_STEPS, -1)
    for chosen, x in zip(index, batches(index), strict=True):
      yield x, d.labels[chosen]

  return Peer(learner, jnp.asarray, jnp.asarray, epoch)


def torch_peer(
  d: program.Data, pipeline: augment.Pipeline, batch: int
) -> Peer | None:
  """Returns the script in PyTorch, None where that is missing."""
  torch_net = optional.torch_peer('torch_net')
  if torch_net is None:
    return None
  loader = torch_net.loader(d, pipeline.policy, _WORKERS, batch)

  def learner(
    net: models.Net, start: program.TrainState, optim: ml_collections.ConfigDict
  ) -> Learn:
    shape = d.images.shape[1:]
    return torch_net.learner(net, start.params, shape, optim, step.STEPS)

  return Peer(learner, torch_net.images, torch_net.labels, lambda: loader)


def train_epoch(
  learn: Learn, batches: Iterable[tuple[Any, Any]]
) -> tuple[float, float]:
  """Trains as a script does, and returns mean loss and accuracy."""
  total = correct = count = 0
  for x, labels in batches:
    loss, right = learn(x, labels)
    # Fetched, so that Flax has done with a batch that workers will overwrite.
    total += float(loss) * len(labels)
    correct += int(right)
    count += len(labels)
  return total / count, correct / count


def measure(
  c: ml_collections.ConfigDict,
  dataset: data.Dataset,
  peers: Mapping[str, Peer],
  rounds: int,
) -> list[dict[str, Any]]:
  """Checks that all train alike, and measures them.

  Args:
    c: see `config`.
    dataset: that of the config.
    peers: by name.
    rounds: how often, see `interleave.measure`.

  Raises:
    WrongResultError: losses differ.
  """
  name, batch = c.model.name, c.train.batch_size
  first = one_batch(dataset, batch)
  train, start = step.ours(c, first, _DTYPE, augment.Pipeline())
  net = models.build(
    c.model, first.images.shape[1:], dataset.num_classes, _DTYPE, parallel.AXIS
  )
  learners = {
    who: peer.learner(net, start, c.optim) for who, peer in peers.items()
  }
  x = (np.float32(first.images) / 255 - first.mean) / first.std
  same = {
    who: step.repeat(learners[who], (peer.images(x), peer.labels(first.labels)))
    for who, peer in peers.items()
  }
  step.check(name, {'ours': train, **same}, _DTYPE)

  ours = trainer.Trainer(trainer.setup(c, dataset))
  calls = {
    'ours': lambda: ours.train_until(ours.step + _STEPS),
    **{
      who: lambda who=who, peer=peer: train_epoch(learners[who], peer.epoch())
      for who, peer in peers.items()
    },
  }
  calls['ours']()  # to compile, as the others have by now
  timings = interleave.measure(calls, rounds, seconds=12.0)
  rows = interleave.rows(
    {who: t.divided_by(_STEPS) for who, t in timings.items()},
    ('ours',),
    table='loop',
    net=name,
    alpha=c.model.base_channels,
    batch=batch,
    dtype=_DTYPE.name,
  )
  for row in rows:
    row['images_per_s'] = batch / row['median_s']
  return rows


def one_batch(dataset: data.Dataset, batch: int) -> program.Data:
  """Returns the first training images, and the statistics of all."""
  images, labels = (a[:batch] for a in dataset.train)
  return program.Data(images, labels, dataset.mean, dataset.std)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
  """Prints rates and ratios."""
  of = {t: [r for r in rows if r['table'] == t] for t in ('loop', 'peak')}
  print('Images per second in training (time over that of ours):')
  print(
    interleave.table(
      of['loop'],
      ('net', 'alpha', 'batch', 'dtype'),
      lambda r: f'{r["images_per_s"]:.0f} ({r["ratios"]["ours"]:.2f})',
    )
  )
  peak.show(of['peak'])


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints tables and writes them.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = interleave.parser('benchmarks.loop', __doc__)
  parser.add_argument('--nets', nargs='+', choices=CASES, default=list(CASES))
  parser.add_argument('--alpha', type=int, help="instead of each net's own")
  parser.add_argument('--batch', type=int, default=512)
  parser.add_argument('--rounds', type=int, default=7)
  args = parser.parse_args(argv)
  if jax.local_device_count() > 1:
    parser.error('one device is measured; hide the others.')
  c = config('s_fc', 1, args.batch)
  dataset = data.load(c.data)
  first = one_batch(dataset, args.batch)
  pipeline = augment.from_config(c.data, first.images.shape[1:])
  augment_benchmark.check(
    pipeline, first, augment_benchmark.ours(pipeline, first)
  )
  d = program.Data(*dataset.train, dataset.mean, dataset.std)
  workers = pillow_workers.start(
    d.images, pipeline.policy, d.mean, d.std, _WORKERS, args.batch
  )
  rows = []
  with workers as batches:
    peers = {
      'torch': torch_peer(d, pipeline, args.batch),
      'flax': flax_peer(d, batches),
    }
    peers = {who: peer for who, peer in peers.items() if peer is not None}
    for peer in peers.values():
      list(peer.epoch())  # starts the workers
    for name in args.nets:
      for alpha in (args.alpha,) if args.alpha else CASES[name]:
        print(f'{name}, α = {alpha} ...', file=sys.stderr)
        c = config(name, alpha, args.batch)
        rows += measure(c, dataset, peers, args.rounds)
  print('peak ...', file=sys.stderr)
  rows += peak.measure(first, args.alpha or _PEAK, _DTYPE, args.rounds)
  if args.out:
    interleave.write(args.out, rows)
  show(rows)


if __name__ == '__main__':
  main()
