"""Time to measure how local the filters of a whole layer are.

  python -m benchmarks.locality --out benchmarks/results/locality.json

First everything for the first layer of S-FC with α = 150, which has 38,400
filters of 3,072 weights: each against 200 shuffles, and 2,000 pairs; the time
and the peak memory of the process. Then our measures of some of these filters
against two loops that one would write first: a filter and a shuffle at a time
with an integral image, and all shuffles of a filter at once. Before anything is
timed, the loops must find what our measures find.
"""

import resource
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import interleave, pictures
from lconv_jax import locality

_SECONDS = 600.0  # what a candidate may take in all
# Means over draws may differ by this number of their standard errors.
_SIGMAS = 6


def layer(units: int, density: float) -> np.ndarray:
  """Returns filters, of whose weights a share `density` is not zero."""
  rng = np.random.default_rng(0)
  shape = np.prod(pictures.SHAPE), units
  kernel = rng.standard_normal(shape, dtype=np.float32)
  if density < 1:
    kernel[rng.random(shape, dtype=np.float32) >= density] = 0
  return locality.from_kernel(kernel, pictures.SHAPE)


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


def peer(filters: np.ndarray, draws: int, at_once: bool) -> np.ndarray:
  """Returns the same, filter by filter.

  Args:
    filters: as `ours` takes them.
    draws: the number of shuffles of each filter.
    at_once: whether all shuffles of a filter are measured at once, rather than
      one by one.
  """
  rng = np.random.default_rng(0)
  height, width = filters.shape[1:3]
  result = []
  for filter_ in filters:
    energy = np.square(filter_.astype(np.float64)).sum(-1).ravel()
    energy /= energy.sum()
    if at_once:
      shuffled = rng.permuted(np.tile(energy, (draws, 1)), axis=1)
      null = _both(shuffled.reshape(draws, height, width))
    else:
      null = np.transpose([
        _both(rng.permutation(energy).reshape(height, width))
        for _ in range(draws)
      ])  # fmt: skip
    own = _both(energy.reshape(height, width))
    result.append((*own, *(x.mean() for x in null)))
  return np.transpose(result)


def _both(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns spread and largest window of energies [..., height, width]."""
  rows, columns = np.indices(energy.shape[-2:])
  y, x = ((energy * at).sum((-2, -1)) for at in (rows, columns))
  square = (energy * (rows**2 + columns**2)).sum((-2, -1))
  integral = energy.cumsum(-2).cumsum(-1)
  before = [(0, 0)] * (energy.ndim - 2) + [(1, 0)] * 2
  integral, k = np.pad(integral, before), locality.WINDOW
  windows = integral[..., k:, k:] - integral[..., :-k, k:]
  windows = windows - integral[..., k:, :-k] + integral[..., :-k, :-k]
  return np.sqrt(square - y**2 - x**2), windows.max((-2, -1))


CANDIDATES = {
  'ours': ours,
  'loop': partial(peer, at_once=False),
  'arrays': partial(peer, at_once=True),
}


def check(name: str, got: np.ndarray, want: np.ndarray, draws: int) -> None:
  """Raises a WrongResultError where a candidate disagrees with ours."""
  own = np.abs(got[:2] - want[:2]).max()
  # The standard deviation of a null is less than a tenth of its mean.
  null = np.abs(got[2:] / want[2:] - 1).max()
  if own > 1e-4 or not null < _SIGMAS * 0.1 / np.sqrt(draws):
    raise interleave.WrongResultError(
      f'{name} differs by {own:.2g}, and by {null:.2g} of the null; nothing is '
      'timed.'
    )


def whole(units: int, density: float) -> dict[str, Any]:
  """Times all measures, nulls and pairs of a whole layer, once."""
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
  """Times the measures, prints the times and writes them."""
  parser = interleave.parser('benchmarks.locality', __doc__, rounds=3)
  parser.add_argument('--units', type=int, default=38400, help='of the layer')
  parser.add_argument('--some', type=int, default=1024, help='of the loops')
  parser.add_argument('--draws', type=int, default=200, help='for the loops')
  args = parser.parse_args(argv)
  layers = [whole(args.units, density) for density in (0.01, 1.0)]
  filters = layer(args.some, 1.0)
  want = ours(filters, args.draws)
  calls = {}
  for name, fn in CANDIDATES.items():
    check(name, fn(filters, args.draws), want, args.draws)
    calls[name] = lambda fn=fn: fn(filters, args.draws)
  labels = {'filters': args.some, 'draws': args.draws}
  rows = interleave.compare(calls, args.rounds, ['ours'], labels, _SECONDS)
  interleave.finish(args.out, [*layers, *rows])
  for row in layers:
    print(
      f'{row["units"]:,} filters, {100 * row["density"]:g} % non-zero, '
      f'{row["layer_bytes"] / 1e9:.2f} GB: {row["filters_s"]:.1f} s, pairs '
      f'{row["pairs_s"]:.1f} s, at most {row["peak_bytes"] / 1e9:.1f} GB in all'
    )
  interleave.show(
    'Milliseconds of some (over ours):',
    rows,
    ('filters', 'draws'),
    interleave.milliseconds('ours'),
  )


if __name__ == '__main__':
  main()
