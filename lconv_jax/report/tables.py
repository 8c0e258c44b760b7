"""Tables 1 and 2: the paper's accuracies beside ours.

They are written as Markdown, as CSV with a line for each cell, and for a
terminal.
"""

import functools
import itertools
import pathlib
from collections.abc import Sequence

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
from lconv_jax.report.published import Number, Row

_NO_RUN, _NOT_KNOWN = '– no run', '– not known'
_LEFT = 2  # columns of text: net and method

_Page = list[list[str]]  # the table of a data set, its header first
# Where a row meets a number of epochs: our experiment and the paper's number.
_Cells = dict[tuple[Row, int], tuple[Experiment | None, Number | None]]


def draw(
  chosen: Sequence[Experiment],
  request: captions.Request,
  name: str,
  paper: published.Table,
) -> Drawn:
  """Makes a table, whatever runs there are; see `item.Item`.

  Args:
    chosen: experiments that fit no row of the table are left out. If several
      fit a cell, the largest α fills it, a finished one if there is any.
    request: what was asked for.
    name: of the table.
    paper: its rows, with the numbers that are known.

  Raises:
    UsageError: no run fits, or several that differ in what is not tuned.
  """
  rows, ours = _ours(chosen, paper)
  if not ours:
    known = ', '.join(f'{net} by {method}' for net, method in paper)
    raise errors.UsageError(
      f'No run is of a row of {name} ({known}); python -m launch.local {name} '
      'trains them.'
    )
  theirs = {
    (row, *at): n for row, known in paper.items() for at, n in known.items()
  }
  lengths = sorted({epochs for *_, epochs in ours | theirs})
  lines, pages, left_out = [], {}, []
  for data in dict.fromkeys([*published.DATA, *(data for _, data, _ in ours)]):
    own = [e for e in ours.values() if e.data == data]
    experiments.agree(own, experiments.COMPARED, f'{name}, {data}')
    cells = {
      (row, n): (ours.get((row, data, n)), theirs.get((row, data, n)))
      for row in rows
      for n in lengths
    }
    lines += [_line(row, data, n, *cell) for (row, n), cell in cells.items()]
    title = captions.data_title(data, request)
    if own:
      pages[title] = _page(cells, paper)
    else:
      left_out.append(title)
  notes = [
    'Test accuracy (%) of the epoch with the best validation accuracy, of the '
    'winner by validation accuracy among runs that differ in learning rate, '
    'momentum, weight decay, λ or dropout; mean ± standard deviation over '
    "seeds. α is named where it is not the paper's.",
    f'"{_NO_RUN}": there is no such run here. "{_NOT_KNOWN}": the paper has a '
    'number that is not known here. "(recalled)": from memory of the main '
    'text, not checked against it.',
    published.NOTES[name],
  ]
  if left_out:
    notes.append(
      f"No runs of {', '.join(left_out)}; the paper's numbers that are known "
      'are in the CSV file.'
    )
  cells = set(itertools.product(paper, published.DATA, {n for *_, n in theirs}))
  missing = len(cells - ours.keys())
  words = f"{missing} of the paper's {len(cells)} cells"
  shown = [table.aligned(p, title, range(_LEFT)) for title, p in pages.items()]
  return Drawn(
    functools.partial(_save, lines, pages, [*filter(None, notes)]),
    (f'Table {name[-1]} of the paper beside ours.', *notes),
    experiments.all_runs(ours.values()),
    [words] if missing else [],
    '\n\n'.join([*shown, '']),
  )


def _save(
  lines: Sequence[table.Row],
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
  table.write_csv(lines, path.with_suffix('.csv'))
  return path, path.with_suffix('.csv'), style.save_caption(caption, path)


def _ours(
  chosen: Sequence[Experiment], paper: published.Table
) -> tuple[list[Row], dict[tuple[Row, str, int], Experiment]]:
  """Returns all rows, and our experiments by row, data set and epochs."""
  rows = list(paper)
  nets = {net for net, method in rows if method != 'SGD'}
  chosen = experiments.from_scratch(chosen)
  # β-LASSO with other β than the paper's has a row of its own.
  others = [e for e in chosen if e.net in nets and e.beta is not None]
  others = [Row(e.net, e.method) for e in sorted(others, key=lambda e: e.beta)]
  rows = list(dict.fromkeys([*rows, *others]))
  fitting = {}
  for e in chosen:
    if (row := Row(e.net, e.method)) in rows:
      fitting.setdefault((row, e.data, e.epochs), []).append(e)
  ours = {}
  for cell, found in fitting.items():
    widest = experiments.largest(found, lambda e: (e.finished, e.alpha))
    e = ours[cell] = widest[0]
    experiments.agree(widest, (), f'{e.net} by {e.method}, {e.epochs} epochs')
  return rows, ours


def _page(cells: _Cells, paper: published.Table) -> _Page:
  """Returns the table of a data set, its header first."""
  known = {n for (_, n), (_, number) in cells.items() if number}
  tried = {n for (_, n), (e, _) in cells.items() if e}
  columns = [
    (n, kind)
    for n in sorted(known | tried)
    for kind, lengths in (('ours', tried), ('paper', known))
    if n in lengths
  ]
  page = [['net', 'method', *(f'{kind}, {n} epochs' for n, kind in columns)]]
  rows = (row for (row, _), (e, _) in cells.items() if row in paper or e)
  for row in dict.fromkeys(rows):
    line = list(row)
    for n, kind in columns:
      e, number = cells[row, n]
      line.append(_words(e) if kind == 'ours' else _known(number, row in paper))
    page.append(line)
  return page


def _words(e: Experiment | None) -> str:
  if not e:
    return _NO_RUN
  notes = []
  if e.alpha != models.NETS[e.name].base_channels:
    notes.append(f'α = {e.alpha}')
  if not e.finished:
    notes.append('unfinished')
  text = selection.words(*e.accuracy('test'))
  return text + (f' ({", ".join(notes)})' if notes else '')


def _known(number: Number | None, has_row: bool) -> str:
  if not number:
    return _NOT_KNOWN if has_row else '–'
  recalled = ' (recalled)' if number.recalled else ''
  return f'{number.percent:.2f}{recalled}'


def _line(
  row: Row, data: str, epochs: int, e: Experiment | None, number: Number | None
) -> table.Row:
  mean, deviation = e.accuracy('test') if e else (None, None)
  environment = e.runs[0].environment if e else {}
  return {
    'net': row.net,
    'method': row.method,
    'data': data,
    'epochs': epochs,
    'test (%)': mean,
    'test ± (%)': deviation,
    'seeds': len(e.runs) if e else None,
    'α': e.alpha if e else None,
    'finished': str(e.finished) if e else 'no run',
    'paper (%)': number.percent if number else None,
    'source': number.source if number else None,
    'run': str(e.runs[0].path) if e else None,
    'commit': environment.get('commit'),
    'command': environment.get('command'),
  }
