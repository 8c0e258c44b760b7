"""Prints tables 3 and 4: python -m lconv_jax.models --table."""

import argparse
import sys
from collections.abc import Sequence

import ml_collections

from lconv_jax import errors, models
from lconv_jax.models import table

_NOTE = """\
weights: of the kernels as built. Batch norm and the last layer's biases are not
counted, as in the paper. s: image size, α: base channels, c: classes.
≠: in its column D-LOCAL, table 3 contradicts the strides that it gives itself;
what is built follows the strides. Sums with ≈ are the paper's. All formulas
take s for a multiple of 16."""


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.models', description='The nets of the paper.'
  )
  parser.add_argument(
    '--table', action='store_true', help='print every layer of every net'
  )
  parser.add_argument(
    '--model', nargs='+', choices=models.NAMES, default=models.NAMES,
    metavar='NAME', help=f'only these: {", ".join(models.NAMES)}',
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
  for name in args.model:
    alpha = args.base_channels or models.base_channels(name)
    model = ml_collections.ConfigDict(
      {
        'name': name,
        'base_channels': alpha,
        'kernel_size': 0,
        'local_norm': 'channel',
        'dropout': 0.0,
      }
    )
    rows = table.lines(model, args.image_size, args.num_classes)
    print(f'{models.TITLES[name]}, α = {alpha}')
    print(table.text(name, rows), end='\n\n')
  print(_NOTE)
  return 0


if __name__ == '__main__':
  sys.exit(main())
