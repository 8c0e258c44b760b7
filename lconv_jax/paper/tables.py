"""Tables 1 and 2: the paper's accuracies beside ours.

Written as Markdown, as CSV with a line for each cell, and for a terminal.
"""

import functools
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import rich.console
import rich.table

from lconv_jax import errors, models, report
from lconv_jax.figures import style
from lconv_jax.paper import captions, experiments, published
from lconv_jax.paper.experiments import Experiment
from lconv_jax.paper.item import Drawn

_NO_RUN, _NOT_KNOWN = '– no run', '– not known'
_WIDTH = 200  # columns of a terminal, at most

_Page = tuple[str, Sequence[Sequence[str]]]  # a data set's title and table


class Cell(NamedTuple):
  """Where a row meets a data set and a number of epochs."""

  row: published.Row
  data: str
  epochs: int
  ours: Experiment | None
  paper: published.Number | None


def draw(
  chosen: Sequence[Experiment],
  path: pathlib.Path,
  request: captions.Request,
  name: str,
  paper: Mapping[published.Row, published.Cells],
) -> Drawn:
  """Writes a table, whatever runs there are; see `item.Item`.

  Args:
    chosen: those of no row of the table are left out.
    path: of the Markdown; CSV and caption stand beside it.
    request: what was asked for.
    name: of the table.
    paper: its rows, with the numbers that we know.

  Returns:
    What came of it.

  Raises:
    UsageError: no run fits, or several that differ in what is not tuned.
  """
  cells = table(chosen, paper)
  shown = [cell.ours for cell in cells if cell.ours]
  if not shown:
    rows = ', '.join(f'{net} by {method}' for net, method in paper)
    raise errors.UsageError(
      f'No run is of a row of {name} ({rows}); python -m launch.local {name} '
      'trains them.'
    )
  blocks = {}
  for cell in cells:
    blocks.setdefault(cell.data, []).append(cell)
  for data, block in blocks.items():
    ours = [cell.ours for cell in block if cell.ours]
    experiments.agree(ours, experiments.COMPARED, f'{name}, {data}')
  titles = {data: report.data_title(data, request.data) for data in blocks}
  pages = [
    (titles[data], _page(block, paper))
    for data, block in blocks.items()
    if any(cell.ours or cell.paper for cell in block)
  ]
  left_out = [
    titles[data]
    for data, block in blocks.items()
    if not any(cell.ours or cell.paper for cell in block)
  ]
  notes = [
    'Test accuracy (%) of the epoch with the best validation accuracy, of the '
    'winner by validation accuracy among runs that differ in learning rate, '
    'momentum, weight decay, λ or dropout; mean ± standard deviation over '
    "seeds. α is named where it is not the paper's.",
    f'"{_NO_RUN}": nobody has run it here. "{_NOT_KNOWN}": the paper has a '
    'number that is not known here. "(recalled)": from memory of the main '
    'text, not checked against it.',
    published.NOTES[name],
    f'No runs, and no known numbers: {", ".join(left_out)}.'
    if left_out
    else '',
  ]
  path = path.with_suffix('.md')
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(_markdown(pages, [n for n in notes if n]), encoding='utf-8')
  report.write_csv([_line(c) for c in cells], path.with_suffix('.csv'))
  about = f'Table {name.removeprefix("table")} of the paper beside ours.'
  runs = experiments.all_runs(shown)
  text = captions.caption((about, *notes), runs, request)
  paths = path, path.with_suffix('.csv'), style.save_caption(text, path)
  lengths = {epochs for known in paper.values() for _, epochs in known}
  theirs = [
    cell
    for cell in cells
    if cell.row in paper
    and cell.data in published.DATA
    and cell.epochs in lengths
  ]
  missing = sum(not cell.ours for cell in theirs)
  words = f"{missing} of the paper's {len(theirs)} cells"
  return Drawn(paths, [words] if missing else [], _terminal(pages))


def of(
  name: str, paper: Mapping[published.Row, published.Cells]
) -> functools.partial:
  """Returns `draw` for one table."""
  return functools.partial(draw, name=name, paper=paper)


def table(
  chosen: Sequence[Experiment],
  paper: Mapping[published.Row, published.Cells],
) -> list[Cell]:
  """Returns all cells: the paper's, and those that only our runs have.

  Args:
    chosen: of those that fit a cell, the largest α fills it, a finished one
      if there is any.
    paper: rows of the table, with the numbers that we know.

  Raises:
    UsageError: experiments of one cell differ in what is not tuned.
  """
  rows = list(paper)
  nets = {net for net, method in rows if method != 'SGD'}
  chosen = experiments.from_scratch(chosen)
  others = [  # of β-LASSO, other β than the paper's
    e for e in chosen if e.net in nets and 'optim.beta' in e.fields
  ]
  for e in sorted(others, key=lambda e: e.fields['optim.beta']):
    if (row := published.Row(e.net, e.method)) not in rows:
      rows.append(row)
  ours = {}
  for e in chosen:
    if (row := published.Row(e.net, e.method)) in rows:
      ours.setdefault((row, e.data, e.epochs), []).append(e)
  lengths = sorted(
    {epochs for cells in paper.values() for _, epochs in cells}
    | {epochs for _, _, epochs in ours}
  )
  names = dict.fromkeys([*published.DATA, *(data for _, data, _ in ours)])
  return [
    Cell(
      row,
      data,
      epochs,
      _one(ours.get((row, data, epochs), ())),
      paper.get(row, {}).get((data, epochs)),
    )
    for data in names
    for row in rows
    for epochs in lengths
  ]


def _one(chosen: Sequence[Experiment]) -> Experiment | None:
  if not chosen:
    return None
  widest = experiments.largest(chosen, lambda e: e.finished, lambda e: e.alpha)
  e = widest[0]
  experiments.agree(widest, (), f'{e.net} by {e.method}, {e.epochs} epochs')
  return e


def _page(
  block: Sequence[Cell], paper: Mapping[published.Row, published.Cells]
) -> list[list[str]]:
  """Returns the table of a data set, its header first."""
  known = {cell.epochs for cell in block if cell.paper}
  shown = known | {cell.epochs for cell in block if cell.ours}
  columns = [
    (epochs, kind)
    for epochs in sorted(shown)
    for kind in ('ours', 'paper')
    if kind == 'ours' or epochs in known
  ]
  cells = {(cell.row, cell.epochs): cell for cell in block}
  header = ['net', 'method', *(f'{k}, {e} epochs' for e, k in columns)]
  return [header] + [
    [
      *row,
      *(
        _ours(cells[row, epochs])
        if kind == 'ours'
        else _paper(cells[row, epochs], row in paper)
        for epochs, kind in columns
      ),
    ]
    for row in dict.fromkeys(
      cell.row for cell in block if cell.row in paper or cell.ours
    )
  ]


def _ours(cell: Cell) -> str:
  e = cell.ours
  if not e:
    return _NO_RUN
  mean, deviation = e.accuracy('test')
  text = f'{mean:.2f}' + (
    f' ± {deviation:.2f}' if deviation is not None else ''
  )
  words = []
  if e.alpha != models.NETS[e.fields['model.name']].base_channels:
    words.append(f'α = {e.alpha}')
  if not e.finished:
    words.append('unfinished')
  return text + (f' ({", ".join(words)})' if words else '')


def _paper(cell: Cell, has_row: bool) -> str:
  if not cell.paper:
    return _NOT_KNOWN if has_row else '–'
  recalled = ' (recalled)' if cell.paper.recalled else ''
  return f'{cell.paper.percent:.2f}{recalled}'


def _line(cell: Cell) -> report.Row:
  e, mean, deviation = cell.ours, None, None
  if e:
    mean, deviation = e.accuracy('test')
  return {
    'net': cell.row.net,
    'method': cell.row.method,
    'data': cell.data,
    'epochs': cell.epochs,
    'test (%)': mean,
    'test ± (%)': deviation,
    'seeds': len(e.runs) if e else None,
    'α': e.alpha if e else None,
    'finished': str(e.finished) if e else 'no run',
    'paper (%)': cell.paper.percent if cell.paper else None,
    'source': cell.paper.source if cell.paper else None,
    'run': str(e.runs[0].path) if e else None,
    'commit': e.runs[0].environment.get('commit') if e else None,
    'command': e.runs[0].environment.get('command') if e else None,
  }


def _markdown(pages: Sequence[_Page], notes: Sequence[str]) -> str:
  parts = []
  for title, (header, *rows) in pages:
    rule = ['---', '---', *['--:'] * (len(header) - 2)]
    lines = [f'| {" | ".join(line)} |' for line in (header, rule, *rows)]
    parts.append('\n'.join([f'**{title}**', '', *lines]))
  return '\n\n'.join([*parts, *notes]) + '\n'


def _terminal(pages: Sequence[_Page]) -> str:
  console = rich.console.Console(file=io.StringIO(), width=_WIDTH)
  for title, (header, *rows) in pages:
    made = rich.table.Table(title=title, title_justify='left', box=None)
    for i, column in enumerate(header):
      made.add_column(column, justify='left' if i < 2 else 'right')
    for row in rows:
      made.add_row(*row)
    console.print(made)
    console.print()
  lines = console.file.getvalue().splitlines()
  return '\n'.join(line.rstrip() for line in lines)
