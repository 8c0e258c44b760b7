"""Table 1: seven nets by SGD on three data sets, 400 and 4000 epochs, 42 runs.

  python -m launch.local table1 --root=runs/table1

Each point stands for the winner of its own SGD grid, which table1:nested
spells out: 840 runs. The mini grid has α = 1, 5 and 20 epochs, and the data set
of --config (CIFAR-10): 14 runs.
"""

from configs.grids import Point, sgd
from configs.grids.nets import DATA, NAMES, SGD, net
from configs.grids.product import within

CONFIG = 'configs/s_fc.py:momentum'


def sweep(nested: bool = False) -> list[Point]:
  """Returns 42 points; nested: each with SGD's 20, 840."""
  points = [
    {**net(name), **SGD, 'data.name': data, 'train.epochs': epochs}
    for name in NAMES
    for data in DATA
    for epochs in (400, 4000)
  ]
  return within(points, {'sgd': sgd.sweep()}) if nested else points


def mini() -> list[Point]:
  """Returns 14 points: α = 1, 5 and 20 epochs."""
  return [
    {**net(name, 1), **SGD, 'train.epochs': epochs}
    for name in NAMES
    for epochs in (5, 20)
  ]
