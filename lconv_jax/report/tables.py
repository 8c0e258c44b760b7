"""Tables 1 and 2: the paper's accuracies beside ours.

They are written as Markdown, as CSV with a line for each cell, and for a
terminal.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from lconv_jax import errors, models
from lconv_jax.report import (
  captions,
  experiments,
  published,
  selection,
  style,
  table,
)
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.item import Drawn
from lconv_jax.report.published import Row

_NO_RUN, _NOT_KNOWN = '– no run', '– not known'
_LEFT = 2  # columns of text: net and method

_Page = list[list[str]]  # the table of a data set, its header first


class Cell(NamedTuple):
  """The place where a row meets a data set and a number of epochs."""

  row: Row
  data: str
  epochs: int
  ours: Experiment | None
  paper: published.Number | None


def draw(
  chosen: Sequence[Experiment],
  request: captions.Request,
  name: str,
  paper: published.Table,
) -> Drawn:
  """Makes a table, whatever runs there are; see `item.Item`.

  Args:
    chosen: those that fit no row of the table are left out.
    request: what was asked for.
    name: of the table.
    paper: its rows, with the numbers that are known.

  Returns:
    What was made.

  Raises:
    UsageError: no run fits, or several that differ in what is not tuned.
  """
  blocks = {}
  for cell in _cells(chosen, paper):
    blocks.setdefault(cell.data, []).append(cell)
  cells = [cell for block in blocks.values() for cell in block]
  if not (ours := [cell.ours for cell in cells if cell.ours]):
    rows = ', '.join(f'{net} by {method}' for net, method in paper)
    raise errors.UsageError(
      f'No run is of a row of {name} ({rows}); python -m launch.local {name} '
      'trains them.'
    )
  pages, left_out = {}, []
  for data, block in blocks.items():
    experiments.agree(
      [cell.ours for cell in block if cell.ours],
      experiments.COMPARED,
      f'{name}, {data}',
    )
    title = captions.data_title(data, request)
    if any(cell.ours or cell.paper for cell in block):
      pages[title] = _page(block, paper)
    else:
      left_out.append(title)
  notes = [
    'Test accuracy (%) of the epoch with the best validation accuracy, of the '
    'winner by validation accuracy among runs that differ in learning rate, '
    'momentum, weight decay, λ or dropout; mean ± standard deviation over '
    "seeds. α is named where it is not the paper's.",
    f'"{_NO_RUN}": nobody has run it here. "{_NOT_KNOWN}": the paper has a '
    'number that is not known here. "(recalled)": from memory of the main '
    'text, not checked against it.',
    published.NOTES[name],
  ]
  if left_out:
    notes.append(f'No runs, and no known numbers: {", ".join(left_out)}.')
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
  return Drawn(
    functools.partial(_save, cells, pages, [*filter(None, notes)]),
    (f'Table {name[-1]} of the paper beside ours.', *notes),
    experiments.all_runs(ours),
    [words] if missing else [],
    '\n\n'.join(
      table.aligned(page, title, range(_LEFT)) for title, page in pages.items()
    )
    + '\n',
  )


def _save(
  cells: Sequence[Cell],
  pages: dict[str, _Page],
  notes: Sequence[str],
  path: pathlib.Path,
  caption: str,
) -> style.Paths:
  parts = [
    f'**{title}**\n\n{table.as_markdown(page, _LEFT)}'
    for title, page in pages.items()
  ]
  path = path.with_suffix('.md')
  path.parent.mkdir(parents=True, exist_ok=True)
  text = '\n'.join([*parts, *(f'{note}\n' for note in notes)])
  path.write_text(text, encoding='utf-8')
  table.write_csv([_line(c) for c in cells], path.with_suffix('.csv'))
  return path, path.with_suffix('.csv'), style.save_caption(caption, path)


def _cells(chosen: Sequence[Experiment], paper: published.Table) -> list[Cell]:
  """Returns all cells: the paper's, and those that only our runs have.

  Args:
    chosen: of those that fit a cell, the largest α fills it, a finished one
      if there is any.
    paper: rows of the table, with the numbers that are known.

  Raises:
    UsageError: experiments of one cell differ in what is not tuned.
  """
  rows = list(paper)
  nets = {net for net, method in rows if method != 'SGD'}
  chosen = experiments.from_scratch(chosen)
  # β-LASSO with other β than the paper's has a row of its own.
  others = [e for e in chosen if e.net in nets and e.beta is not None]
  for e in sorted(others, key=lambda e: e.beta):
    if (row := Row(e.net, e.method)) not in rows:
      rows.append(row)
  ours = {}
  for e in chosen:
    if (row := Row(e.net, e.method)) in rows:
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
  widest = experiments.largest(chosen, lambda e: (e.finished, e.alpha))
  e = widest[0]
  experiments.agree(widest, (), f'{e.net} by {e.method}, {e.epochs} epochs')
  return e


def _page(block: Sequence[Cell], paper: published.Table) -> _Page:
  """Returns the table of a data set, its header first."""
  known = {cell.epochs for cell in block if cell.paper}
  columns = [
    (epochs, kind)
    for epochs in sorted(known | {cell.epochs for cell in block if cell.ours})
    for kind in ('ours', 'paper')
    if kind == 'ours' or epochs in known
  ]
  page = [['net', 'method', *(f'{k}, {e} epochs' for e, k in columns)]]
  cells = {(cell.row, cell.epochs): cell for cell in block}
  rows = (cell.row for cell in block if cell.row in paper or cell.ours)
  for row in dict.fromkeys(rows):
    line = list(row)
    for epochs, kind in columns:
      cell = cells[row, epochs]
      line.append(_ours(cell) if kind == 'ours' else _paper(cell, row in paper))
    page.append(line)
  return page


def _ours(cell: Cell) -> str:
  e = cell.ours
  if not e:
    return _NO_RUN
  text, words = selection.words(*e.accuracy('test')), []
  if e.alpha != models.NETS[e.name].base_channels:
    words.append(f'α = {e.alpha}')
  if not e.finished:
    words.append('unfinished')
  return text + (f' ({", ".join(words)})' if words else '')


def _paper(cell: Cell, has_row: bool) -> str:
  if not cell.paper:
    return _NOT_KNOWN if has_row else '–'
  recalled = ' (recalled)' if cell.paper.recalled else ''
  return f'{cell.paper.percent:.2f}{recalled}'


def _line(cell: Cell) -> table.Row:
  e, mean, deviation, environment = cell.ours, None, None, {}
  if e:
    mean, deviation = e.accuracy('test')
    environment = e.runs[0].environment
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
    'commit': environment.get('commit'),
    'command': environment.get('command'),
  }
