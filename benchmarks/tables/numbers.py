"""Numbers as tables show them: means over seeds, of winners, rounded."""

import math
import statistics
from collections.abc import Iterable, Sequence

from lconv_jax.report import selection, table

NOT_RUN = 'not run'
MOMENTUM = 'SGD momentum=0.9 wd=5e-4'  # as `method` has it


def winner(rows: Iterable[table.Row]) -> list[table.Row]:
  """Returns the rows, one for each seed, of the best method by validation."""
  groups = {}
  for row in rows:
    groups.setdefault(row['method'], []).append(row)
  if not groups:
    return []
  found = list(groups.values())
  scores = [
    {
      row['seed']: (row['validation (%)'], row['first layer (%)'])
      for row in own
    }
    for own in found
  ]
  return found[selection.best_setting(scores)]


def mean(rows: Sequence[table.Row], name: str = 'test (%)') -> float:
  """Returns the mean of one column."""
  return statistics.fmean(row[name] for row in rows)


def over_seeds(
  rows: Sequence[table.Row], name: str = 'test (%)', digits: int = 1
) -> str:
  """Returns mean and standard deviation; '' or 'not run' without values."""
  values = [row[name] for row in rows if row[name] is not None]
  if not values:
    return '' if rows else NOT_RUN
  words = f' ± {statistics.stdev(values):.{digits}f}' if values[1:] else ''
  return f'{statistics.fmean(values):.{digits}f}{words}'


def difference(a: Sequence[table.Row], b: Sequence[table.Row]) -> str:
  """Returns the mean test accuracy of `a` minus that of `b`.

  The deviation, where both have several seeds, is that of two runs.
  """
  values = [[row['test (%)'] for row in own] for own in (a, b)]
  words = ''
  if all(own[1:] for own in values):
    words = f' ± {math.hypot(*map(statistics.stdev, values)):.1f}'
  return f'{mean(a) - mean(b):+.1f}{words}'


def grouped(
  rows: Sequence[table.Row], name: str
) -> dict[table.Cell, list[table.Row]]:
  """Returns the rows by the value that they have in one column."""
  found = {}
  for row in rows:
    found.setdefault(row[name], []).append(row)
  return found


def share(percent: float) -> str:
  """Returns a share with two digits: 100, 1.9, 0.35."""
  return f'{percent:.0f}' if percent >= 10 else f'{percent:#.2g}'


def digits(value: float) -> str:
  """Returns a number with three digits, or with two if it is below 10."""
  if value >= 100:
    places = 2 - (len(f'{value:.0f}') - 1)
    return f'{round(value, places):,.0f}'
  return f'{value:.1f}' if value >= 1 else f'{value:.2f}'
