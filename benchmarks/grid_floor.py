"""Least hours of a grid's training on a device, on paper.

  python -m benchmarks.grid_floor table1 table2 --tflops 790 --bandwidth 4.3

Epochs times steps times the floor of a step (`benchmarks.floor`, fused), summed
over the runs. They leave out evaluation, augmentation, compilation, saving, and
all that a real step needs beyond its floor, so plan with a multiple. The
default device is an H200 in bfloat16.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import floor, interleave
from configs import grids
from launch import sweep

TRAIN = {'cifar10': 50_000, 'cifar100': 50_000, 'svhn_cropped': 73_257}


def seconds(
  fields: Mapping[str, Any],
  tflops: float = floor.TFLOPS,
  bandwidth: float = floor.BANDWIDTH,
) -> float:
  """Returns the least seconds of a run's steps.

  Args:
    fields: the fields of its config, with dots in their names.
    tflops: 10¹²/s.
    bandwidth: TB/s.

  Raises:
    ValueError: the data set is not among `TRAIN`.
  """
  if fields['data.name'] not in TRAIN:
    raise ValueError(
      f'data.name={fields["data.name"]} has no floor; there is one for '
      f'{", ".join(TRAIN)}.'
    )
  batch = fields['train.batch_size']
  images = TRAIN[fields['data.name']] - fields['data.validation']
  images = fields['data.limit'] or images
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
  """Prints the runs of each grid and their hours; returns the exit status."""
  parser = interleave.parser('benchmarks.grid_floor', __doc__, out=False)
  parser.add_argument(
    'grids',
    nargs='*',
    default=grids.NAMES,
    metavar='GRID',
    help='as launch.local takes it; default: all of the paper',
  )
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
  interleave.print_table(
    'Hours at least:',
    ('grid', 'runs', 'all', 'longest run'),
    [
      (grid.grid, f'{len(t):,}', f'{sum(t):.2f}', f'{max(t):.2f}')
      for grid, t in zip(expanded, times, strict=True)
    ],
  )
  return 0


if __name__ == '__main__':
  sys.exit(main())
