"""What came out of runs: read from their folders, named, tabled and drawn."""

from lconv_jax.report.captions import DATA, caption, data_title, data_titles
from lconv_jax.report.first_layer import filters
from lconv_jax.report.names import epochs, labels, machine, method
from lconv_jax.report.pictures import draw
from lconv_jax.report.table import Row, markdown, row, text, write_csv

__all__ = [
  'DATA',
  'Row',
  'caption',
  'data_title',
  'data_titles',
  'draw',
  'epochs',
  'filters',
  'labels',
  'machine',
  'markdown',
  'method',
  'row',
  'text',
  'write_csv',
]
