r"""Names the winner of a grid, chosen by validation accuracy (A.2).

  python -m launch.select runs/table1 --csv=table1.csv --markdown=table1.md

Points compete if they differ only in what is tuned (`report.selection.TUNED`).
Points that differ only in the seed count as one, with their mean accuracy. Test
accuracy is shown, that of the epoch with the best validation accuracy, but
plays no part in the choice.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import rich.console
import rich.markup
import rich.table

from configs import grids
from launch import roots, sweep
from lconv_jax import errors, report, runs
from lconv_jax.report import command, selection


def candidates(
  root: pathlib.Path, whole: sweep.Sweep
) -> list[selection.Candidate]:
  """Returns the settings of a grid, in its order, with their finished runs."""
  found = {}
  for name, point in whole.points.items():
    rest = {k: v for k, v in point.items() if k != 'seed'}
    new = selection.Candidate(rest, {}, 0)
    before = found.get(repr(rest), new)
    best = dict(before.best)
    try:
      if finished := runs.done(root / name):
        best[name] = finished['best']
    except (OSError, errors.UsageError) as e:
      command.tell_left_out([errors.one_line(e)])
    found[repr(rest)] = selection.Candidate(rest, best, before.seeds + 1)
  return list(found.values())


def winners(all_of_them: Sequence[selection.Candidate]) -> list[report.Row]:
  """Returns a row for each experiment, with its winner if there is one.

  Candidates compete once all of their seeds are finished; the first of equal
  candidates wins.

  Args:
    all_of_them: from `candidates`.

  Raises:
    UsageError: runs have no validation accuracy.
  """
  experiments = {}
  for c in all_of_them:
    outer = {k: v for k, v in c.point.items() if k not in selection.TUNED}
    experiments.setdefault(repr(outer), []).append(c)
  varied = _varied([c.point for c in all_of_them])
  rows = []
  for members in experiments.values():
    won = selection.winner(members)
    point = won.point if won else members[0].point
    row = {
      k: point.get(k) if won or k not in selection.TUNED else None
      for k in varied
    }
    for name in ('validation', 'test'):
      mean, std = selection.accuracy(won, name) if won else (None, None)
      row |= {f'{name} (%)': mean, f'{name} ± (%)': std}
    row['seeds'] = members[0].seeds
    row['finished'] = f'{len(selection.complete(members))} of {len(members)}'
    row['run'] = next(iter(won.best)) if won else None
    rows.append(row)
  return rows


def _varied(points: Sequence[grids.Point]) -> list[str]:
  fields = dict.fromkeys(field for point in points for field in point)
  return [f for f in fields if len({repr(p.get(f)) for p in points}) > 1]


def table(rows: Sequence[report.Row]) -> rich.table.Table:
  """Returns rows for a terminal, with all varied fields in two columns."""
  made = rich.table.Table(box=None)
  names = 'experiment', 'winner', 'validation (%)', 'test (%)', 'finished'
  for name in names:
    made.add_column(name, overflow='fold')
  for row in rows:
    fields = {k: v for k, v in row.items() if '.' in k and v is not None}
    tuned = {k: v for k, v in fields.items() if k in selection.TUNED}
    outer = {k: v for k, v in fields.items() if k not in selection.TUNED}
    cells = [_words(outer), _words(tuned) or row['run'] or '–']
    for name in ('validation', 'test'):
      accuracy = row[f'{name} (%)'], row[f'{name} ± (%)']
      cells.append(selection.words(*accuracy))
    shown = [rich.markup.escape(errors.printable(cell)) for cell in cells]
    made.add_row(*shown, row['finished'])
  return made


def _words(fields: Mapping[str, Any]) -> str:
  """Returns fields as text, such as 'model.name=s_fc momentum=0.9'."""
  words = []
  for field, value in fields.items():
    short = field if field.endswith('.name') else field.rpartition('.')[2]
    value = f'{value:g}' if isinstance(value, float) else value
    words.append(f'{short}={value}')
  return ' '.join(words)


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
    rows = winners(candidates(root, roots.read(root)))
  except (ValueError, errors.UsageError) as e:
    sys.exit(f'error: {errors.one_line(e)}')
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
