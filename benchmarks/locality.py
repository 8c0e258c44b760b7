"""How long it takes to measure how local a whole layer's filters are.

  python -m benchmarks.locality --out benchmarks/results/locality.json

First the whole of it, for the first layer of S-FC with α = 150: 38,400 filters
of 3,072 weights, each against 200 shuffles, and 2,000 pairs; its time and the
most memory that the process has taken. Then our measures of some of these
filters against two loops that one would write first: a filter and a shuffle at
a time with an integral image, and all shuffles of a filter at once. Before
anything is timed, they must find what we find.
"""

import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import interleave
from lconv_jax import locality

SHAPE = 32, 32, 3
_SECONDS = 600.0  # what a candidate may take in all
# Means over draws may differ by so many of their standard errors.
_SIGMAS = 6


class WrongResultError(Exception):
  """A candidate has computed something else."""


def layer(units: int, density: float) -> np.ndarray:
  """Returns filters with that share of non-zero weights, as a kernel has them.

  Args:
    units: filters.
    density: 1 or less.
  """
  rng = np.random.default_rng(0)
  kernel = rng.standard_normal((np.prod(SHAPE), units), dtype=np.float32)
  if density < 1:
    kernel[rng.random(kernel.shape, dtype=np.float32) >= density] = 0
  return locality.from_kernel(kernel, SHAPE)


def ours(filters: np.ndarray, draws: int) -> np.ndarray:
  """Returns spread, share, and the means of their nulls, [4, units]."""
  null_spread = locality.null_spread(filters, draws)
  null_share = locality.null_window_share(filters, draws=draws)
  return np.stack(
    [
      locality.spread(filters),
      locality.window_share(filters),
      null_spread.mean(axis=1),
      null_share.mean(axis=1),
    ]
  )


def loop(filters: np.ndarray, draws: int) -> np.ndarray:
  """The same, a filter and a shuffle at a time."""
  rng = np.random.default_rng(0)
  height, width = filters.shape[1:3]
  rows, columns = np.indices((height, width))
  k = locality.WINDOW

  def both(energy: np.ndarray) -> tuple[float, float]:
    y, x = (energy * rows).sum(), (energy * columns).sum()
    spread = (energy * ((rows - y) ** 2 + (columns - x) ** 2)).sum() ** 0.5
    integral = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = integral[k:, k:] - integral[:-k, k:]
    windows = windows - integral[k:, :-k] + integral[:-k, :-k]
    return spread, windows.max()

  result = []
  for filter_ in filters:
    energy = np.square(filter_.astype(np.float64)).sum(-1)
    energy /= energy.sum()
    null = [
      both(rng.permutation(energy.ravel()).reshape(height, width))
      for _ in range(draws)
    ]
    result.append((*both(energy), *np.mean(null, axis=0)))
  return np.transpose(result)


def arrays(filters: np.ndarray, draws: int) -> np.ndarray:
  """The same, all shuffles of a filter at once."""
  rng = np.random.default_rng(0)
  height, width = filters.shape[1:3]
  rows, columns = np.indices((height, width))
  k = locality.WINDOW

  def both(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = ((energy * at).sum((1, 2)) for at in (rows, columns))
    square = (energy * (rows**2 + columns**2)).sum((1, 2))
    integral = energy.cumsum(1).cumsum(2)
    integral = np.pad(integral, ((0, 0), (1, 0), (1, 0)))
    windows = integral[:, k:, k:] - integral[:, :-k, k:]
    windows = windows - integral[:, k:, :-k] + integral[:, :-k, :-k]
    return np.sqrt(square - y**2 - x**2), windows.max((1, 2))

  result = []
  for filter_ in filters:
    energy = np.square(filter_.astype(np.float64)).sum(-1)
    energy /= energy.sum()
    all_ = np.tile(energy.ravel(), (draws, 1))
    null = both(rng.permuted(all_, axis=1).reshape(draws, height, width))
    own = [x[0] for x in both(energy[None])]
    result.append((*own, *(x.mean() for x in null)))
  return np.transpose(result)


CANDIDATES = {'ours': ours, 'loop': loop, 'arrays': arrays}


def check(name: str, got: np.ndarray, want: np.ndarray, draws: int) -> None:
  """Raises a WrongResultError where a candidate disagrees with ours."""
  own = np.abs(got[:2] - want[:2]).max()
  # Nulls vary by less than a tenth of what they are.
  null = np.abs(got[2:] / want[2:] - 1).max()
  if own > 1e-4 or not null < _SIGMAS * 0.1 / np.sqrt(draws):
    raise WrongResultError(
      f'{name} differs by {own:.2g}, and by {null:.2g} of the null.'
    )


def whole(units: int, density: float) -> dict[str, Any]:
  """Measures a whole layer once: all measures, nulls and pairs."""
  filters = layer(units, density)
  begin = time.perf_counter()
  found = locality.measure(filters)
  middle = time.perf_counter()
  pairs = locality.measure_pairs(filters)
  end = time.perf_counter()
  locality.summary(found, pairs)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return {
    'units': units,
    'density': density,
    'layer_bytes': filters.nbytes,
    'filters_s': middle - begin,
    'pairs_s': end - middle,
    # Kilobytes on Linux, bytes on macOS.
    'peak_bytes': peak * (1 if sys.platform == 'darwin' else 1024),
  }


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints and writes.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = interleave.parser('benchmarks.locality', __doc__)
  parser.add_argument('--units', type=int, default=38400, help='of the layer')
  parser.add_argument('--some', type=int, default=1024, help='of the loops')
  parser.add_argument('--draws', type=int, default=200, help='for the loops')
  parser.add_argument('--rounds', type=int, default=3)
  args = parser.parse_args(argv)
  layers = [whole(args.units, density) for density in (0.01, 1.0)]
  filters = layer(args.some, 1.0)
  want = ours(filters, args.draws)
  calls = {}
  for name, fn in CANDIDATES.items():
    check(name, fn(filters, args.draws), want, args.draws)
    calls[name] = lambda fn=fn: fn(filters, args.draws)
  timings = interleave.measure(calls, args.rounds, _SECONDS)
  rows = interleave.rows(
    timings, ('ours',), filters=args.some, draws=args.draws
  )
  if args.out:
    interleave.write(args.out, [*layers, *rows])
  for row in layers:
    print(
      f'{row["units"]:,} filters, {100 * row["density"]:g} % non-zero, '
      f'{row["layer_bytes"] / 1e9:.2f} GB: {row["filters_s"]:.1f} s, pairs '
      f'{row["pairs_s"]:.1f} s, at most {row["peak_bytes"] / 1e9:.1f} GB in all'
    )
  print('Milliseconds of some (over ours):')
  print(
    interleave.table(
      rows, ('filters', 'draws'), interleave.milliseconds('ours')
    )
  )


if __name__ == '__main__':
  main()
