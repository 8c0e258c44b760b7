"""Training as a whole (data, augmentation, step, metrics) against two scripts.

  python -m benchmarks.loop --out benchmarks/results/loop.json

Ours is what main.py runs: the data set on the device, augmented there, an epoch
in one call. The scripts are what one would write in PyTorch (a DataLoader whose
two workers augment by Pillow) and in Flax (NumPy batches from two such workers,
some ahead); both compute loss and accuracy in every step. Before anything is
timed, Pillow must make the same images as ours, and all must have come to the
same loss after a few steps on one batch without augmentation.

A timed call is an epoch of 8 steps that begins with nothing prefetched and ends
with nothing left: no candidate finds batches that were made while another one
was timed, and workers are idle by then. While they make the first batches, they
have all cores, as the net has for the last ones.

Last, the share of XLA's own peak that a bare step of S-FC reaches.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
import numpy as np

from benchmarks import augment as augment_benchmark
from benchmarks import interleave, peak, pictures, step
from benchmarks.peers import optional, pillow_workers
from lconv_jax.augment import policy
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


class Peer(NamedTuple):
  """Another script's way to compute, and to get its data."""

  # Returns its steps, from the net of a trainer.
  learner: Callable[[ml_collections.ConfigDict, trainer.Trainer], step.Learn]
  images: Callable[[np.ndarray], Any]  # [B, H, W, C] in its own layout
  labels: Callable[[np.ndarray], Any]
  epoch: Callable[[], Iterable[tuple[Any, Any]]]  # augmented batches


def flax_peer(d: program.Data, batches: pillow_workers.Batches) -> Peer:
  """Returns the script in Flax.

  Args:
    d: the training images.
    batches: of `pillow_workers.start`.
  """
  rng = np.random.default_rng(0)

  def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    index = rng.permutation(len(d.labels)).reshape(_STEPS, -1)
    for chosen, x in zip(index, batches(index), strict=True):
      yield x, d.labels[chosen]

  return Peer(step.peer_in_flax, jnp.asarray, jnp.asarray, epoch)


def torch_peer(
  d: program.Data, sub_policies: policy.Policy, batch: int
) -> Peer | None:
  """Returns the script in PyTorch, None where that is missing."""
  torch_net = optional.torch_peer('torch_net')
  if torch_net is None:
    return None
  loader = torch_net.loader(d, sub_policies, _WORKERS, batch)

  def learner(c: ml_collections.ConfigDict, t: trainer.Trainer) -> step.Learn:
    net, params = step.net(c, 'float32'), parallel.unreplicate(t.state.params)
    return torch_net.learner(net, params, pictures.SHAPE, c.optim, step.STEPS)

  return Peer(learner, torch_net.images, torch_net.labels, lambda: loader)


def train_epoch(
  learn: step.Learn, batches: Iterable[tuple[Any, Any]]
) -> tuple[float, float]:
  """Trains as a script does, and returns mean loss and accuracy."""
  total = correct = count = 0
  for x, labels in batches:
    loss, right = learn(x, labels)
    # Fetched, so that Flax has used the batch before workers overwrite it.
    total += float(loss) * len(labels)
    correct += int(right)
    count += len(labels)
  return total / count, correct / count


def measure(
  c: ml_collections.ConfigDict, peers: Mapping[str, Peer], rounds: int
) -> list[interleave.Row]:
  """Checks that all train alike, and times them.

  Args:
    c: `step.config` of the net.
    peers: by name.
    rounds: see `interleave.measure`.

  Raises:
    WrongResultError: the losses differ.
  """
  batch = c.train.batch_size
  train, t = step.ours(c)
  first = pictures.batch(batch)
  x = step.normalised(first)
  learners = {who: peer.learner(c, t) for who, peer in peers.items()}
  same = {
    who: step.repeat(learners[who], (peer.images(x), peer.labels(first.labels)))
    for who, peer in peers.items()
  }
  dtype = t.setup.program.dtype
  step.check(c.model.name, {'ours': train, **same}, dtype)

  c.data.update({'augment': 'fast_autoaugment', 'policy': 'fa_reduced_cifar10'})
  ours = trainer.Trainer(trainer.setup(c, pictures.dataset(_STEPS * batch)))
  calls = {'ours': lambda: ours.train_until(ours.step + _STEPS)}
  for who, peer in peers.items():
    calls[who] = lambda who=who, peer=peer: train_epoch(
      learners[who], peer.epoch()
    )
  calls['ours']()  # compiles, as the others have by now
  labels = {'table': 'loop', **step.labels(c, dtype)}
  rows = interleave.compare(calls, rounds, ['ours'], labels, 12.0, _STEPS)
  for row in rows:
    row['images_per_s'] = batch / row['median_s']
  return rows


def show(rows: Sequence[interleave.Row]) -> None:
  """Prints rates and ratios."""
  of = {t: [r for r in rows if r['table'] == t] for t in ('loop', 'peak')}
  interleave.show(
    'Images per second in training (time over that of ours):',
    of['loop'],
    ('net', 'alpha', 'batch', 'dtype'),
    lambda r: f'{r["images_per_s"]:.0f} ({r["ratios"]["ours"]:.2f})',
  )
  peak.show(of['peak'])


def main(argv: Sequence[str] | None = None) -> None:
  """Times training as a whole, prints tables and writes them."""
  parser = interleave.parser('benchmarks.loop', __doc__, rounds=7)
  parser.add_argument('--nets', nargs='+', choices=CASES, default=list(CASES))
  parser.add_argument('--alpha', type=int, help="instead of each net's own")
  parser.add_argument('--batch', type=int, default=512)
  args = parser.parse_args(argv)
  step.one_device()
  pipeline = augment_benchmark.pipeline('fa_reduced_cifar10')
  d = pictures.batch(_STEPS * args.batch)
  first = pictures.batch(args.batch)
  run = augment_benchmark.ours(pipeline, first)
  augment_benchmark.check(pipeline, first, run)
  pillow = pipeline.policy, d.mean, d.std
  workers = pillow_workers.start(d.images, pillow, _WORKERS, args.batch)
  rows = []
  with workers as batches:
    peers = {
      'torch': torch_peer(d, pipeline.policy, args.batch),
      'flax': flax_peer(d, batches),
    }
    peers = {who: peer for who, peer in peers.items() if peer is not None}
    for peer in peers.values():
      list(peer.epoch())  # starts the workers
    for name in args.nets:
      for alpha in (args.alpha,) if args.alpha else CASES[name]:
        print(f'{name}, α = {alpha} ...', file=sys.stderr)
        c = step.config(name, alpha, args.batch)
        rows += measure(c, peers, args.rounds)
  print('peak ...', file=sys.stderr)
  c = step.config('s_fc', args.alpha or _PEAK, args.batch)
  rows += peak.measure(c, args.rounds)
  interleave.finish(args.out, rows)
  show(rows)


if __name__ == '__main__':
  main()
