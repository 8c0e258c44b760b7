"""Prints tables 3 and 4: python -m lconv_jax.models --table."""

import argparse
import sys
from collections.abc import Sequence

import rich.console
import rich.table

from lconv_jax import errors, models
from lconv_jax.models import table

_NOTE = """\
weights: of the kernels as built. Batch norm and the last layer's biases are not
counted, as in the paper. s: image size, α: base channels, c: classes.
≠: the column D-LOCAL of table 3 contradicts the strides in the same table; the
nets follow the strides. Sums with ≈ are the paper's. All formulas assume that s
is a multiple of 16."""

_WIDTH = 120  # columns, more than any row takes


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.models', description='The nets of the paper.'
  )
  parser.add_argument(
    '--table', action='store_true', help='print every layer of every net'
  )
  parser.add_argument(
    '--model', nargs='+', choices=models.NETS, default=models.NETS,
    metavar='NAME', help=f'only these: {", ".join(models.NETS)}',
  )  # fmt: skip
  parser.add_argument(
    '--base_channels', type=errors.positive, help="α; default: the paper's"
  )
  parser.add_argument(
    '--image_size', type=errors.positive, default=32, help='pixels'
  )
  parser.add_argument('--num_classes', type=errors.positive, default=10)
  args = parser.parse_args(argv)
  if not args.table:
    parser.print_help()
    return 0
  console = rich.console.Console(width=_WIDTH, highlight=False)
  for name in args.model:
    net = models.NETS[name]
    alpha = args.base_channels or net.base_channels
    rows = table.lines(name, alpha, args.image_size, args.num_classes)
    console.print(f'{net.title}, α = {alpha}')
    console.print(_table(name, rows), '')
  print(_NOTE)
  return 0


def _table(name: str, rows: Sequence[table.Line]) -> rich.table.Table:
  """Returns a net's layers beside the formulas of the paper."""
  made = rich.table.Table(box=None, pad_edge=False)
  paper = table.NUMBERS.get(models.NETS[name].family, 'paper')
  for header in ('layer', 'output', 'weights', paper, '', ''):
    right = header in ('weights', paper)
    made.add_column(header, justify='right' if right else 'left')
  for row in rows:
    note, formula = '', row.paper
    if right := table.BY_STRIDES.get((name, row.layer)):
      note = f'≠ {right.text} by its strides'
    elif formula and row.paper_weights != row.weights:
      note = '' if formula.text.startswith('≈') else '≠'
    made.add_row(
      row.layer,
      '×'.join(map(str, row.shape)),
      f'{row.weights:,}',
      f'{row.paper_weights:,.0f}' if formula else '–',
      formula.text if formula else '',
      note,
    )
  return made


if __name__ == '__main__':
  sys.exit(main())
