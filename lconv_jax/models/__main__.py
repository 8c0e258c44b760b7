"""Prints tables 3 and 4: python -m lconv_jax.models --table."""

import argparse
import sys
from collections.abc import Sequence

from lconv_jax.report import command

with command.needs('train'):
  from lconv_jax import models, report
  from lconv_jax.models import table

_NOTE = """\
weights: of the kernels as built. Batch norm and the last layer's biases are not
counted, as in the paper. s: image size, α: base channels, c: classes.
≠: the column D-LOCAL of table 3 contradicts the strides in the same table; the
nets follow the strides. Sums with ≈ are the paper's. All formulas assume that s
is a multiple of 16."""


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
    '--base_channels', type=command.positive, help="α; default: the paper's"
  )
  parser.add_argument(
    '--image_size', type=command.positive, default=32, help='pixels'
  )
  parser.add_argument(
    '--signal', nargs=2, type=command.positive, metavar=('L', 'C'),
    help='length and channels of signals, in place of colour images',
  )  # fmt: skip
  parser.add_argument('--num_classes', type=command.positive, default=10)
  return command.run(
    parser,
    lambda args: _print(args) if args.table else parser.print_help(),
    argv,
  )


def _print(args: argparse.Namespace) -> None:
  shape = (args.image_size, args.image_size, 3)
  if args.signal:
    shape = (1, *args.signal)
  for name in args.model:
    net = models.NETS[name]
    alpha = args.base_channels or net.base_channels
    rows = table.lines(name, alpha, shape, args.num_classes)
    paper = table.NUMBERS.get(net.family, 'paper')
    lines = [
      ('layer', 'output', 'weights', paper, '', ''),
      *(_cells(name, row) for row in rows),
    ]
    title = f'{net.title}, α = {alpha}'
    print(report.aligned(lines, title, left=(0, 1, 4, 5)), end='\n\n')
  if not args.signal:
    print(_NOTE)


def _cells(name: str, row: table.Line) -> tuple[str, ...]:
  note, formula = '', row.paper
  right = table.BY_STRIDES.get((name, row.layer))
  if right and formula:
    note = f'≠ {right.text} by its strides'
  elif formula and row.paper_weights != row.weights:
    note = '' if formula.text.startswith('≈') else '≠'
  return (
    row.layer,
    '×'.join(map(str, row.shape)),
    f'{row.weights:,}',
    f'{row.paper_weights:,.0f}' if formula else '–',
    formula.text if formula else '',
    note,
  )


if __name__ == '__main__':
  sys.exit(main())
