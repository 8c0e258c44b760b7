"""Table 2: S-nets by SGD and S-FC by β-LASSO, 4000 epochs, 21 runs.

  python -m launch.local table2 --root=runs/table2

S-CONV, S-LOCAL, 3-FC and S-FC by SGD, S-FC by β-LASSO with β = 0, 1 and 50, on
three data sets. Each point stands for the winner of its optimiser's grid, which
table2:nested spells out: 690 runs. Otherwise λ is our choice, 1e-6, the least
of its grid: 4000 epochs with it equal 400 with 1e-5. The mini grid
has α = 1, 20 epochs and λ = 2e-4, and the data set of --config (CIFAR-10): 7
runs.
"""

from configs.grids import Point, beta_lasso, sgd
from configs.grids.nets import BETA_LASSO, DATA, SGD, net
from configs.grids.product import within

CONFIG = 'configs/s_fc.py'


def sweep(nested: bool = False) -> list[Point]:
  """Returns 21 points; nested: each with 20 of SGD or 50 of β-LASSO, 690."""
  points = [
    {**row, 'data.name': data, 'train.epochs': 4000}
    for data in DATA
    for row in _rows(None, 1e-6)
  ]
  if not nested:
    return points
  # The rows of the table differ in β, which is therefore not tuned.
  lasso = [
    {k: v for k, v in point.items() if k != 'optim.beta'}
    for point in beta_lasso.sweep()
  ]
  return within(points, {'sgd': sgd.sweep(), 'beta_lasso': lasso})


def mini() -> list[Point]:
  """Returns 7 points: α = 1, 20 epochs."""
  return [{**row, 'train.epochs': 20} for row in _rows(1, 2e-4)]


def _rows(alpha: int | None, l1: float) -> list[Point]:
  by_sgd = [
    {**net(name, alpha), **SGD} for name in ('s_conv', 's_local', 'fc3', 's_fc')
  ]
  by_lasso = [
    {
      **net('s_fc', alpha),
      **BETA_LASSO,
      'optim.beta': beta,
      'optim.l1_conv': l1,
      'optim.l1_fc': l1,
    }
    for beta in (0.0, 1.0, 50.0)
  ]
  return by_sgd + by_lasso
