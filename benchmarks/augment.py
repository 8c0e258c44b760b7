"""Fast AutoAugment on the device against Pillow on the host.

  python -m benchmarks.augment --out benchmarks/results/augment.json

Both do all of it to a batch: random sub-policies, crop, flip, normalisation,
cutout. Pillow does it in one process, and in two, as the published code's data
loader would. Before anything is timed, Pillow must make the same images from
the same random choices. Then, what augmentation adds to a training step of
S-FC, and how long it takes to compile.
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

from benchmarks import interleave, layer, step
from benchmarks.peers import pillow_augment, pillow_workers
from lconv_jax import augment
from lconv_jax.data import nlgp
from lconv_jax.train import precision
from lconv_jax.train import step as program

_CALL = 4  # batches or steps of one timed call, one after the other


def batch_of(count: int) -> program.Data:
  """Returns colour images that are drawn on the spot, and labels."""
  images, labels = nlgp.draw(count, xi=(1.5, 3.0), channels=3)
  mean, std = (f(images / 255, (0, 1, 2)) for f in (np.mean, np.std))
  return program.Data(images, labels, np.float32(mean), np.float32(std))


def ours(pipeline: augment.Pipeline, data: program.Data) -> Callable[..., Any]:
  """Returns the jitted augmentation of the whole batch, given a key."""
  index = jnp.arange(len(data.labels))

  @jax.jit
  def run(key: jax.Array, images: jax.Array) -> jax.Array:
    return pipeline(
      key,
      images,
      index,
      lambda x: program.normalise(x, data, jnp.float32),
    )

  return run


def against_pillow(
  pipeline: augment.Pipeline, data: program.Data, rounds: int
) -> list[dict[str, Any]]:
  """Checks that Pillow makes the same images, and measures both.

  Raises:
    WrongResultError: an image differs.
  """
  p, images = pipeline.policy, jnp.asarray(data.images)
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
      pillow_augment.at_random(image, p, rng, data.mean, data.std)

  with pillow_workers.start(
    data.images, p, data.mean, data.std, 2, len(images)
  ) as batches:
    once = {
      'ours': lambda: compiled(next(keys), images).block_until_ready(),
      'Pillow, 1 process': one_process,
      'Pillow, 2 processes': lambda: list(batches([everything])),
    }
    calls = {
      who: lambda fn=fn: [fn() for _ in range(_CALL)]
      for who, fn in once.items()
    }
    timings = interleave.measure(calls, rounds)
  rows = interleave.rows(
    {who: t.divided_by(_CALL) for who, t in timings.items()},
    ('ours',),
    what='augmentation',
    batch=len(data.labels),
  )
  rows[0]['compile_s'] = compile_s
  return rows


def check(
  pipeline: augment.Pipeline, data: program.Data, run: Callable[..., Any]
) -> None:
  """Raises a WrongResultError if Pillow makes other images."""
  key, index = jax.random.key(1), jnp.arange(len(data.labels))
  choices = pipeline.draw(key, index, data.images.shape[1:3])
  theirs = pillow_augment.replay(
    data.images, pipeline.policy, choices, data.mean, data.std
  )
  # A grey level is 1/255, and becomes larger by normalisation.
  if not np.allclose(run(key, jnp.asarray(data.images)), theirs, atol=1e-4):
    raise layer.WrongResultError(
      'Pillow makes other images than ours; nothing is measured.'
    )


def within_a_step(
  pipeline: augment.Pipeline, data: program.Data, alpha: int, dtype: jnp.dtype,
  rounds: int,
) -> list[dict[str, Any]]:  # fmt: skip
  """Measures training steps of S-FC without and with augmentation."""
  c = step.config('s_fc', alpha)
  calls = {}
  for name, p in (('plain', augment.Pipeline()), ('augmented', pipeline)):
    train, _ = step.ours(c, data, dtype, p)
    calls[name] = lambda train=train: train(_CALL)
  timings = interleave.measure(calls, rounds, seconds=30.0)
  return interleave.rows(
    {who: t.divided_by(_CALL) for who, t in timings.items()},
    ('augmented',), what=f'step of S-FC α={alpha}', batch=len(data.labels),
  )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints a table and writes it.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = interleave.parser('benchmarks.augment', __doc__)
  parser.add_argument('--policy', default='fa_reduced_cifar10')
  parser.add_argument('--batch', type=int, default=512)
  parser.add_argument(
    '--alpha', type=int, nargs='*', default=[1, 16],
    help='of the S-FC whose step is measured; on a GPU, say 150',
  )  # fmt: skip
  parser.add_argument('--precision', choices=precision.NAMES, default='auto')
  parser.add_argument('--rounds', type=int, default=15)
  args = parser.parse_args(argv)
  pipeline = augment.Pipeline(augment.load_policy(args.policy), 4, True, 16)
  data, dtype = batch_of(args.batch), precision.compute_dtype(args.precision)
  rows = against_pillow(pipeline, data, args.rounds)
  for alpha in args.alpha:
    print(f'S-FC α={alpha} ...', file=sys.stderr)
    rows += within_a_step(pipeline, data, alpha, dtype, args.rounds)
  if args.out:
    interleave.write(args.out, rows)
  show(rows)


def show(rows: Sequence[dict[str, Any]]) -> None:
  """Prints times and ratios."""
  for row in rows:
    (other, ratio), *_ = row['ratios'].items()
    line = (
      f'{row["what"]:>18}  {row["candidate"]:<20}'
      f'{1e3 * row["median_s"]:8.2f} ms a batch'
      f'{1e6 * row["median_s"] / row["batch"]:8.2f} µs an image'
      f'{ratio:7.3f} × {other}'
    )
    if 'compile_s' in row:
      line += f', compiled in {row["compile_s"]:.1f} s'
    print(line)


if __name__ == '__main__':
  main()
