"""What came out of runs: read from their folders, named, tabled and drawn."""

from lconv_jax.report.captions import DATA, caption, data_title, data_titles
from lconv_jax.report.names import labels, machine, method
from lconv_jax.report.pictures import draw
from lconv_jax.report.runs import Run, read
from lconv_jax.report.table import Row, markdown, row, text, write_csv

__all__ = [
  'DATA',
  'Row',
  'Run',
  'caption',
  'data_title',
  'data_titles',
  'draw',
  'labels',
  'machine',
  'markdown',
  'method',
  'read',
  'row',
  'text',
  'write_csv',
]
