"""Reads the measured results: results/*.csv and benchmarks/results/*.json."""

import csv
import json
import pathlib
from typing import Any

from lconv_jax.report import table

ROOT = pathlib.Path(__file__).parents[2]


def rows_of_csv(name: str) -> list[table.Row]:
  """Returns the rows of results/NAME.csv, with numbers as numbers."""
  with (ROOT / 'results' / f'{name}.csv').open(encoding='utf-8') as f:
    return [
      {k: _cell(k, v) for k, v in row.items()} for row in csv.DictReader(f)
    ]


def rows_of_json(name: str, **values: Any) -> list[dict[str, Any]]:
  """Returns the rows of benchmarks/results/NAME.json that have these values."""
  text = (ROOT / 'benchmarks' / 'results' / f'{name}.json').read_text('utf-8')
  rows = json.loads(text)['rows']
  return [row for row in rows if values.items() <= row.items()]


def _cell(name: str, text: str) -> table.Cell:
  if not text:
    return None
  if name != 'commit':  # which may have digits alone
    for kind in (int, float):
      try:
        return kind(text)
      except ValueError:
        pass
  return text
