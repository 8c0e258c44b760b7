"""Tables of runs: for a terminal, as Markdown and as CSV."""

import collections
import csv
import io
import pathlib
import statistics
from collections.abc import Collection, Sequence

import rich.console
import rich.table

from lconv_jax import errors, runs
from lconv_jax.report.find import flat
from lconv_jax.report.names import epochs, machine, method

# A cell of a table; None: not known.
Cell = str | int | float | None
Row = dict[str, Cell]

# The terminal shows these columns, files have all of them.
SHOWN = (
  'method',
  'α',
  'epochs',
  'seed',
  'test (%)',
  'validation (%)',
  'non-zero',
  'non-zero (%)',
  'first layer (%)',
  'local (%)',
  'by chance (%)',
  'spread (px)',
)


def row(run: runs.Record) -> Row:
  """Returns a run's line of the table: raw numbers by column."""
  best, done = run.best, run.done or {}
  shares = {
    key.removeprefix('nonzero/'): value
    for key, value in best.items()
    if key.startswith('nonzero/')
  }
  weights = done.get('weights', {})
  if not weights.keys() <= shares.keys():
    weights = {}
  nonzero = sum(round(shares[k] * n) for k, n in weights.items())
  total = sum(weights.values())
  local = done.get('locality', {})  # measured where the first layer is dense
  last = run.metrics[-1] if run.metrics else {}
  environment = run.environment
  return {
    'method': method(run.config),
    'α': run.config.model.base_channels,
    'epochs': epochs(run),
    'test (%)': _percent(best.get('test/accuracy')),
    'validation (%)': _percent(best.get('validation/accuracy')),
    # Mean over the epoch, on augmented images.
    'train (%)': _percent(best.get('train/accuracy')),
    'weights': total or None,
    'non-zero': nonzero if total else None,
    'non-zero (%)': _percent(nonzero / total) if total else None,
    # Layers are written in the order of depth.
    'first layer (%)': _percent(next(iter(shares.values()), None)),
    'local (%)': _percent(local.get('local_of_all')),
    'by chance (%)': _percent(local.get('chance_of_all')),
    'spread (px)': local.get('spread'),
    'data': run.config.data.name,
    'augment': run.config.data.augment,
    'seed': run.config.seed,
    'seconds': last.get('seconds'),  # since the run began
    'machine': machine(environment),
    'jax': environment.get('jax'),
    'commit': environment.get('commit'),
    'command': environment.get('command'),
  }


def over_seeds(shown: Sequence[runs.Record], rows: Sequence[Row]) -> list[Row]:
  """Returns a row for runs that differ in the seed alone: mean ± deviation.

  Deviations are standard deviations over seeds. What is not a number is listed,
  and a number that some of the runs lack is not known.

  Args:
    shown: the runs.
    rows: a row of each, from `row`.
  """
  return [_joined([rows[i] for i in places]) for places in by_seeds(shown)]


def by_seeds(shown: Sequence[runs.Record]) -> list[list[int]]:
  """Returns the places of runs that differ in the seed alone, together.

  Copies of a run and runs that have come to different epochs stand apart.
  """
  free = 'seed', *runs.FREE
  groups, copies = {}, collections.Counter()
  for i, run in enumerate(shown):
    fields = {k: v for k, v in flat(run).items() if not k.startswith(free)}
    setting = repr((sorted(fields.items()), epochs(run)))
    copies[setting, run.config.seed] += 1
    key = setting, copies[setting, run.config.seed]
    groups.setdefault(key, []).append(i)
  return list(groups.values())


def _joined(rows: Sequence[Row]) -> Row:
  return {name: _over(name, [row[name] for row in rows]) for name in rows[0]}


def _over(name: str, cells: Sequence[Cell]) -> Cell:
  """Returns the cell of a column for several seeds."""
  different = list(dict.fromkeys(cells))
  if len(different) == 1:
    return different[0]
  if None in different:
    return None
  if name == 'seed' or any(isinstance(cell, str) for cell in cells):
    return ', '.join(map(str, different))
  mean, deviation = statistics.fmean(cells), statistics.stdev(cells)
  if all(isinstance(cell, int) for cell in cells):
    mean, deviation = round(mean), round(deviation)
  return f'{show(mean)} ± {show(deviation)}'


def text(rows: Sequence[Row], columns: Sequence[str] = SHOWN) -> str:
  """Returns some columns of rows as an aligned table for a terminal."""
  return aligned([columns, *([show(r[c]) for c in columns] for r in rows)])


def aligned(
  lines: Sequence[Sequence[str]],
  title: str | None = None,
  left: Collection[int] = (0,),
  widths: Sequence[int] = (),
) -> str:
  """Returns cells in columns for a terminal, however wide that is.

  Args:
    lines: the header, then rows of as many cells.
    title: stands above; None: nothing does.
    left: columns of text, which stand left; numbers stand right.
    widths: the least width of the first columns, in letters.
  """
  header, *rows = lines
  made = rich.table.Table(
    box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title,
    title_justify='left',
  )  # fmt: skip
  least = [*widths, *[None] * len(header)]
  for i, name in enumerate(header):
    justify = 'left' if i in left else 'right'
    made.add_column(name, justify=justify, min_width=least[i], no_wrap=True)
  for cells in rows:
    made.add_row(*map(errors.printable, cells))
  # Brackets and colons of names are not markup; a notebook gets text as well,
  # though its kernel sets FORCE_COLOR.
  console = rich.console.Console(
    file=io.StringIO(), width=10_000, markup=False, emoji=False,
    force_jupyter=False, color_system=None,
  )  # fmt: skip
  console.print(made)
  return '\n'.join(
    line.rstrip() for line in console.file.getvalue().splitlines()
  )


def markdown(rows: Sequence[Row]) -> str:
  """Returns rows as a Markdown table with all columns."""
  cells = [[show(v) for v in r.values()] for r in rows]
  return as_markdown([list(rows[0]), *cells])


def as_markdown(lines: Sequence[Sequence[str]], left: int = 1) -> str:
  """Returns cells as a Markdown table; `left` columns are text."""
  header, *rows = ([_in_markdown(cell) for cell in line] for line in lines)
  rule = ['---' if i < left else '--:' for i in range(len(header))]
  return ''.join(f'| {" | ".join(line)} |\n' for line in (header, rule, *rows))


def write_csv(
  rows: Sequence[Row], path: str | pathlib.Path, digits: int = 4
) -> None:
  """Writes rows with all columns; unknown cells are empty.

  Args:
    rows: of the same columns.
    path: of the CSV.
    digits: decimals of a float; 0: all that it has.
  """

  def written(cell: Cell) -> Cell:
    if isinstance(cell, str):
      return _in_csv(cell)
    return round(cell, digits) if digits and isinstance(cell, float) else cell

  with open(path, 'w', encoding='utf-8', newline='') as f:
    writer = csv.DictWriter(f, fieldnames=rows[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows({k: written(v) for k, v in r.items()} for r in rows)


def _in_markdown(cell: str) -> str:
  """Returns a cell that is shown as it is: not as HTML, link or picture."""
  cell = errors.printable(cell).replace('<', '&lt;')
  return cell.replace('|', r'\|').replace('[', r'\[')


def _in_csv(cell: str) -> str:
  """Returns a cell that no spreadsheet takes for a formula."""
  cell = errors.printable(cell)
  return f"'{cell}" if cell.startswith(('=', '+', '-', '@')) else cell


def _percent(share: float | None) -> float | None:
  return None if share is None else 100.0 * share


def show(cell: Cell) -> str:
  """Returns a cell as text."""
  match cell:
    case None:
      return '–'
    case float():
      # Two decimals, or two digits where the decimals would be zeros.
      return f'{cell:.2g}' if 0 < cell < 0.1 else f'{cell:.2f}'
    case int():
      return f'{cell:,}'
  return cell
