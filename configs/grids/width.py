"""Figure 6: accuracy against parameters and epochs, 42 runs by SGD.

  python -m launch.local width --root=runs/width

The paper gives no list of α. The choice is ours: powers of two up to the α of
table 1, and that α. width:nested has SGD's grid for each point: 840 runs. The
mini grid has α = 1, 2, 4 and 5 epochs: 18 runs.
"""

from configs.grids import Point, sgd
from configs.grids.nets import SGD, net
from configs.grids.product import within

CONFIG = 'configs/s_fc.py:momentum'

ALPHAS = {'d': (1, 2, 4, 8, 15), 's': (1, 2, 4, 8, 16, 32, 64, 128, 150)}


def sweep(nested: bool = False) -> list[Point]:
  """Returns 42 points; nested: each with SGD's 20, 840."""
  points = [
    {**point, 'train.epochs': 400}
    for family, alphas in ALPHAS.items()
    for point in _nets(family, alphas)
  ]
  return within(points, {'sgd': sgd.sweep()}) if nested else points


def mini() -> list[Point]:
  """Returns 18 points: α = 1, 2, 4, 5 epochs."""
  return [
    {**point, 'train.epochs': 5}
    for family in ALPHAS
    for point in _nets(family, (1, 2, 4))
  ]


def _nets(family: str, alphas: tuple[int, ...]) -> list[Point]:
  return [
    {**net(f'{family}_{connectivity}', alpha), **SGD}
    for connectivity in ('conv', 'local', 'fc')
    for alpha in alphas
  ]
