"""Runs as one HTML page that needs no other file and no network."""

import base64
import html
import json
import pathlib
from collections.abc import Sequence

from lconv_jax import errors, runs
from lconv_jax.report import style, table

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #222; }
th button { font: inherit; border: 0; background: none; cursor: pointer; }
tr:nth-child(even) td { background: #f6f6f6; }
td a { color: inherit; text-decoration: none; }
td a:hover { text-decoration: underline; }
figure { margin: 1rem 0; overflow-x: auto; }
pre { overflow-x: auto; background: #f6f6f6; padding: .7rem; }
section:target { outline: 2px solid #0072b2; outline-offset: .5rem; }
"""
# Sorts by the column that was clicked on, the other way round at the next
# click. Cells without a number come last.
_SCRIPT = """
document.querySelectorAll('th').forEach((th, column) => {
  th.firstChild.addEventListener('click', () => {
    const body = document.querySelector('tbody');
    const down = th.ariaSort !== 'descending';
    document.querySelectorAll('th').forEach(other => other.ariaSort = null);
    th.ariaSort = down ? 'descending' : 'ascending';
    const key = row => row.cells[column].dataset.key;
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === '' || y === '') return (x === '') - (y === '');
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
});
"""


def page(
  shown: Sequence[runs.Record],
  rows: Sequence[table.Row],
  figures: Sequence[pathlib.Path],
  note: str,
) -> str:
  """Returns a page with a sortable table, figures, commands and configs.

  Every cell of the table links to the commands and configs of its runs.

  Args:
    shown: the runs.
    rows: a row of each, from `table.row`.
    figures: paths of PNGs, with captions as text files beside them.
    note: about the columns of the table.
  """
  heads = ''.join(
    f'<th scope="col"><button>{_text(name)}</button></th>'
    for name in table.SHOWN
  )
  groups = table.by_seeds(shown)
  lines, sections = [], []
  joined = table.over_seeds(shown, rows)
  for i, (row, places) in enumerate(zip(joined, groups, strict=True)):
    cells = ''.join(_cell(row[name], f'#runs-{i}') for name in table.SHOWN)
    lines.append(f'<tr>{cells}</tr>\n')
    about = ''.join(_about(shown[place]) for place in places)
    title = _text(row['method'])
    sections.append(f'<section id="runs-{i}"><h3>{title}</h3>\n{about}')
    sections.append('</section>\n')
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width">\n'
    f'<title>Runs</title>\n<style>{_STYLE}</style></head>\n<body>'
    f'<h1>Runs</h1>\n<div class="scroll"><table><thead><tr>{heads}</tr>'
    f'</thead>\n<tbody>{"".join(lines)}</tbody></table></div>\n'
    f'<p>{_text(note)}</p>\n{"".join(map(_figure, figures))}'
    f'<h2>Commands and configs</h2>\n{"".join(sections)}'
    f'<script>{_SCRIPT}</script>\n</body></html>\n'
  )


def _cell(cell: table.Cell, link: str) -> str:
  words = table.show(cell)
  # Sorted by the mean; what is not known has no key.
  key = '' if cell is None else words.partition(' ± ')[0].replace(',', '')
  return f'<td data-key="{_text(key)}"><a href="{link}">{_text(words)}</a></td>'


def _figure(path: pathlib.Path) -> str:
  png = path.read_bytes()
  image = base64.b64encode(png).decode()
  # Its size in print, so that letters are as large however many runs there are.
  width = int.from_bytes(png[16:20]) * 96 // style.DPI
  caption = _text(path.with_suffix('.txt').read_text(encoding='utf-8'))
  return (
    f'<figure><img width={width} alt="{path.stem}" '
    f'src="data:image/png;base64,{image}">\n'
    f'<details><summary>{path.stem}</summary><pre>{caption}</pre></details>'
    '</figure>\n'
  )


def _about(run: runs.Record) -> str:
  command = run.environment.get('command', 'command unknown')
  commit = run.environment.get('commit', 'unknown')
  config = json.dumps(run.config.to_dict(), indent=2, ensure_ascii=False)
  return (
    f'<h4>{_text(run.path)}, seed {run.config.seed}, commit {_text(commit)}'
    f'</h4>\n<pre>{_text(command)}</pre>\n'
    f'<details><summary>config</summary><pre>{_text(config)}</pre></details>\n'
  )


def _text(words: object) -> str:
  """Returns words as they are read, whatever characters they have."""
  lines = str(words).split('\n')
  return html.escape('\n'.join(map(errors.printable, lines)))
