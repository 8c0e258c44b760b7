"""k-means of numbers: clusters are ranges, so that the optimum can be found."""

import numpy as np
from jaxtyping import Float, Integer

_GROUPS = 512  # of numbers that the exact search takes as one
_ITERATIONS = 300


def kmeans(
  values: Float[np.ndarray, ' n'], counts: Integer[np.ndarray, ' n'], k: int
) -> Float[np.ndarray, ' k']:
  """Returns means of at most k clusters with the least sum of squares.

  Dynamic programming (Wang and Song, Ckmeans.1d.dp, The R Journal 2011) is
  exact for up to 512 numbers. More numbers are joined into 512 groups first,
  and Lloyd's algorithm then improves the means on all numbers.

  Args:
    values: distinct and ascending, at least one.
    counts: how often each occurs.
    k: number of clusters, 1 or more.

  Returns:
    float64, ascending.
  """
  values = values.astype(np.float64)
  if len(values) <= k:
    return values
  # Count, sum and sum of squares of all numbers before each place.
  sums = np.stack([counts, counts * values, counts * values**2])
  sums = np.pad(np.cumsum(sums, axis=1), ((0, 0), (1, 0)))
  cuts = _groups(values, counts)
  ends = cuts[_best_ends(sums[:, cuts], min(k, len(cuts) - 1))]
  means = _means(sums, ends)
  for _ in range(_ITERATIONS):
    inner = np.searchsorted(values, (means[1:] + means[:-1]) / 2)
    ends = np.unique(np.concatenate([[0], inner, [len(values)]]))
    new = _means(sums, ends)
    if np.array_equal(new, means):
      break
    means = new
  return means


def _groups(
  values: Float[np.ndarray, ' n'], counts: Integer[np.ndarray, ' n']
) -> Integer[np.ndarray, ' cuts']:
  """Returns where groups begin and end.

  Groups are as dense as the best levels for the distribution of the numbers: in
  proportion to the cube root of its density (Bennett, Bell System Technical
  Journal 1948).
  """
  if len(values) <= _GROUPS:
    return np.arange(len(values) + 1)
  levels = np.cumsum(np.cbrt(counts * np.gradient(values) ** 2))
  steps = levels[-1] * np.arange(1, _GROUPS) / _GROUPS
  inner = np.searchsorted(levels, steps)
  return np.unique(np.concatenate([[0], inner, [len(values)]]))


def _best_ends(
  sums: Float[np.ndarray, '3 places'], k: int
) -> Integer[np.ndarray, ' ends']:
  """Returns the places that divide groups into k clusters, with both ends."""
  count, total, square = sums[:, None, :] - sums[:, :, None]
  places = len(count)
  # [i, j]: the sum of squares of a cluster from place i to place j.
  cost = np.full((places, places), np.inf)
  some = np.triu_indices(places, 1)
  cost[some] = square[some] - total[some] ** 2 / count[some]
  best, before = cost[0], []
  for _ in range(k - 1):
    ways = best[:, None] + cost
    before.append(ways.argmin(0))
    best = ways.min(0)
  ends = [places - 1]
  for last in reversed(before):
    ends.append(int(last[ends[-1]]))
  return np.array([0, *reversed(ends)])


def _means(
  sums: Float[np.ndarray, '3 places'], ends: Integer[np.ndarray, ' ends']
) -> Float[np.ndarray, ' clusters']:
  count, total, _ = np.diff(sums[:, ends], axis=1)
  return total / count
