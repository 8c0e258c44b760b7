"""How long a grid trains on a device at best, on paper.

  python -m benchmarks.grid_floor table1 table2 --tflops 790 --bandwidth 4.3

Epochs times steps times the floor of a step (`benchmarks.floor`, fused), summed
over the runs. Evaluation, augmentation, compilation and saving are not in it,
nor anything that a real step needs beyond its floor: to plan with, take a
multiple. The defaults are an H200's products and copies in bfloat16.
"""

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import floor
from configs import grids
from launch import sweep

TRAIN = {'cifar10': 50_000, 'cifar100': 50_000, 'svhn_cropped': 73_257}


def seconds(
  fields: Mapping[str, Any],
  tflops: float = floor.TFLOPS,
  bandwidth: float = floor.BANDWIDTH,
) -> float:
  """Returns how long a run takes at least.

  Args:
    fields: of its config, with dots in their names.
    tflops: 10¹²/s.
    bandwidth: TB/s.

  Raises:
    ValueError: the data set is none of `TRAIN`.
  """
  if fields['data.name'] not in TRAIN:
    raise ValueError(
      f'data.name={fields["data.name"]} has no floor; there is one for '
      f'{", ".join(TRAIN)}.'
    )
  batch = fields['train.batch_size']
  images = TRAIN[fields['data.name']] - fields['data.validation']
  step = _step(
    fields['model.name'],
    fields['model.base_channels'],
    batch,
    fields['optim.momentum'] > 0,
    fields['model.kernel_size'],
    tflops,
    bandwidth,
  )
  return fields['train.epochs'] * (images // batch) * step


@functools.cache
def _step(
  name: str,
  alpha: int,
  batch: int,
  momentum: bool,
  kernel_size: int,
  tflops: float,
  bandwidth: float,
) -> float:
  layers = floor.layers(name, alpha, batch, momentum, kernel_size)
  floors = [floor.seconds(layer, tflops, bandwidth) for layer in layers]
  return floor.total(floors).fused


def main(argv: Sequence[str] | None = None) -> int:
  """Prints the number of runs of each grid, and their hours on a device.

  Args:
    argv: command line without the program's name; None: the process's own.

  Returns:
    The exit status.
  """
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.grid_floor',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    'grids', nargs='*', default=grids.NAMES, metavar='GRID',
    help='as launch.local takes it; default: all of the paper',
  )  # fmt: skip
  floor.add_arguments(parser)
  args = parser.parse_args(argv)
  try:
    expanded = [sweep.expand(name) for name in args.grids]
    times = [
      [
        seconds(fields, args.tflops, args.bandwidth) / 3600
        for fields in sweep.fields(grid)
      ]
      for grid in expanded
    ]
  except ValueError as e:
    print(f'error: {e}', file=sys.stderr)
    return 2
  print(f'{"grid":<20}{"runs":>8}{"hours":>10}{"longest run":>14}')
  for grid, hours in zip(expanded, times, strict=True):
    print(
      f'{grid.grid:<20}{len(hours):>8,}{sum(hours):>10.2f}{max(hours):>14.2f}'
    )
  return 0


if __name__ == '__main__':
  sys.exit(main())
