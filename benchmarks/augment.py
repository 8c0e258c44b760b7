"""Fast AutoAugment on the device against Pillow on the host.

  python -m benchmarks.augment --out benchmarks/results/augment.json

Both do all of it to a batch: random sub-policies, crop, flip, normalisation and
cutout. Pillow does it in one process, and in two, as the data loader of the
published code would. Before anything is timed, Pillow must make the same images
from the same random choices. Last, the time that augmentation adds to a step of
S-FC's training, and the time to compile it.
"""

import itertools
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import interleave, pictures, step
from benchmarks.peers import pillow_augment, pillow_workers
from lconv_jax import augment
from lconv_jax.train import precision
from lconv_jax.train import step as program

_CALL = 4  # batches or steps of one timed call, one after the other


def pipeline(policy: str) -> augment.Pipeline:
  """Returns the augmentation of CIFAR-10 by a policy."""
  return augment.Pipeline(augment.load_policy(policy), 4, True, 16)


def ours(pipeline: augment.Pipeline, data: program.Data) -> Callable[..., Any]:
  """Returns the jitted augmentation of the whole batch, given a key."""
  index = jnp.arange(len(data.labels))

  @jax.jit
  def run(key: jax.Array, images: jax.Array) -> jax.Array:
    return pipeline(
      key, images, index, lambda x: program.normalise(x, data, jnp.float32)
    )

  return run


def against_pillow(
  pipeline: augment.Pipeline, data: program.Data, rounds: int
) -> list[interleave.Row]:
  """Checks that Pillow makes the same images, and times both.

  Raises:
    WrongResultError: an image differs.
  """
  images = jnp.asarray(data.images)
  args = pipeline.policy, data.mean, data.std
  run = ours(pipeline, data)
  keys = itertools.cycle(list(jax.random.split(jax.random.key(0), 64)))
  start = time.perf_counter()
  compiled = run.lower(jax.random.key(0), images).compile()
  compile_s = time.perf_counter() - start
  check(pipeline, data, compiled)

  rng = random.Random(0)
  everything = np.arange(len(images))

  def one_process() -> None:
    for image in data.images:
      pillow_augment.at_random(image, rng, *args)

  with pillow_workers.start(data.images, args, 2, len(images)) as batches:
    once = {
      'ours': lambda: compiled(next(keys), images).block_until_ready(),
      'Pillow, 1 process': one_process,
      'Pillow, 2 processes': lambda: list(batches([everything])),
    }
    calls = {
      who: lambda fn=fn: [fn() for _ in range(_CALL)]
      for who, fn in once.items()
    }
    labels = {'what': 'augmentation', 'batch': len(data.labels)}
    rows = interleave.compare(calls, rounds, ['ours'], labels, steps=_CALL)
  rows[0]['compile_s'] = compile_s
  return rows


def check(
  pipeline: augment.Pipeline, data: program.Data, run: Callable[..., Any]
) -> None:
  """Raises a WrongResultError if Pillow makes other images."""
  key, index = jax.random.key(1), jnp.arange(len(data.labels))
  draw = jax.jit(pipeline.draw, static_argnums=2)
  choices = draw(key, index, pictures.SHAPE[:2])
  theirs = pillow_augment.replay(
    data.images, pipeline.policy, choices, data.mean, data.std
  )
  # A grey level is 1/255, and becomes larger by normalisation.
  if not np.allclose(run(key, jnp.asarray(data.images)), theirs, atol=1e-4):
    raise interleave.WrongResultError(
      'Pillow makes other images than ours; nothing is timed.'
    )


def within_a_step(
  policy: str, alpha: int, batch: int, dtype: str, rounds: int
) -> list[interleave.Row]:
  """Times training steps of S-FC without and with augmentation."""
  c, calls = step.config('s_fc', alpha, batch, dtype), {}
  for name, kind in (('plain', 'none'), ('augmented', 'fast_autoaugment')):
    c.data.update({'augment': kind, 'policy': policy})
    train, _ = step.ours(c)
    calls[name] = lambda train=train: train(_CALL)
  labels = {'what': f'step of S-FC α={alpha}', 'batch': batch}
  return interleave.compare(calls, rounds, ['augmented'], labels, 30.0, _CALL)


def main(argv: Sequence[str] | None = None) -> None:
  """Times augmentation, prints tables and writes them."""
  parser = interleave.parser('benchmarks.augment', __doc__, rounds=15)
  parser.add_argument('--policy', default='fa_reduced_cifar10')
  parser.add_argument('--batch', type=int, default=512)
  parser.add_argument(
    '--alpha',
    type=int,
    nargs='*',
    default=[1, 16],
    help='of the S-FC whose step is timed; on a GPU, say 150',
  )
  parser.add_argument('--precision', choices=precision.NAMES, default='auto')
  args = parser.parse_args(argv)
  data = pictures.batch(args.batch)
  rows = against_pillow(pipeline(args.policy), data, args.rounds)
  for alpha in args.alpha:
    print(f'S-FC α={alpha} ...', file=sys.stderr)
    rows += within_a_step(
      args.policy, alpha, args.batch, args.precision, args.rounds
    )
  interleave.finish(args.out, rows)
  show(rows)


def show(rows: Sequence[interleave.Row]) -> None:
  """Prints times and ratios."""
  columns = ('', '', 'ms a batch', 'µs an image', 'ratio', 'to')
  lines = []
  for row in rows:
    (other, ratio), *_ = row['ratios'].items()
    ms = 1e3 * row['median_s']
    lines.append((
      row['what'], row['candidate'], f'{ms:.2f}',
      f'{1e3 * ms / row["batch"]:.2f}', f'{ratio:.3f}', other,
    ))  # fmt: skip
  title = f'Ours is compiled in {rows[0]["compile_s"]:.1f} s.'
  interleave.print_table(title, columns, lines)


if __name__ == '__main__':
  main()
