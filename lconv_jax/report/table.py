"""A row for each run, for a terminal, as Markdown and as CSV."""

import csv
import pathlib
from collections.abc import Sequence

from lconv_jax import runs
from lconv_jax.report.names import epochs, machine, method

# What a cell of the table may hold; None: not known.
Cell = str | int | float | None
Row = dict[str, Cell]

# The terminal shows these columns, files show all of them.
_SHOWN = (
  'method',
  'α',
  'epochs',
  'test (%)',
  'validation (%)',
  'non-zero',
  'non-zero (%)',
  'first layer (%)',
  'local (%)',
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
  nonzero = sum(round(shares[k] * n) for k, n in weights.items())
  total = sum(weights.values())
  local = done.get('locality', {})  # of a dense first layer
  last = run.metrics[-1] if run.metrics else {}
  environment = run.environment
  return {
    'method': method(run.config),
    'α': run.config.model.base_channels,
    'epochs': epochs(run),
    'test (%)': _percent(best.get('test/accuracy')),
    'validation (%)': _percent(best.get('validation/accuracy')),
    # Over its epoch, on augmented images.
    'train (%)': _percent(best.get('train/accuracy')),
    'weights': total or None,
    'non-zero': nonzero if total else None,
    'non-zero (%)': _percent(nonzero / total) if total else None,
    # Layers are written in the order of depth.
    'first layer (%)': _percent(next(iter(shares.values()), None)),
    'local (%)': _percent(local.get('local_of_all')),
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


def text(rows: Sequence[Row], columns: Sequence[str] = _SHOWN) -> str:
  """Returns some columns of rows as an aligned table for a terminal."""
  cells = [columns, *([_show(r[c]) for c in columns] for r in rows)]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  return '\n'.join(
    '  '.join(
      c.rjust(width) if i else c.ljust(width)  # names left, numbers right
      for i, (c, width) in enumerate(zip(line, widths, strict=True))
    )
    for line in cells
  )


def markdown(rows: Sequence[Row]) -> str:
  """Returns rows as a Markdown table with all columns."""
  lines = [
    list(rows[0]),
    ['---' if i == 0 else '--:' for i in range(len(rows[0]))],
    *([_show(v).replace('|', r'\|') for v in r.values()] for r in rows),
  ]
  return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def write_csv(rows: Sequence[Row], path: str | pathlib.Path) -> None:
  """Writes rows with all columns; unknown cells are empty."""
  with open(path, 'w', encoding='utf-8', newline='') as f:
    writer = csv.DictWriter(f, fieldnames=rows[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows(
      {k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()}
      for r in rows
    )


def _percent(share: float | None) -> float | None:
  return None if share is None else 100.0 * share


def _show(cell: Cell) -> str:
  match cell:
    case None:
      return '–'
    case float():
      # Two decimals, or two digits where those would be zeros.
      return f'{cell:.2g}' if 0 < cell < 0.1 else f'{cell:.2f}'
    case int():
      return f'{cell:,}'
  return cell
