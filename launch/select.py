r"""Names the winner of a grid, chosen by validation accuracy (A.2).

  python -m launch.select runs/table1 --csv=table1.csv --markdown=table1.md

Points that differ in what is tuned alone (`configs.grids.TUNED`) compete; those
that differ in the seed alone are one, by their mean. Test accuracy is shown and
never looked at; it is that of the epoch with the best validation accuracy.
"""

import argparse
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import rich.console
import rich.table

from configs import grids
from launch import sweep
from lconv_jax import report, run


class Candidate(NamedTuple):
  """A point with its seeds."""

  point: grids.Point  # without the seed
  best: dict[str, Mapping[str, Any]]  # of finished seeds: metrics, by name
  seeds: int  # how many there are to be


def candidates(root: pathlib.Path, whole: sweep.Sweep) -> list[Candidate]:
  """Returns what a root holds, in the grid's order."""
  found = {}
  for name, point in whole.points.items():
    rest = {k: v for k, v in point.items() if k != 'seed'}
    before = found.get(repr(rest), Candidate(rest, {}, 0))
    best = dict(before.best)
    if finished := run.done(root / name):
      best[name] = finished['best']
    found[repr(rest)] = Candidate(rest, best, before.seeds + 1)
  return list(found.values())


def winners(all_of_them: Sequence[Candidate]) -> list[report.Row]:
  """Returns a row for each experiment: its winner, or that there is none.

  Only candidates all of whose seeds are finished compete; of equals the first
  one wins.

  Args:
    all_of_them: from `candidates`.

  Raises:
    ValueError: runs have no validation accuracy.
  """
  experiments = {}
  for c in all_of_them:
    outer = {k: v for k, v in c.point.items() if k not in grids.TUNED}
    experiments.setdefault(repr(outer), []).append(c)
  varied = _varied([c.point for c in all_of_them])
  rows = []
  for members in experiments.values():
    complete = [c for c in members if len(c.best) == c.seeds]
    won = max(complete, key=_validation, default=None)
    point = won.point if won else members[0].point
    row = {
      k: point.get(k) if won or k not in grids.TUNED else None for k in varied
    }
    for name in ('validation', 'test'):
      mean, std = _of_seeds(won, f'{name}/accuracy') if won else (None, None)
      row |= {f'{name} (%)': mean, f'{name} ± (%)': std}
    row['seeds'] = members[0].seeds
    row['finished'] = f'{len(complete)} of {len(members)}'
    row['run'] = next(iter(won.best)) if won else None
    rows.append(row)
  return rows


def _validation(c: Candidate) -> float:
  return _of_seeds(c, 'validation/accuracy')[0]


def _of_seeds(c: Candidate, metric: str) -> tuple[float, float | None]:
  """Returns mean and standard deviation in per cent, None of a single seed."""
  try:
    values = [100 * best[metric] for best in c.best.values()]
  except KeyError as e:
    raise ValueError(
      f'{next(iter(c.best))} has no {metric}: nothing may be chosen by test '
      'accuracy; train with config.data.validation above 0.'
    ) from e
  std = statistics.stdev(values) if len(values) > 1 else None
  return statistics.fmean(values), std


def _varied(points: Sequence[grids.Point]) -> list[str]:
  fields = dict.fromkeys(field for point in points for field in point)
  return [f for f in fields if len({repr(p.get(f)) for p in points}) > 1]


def table(rows: Sequence[report.Row]) -> rich.table.Table:
  """Returns rows for a terminal: fields that vary in two columns."""
  made = rich.table.Table(box=None)
  for column in (
    'experiment',
    'winner',
    'validation (%)',
    'test (%)',
    'finished',
  ):
    made.add_column(column, overflow='fold')
  for row in rows:
    fields = {k: v for k, v in row.items() if '.' in k and v is not None}
    tuned = {k: v for k, v in fields.items() if k in grids.TUNED}
    outer = {k: v for k, v in fields.items() if k not in grids.TUNED}
    made.add_row(
      _words(outer),
      _words(tuned) or row['run'] or '–',
      *(_accuracy(row, name) for name in ('validation', 'test')),
      row['finished'],
    )
  return made


def _words(fields: Mapping[str, Any]) -> str:
  """Returns 'model.name=s_fc momentum=0.9' and the like."""
  words = []
  for field, value in fields.items():
    short = field if field.endswith('.name') else field.rpartition('.')[2]
    value = f'{value:g}' if isinstance(value, float) else value
    words.append(f'{short}={value}')
  return ' '.join(words)


def _accuracy(row: report.Row, name: str) -> str:
  mean, std = row[f'{name} (%)'], row[f'{name} ± (%)']
  if mean is None:
    return '–'
  return f'{mean:.2f}' if std is None else f'{mean:.2f} ± {std:.2f}'


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = argparse.ArgumentParser(
    prog='python -m launch.select', description=__doc__.splitlines()[0]
  )
  parser.add_argument('root', metavar='DIR', help='the --root of a launcher')
  parser.add_argument('--csv', help='write the table')
  parser.add_argument('--markdown', help='write the table')
  args = parser.parse_args(argv)
  root = pathlib.Path(args.root).expanduser()
  try:
    rows = winners(candidates(root, sweep.read(root)))
  except ValueError as e:
    sys.exit(f'error: {e}')
  rich.console.Console().print(table(rows))
  try:
    if args.csv:
      report.write_csv(rows, args.csv)
    if args.markdown:
      text = report.markdown(rows)
      pathlib.Path(args.markdown).write_text(text, encoding='utf-8')
  except OSError as e:
    sys.exit(f'error: {e.filename} cannot be written ({e.strerror}).')


if __name__ == '__main__':
  main()
