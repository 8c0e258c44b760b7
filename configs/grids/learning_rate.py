"""Learning rates that A.2 compares: 3 runs.

  python -m launch.local learning_rate --root=runs/lr --config=configs/s_conv.py

For any net; without --config, S-FC by β-LASSO. "0.1 works well across
experiments." The mini grid has α = 1 and 5 epochs.
"""

from configs.grids import Point
from configs.grids.product import product

CONFIG = 'configs/s_fc.py'


def sweep() -> list[Point]:
  """Returns the 3 points."""
  return product({'optim.lr': [0.01, 0.1, 1.0]})


def mini() -> list[Point]:
  """Returns the same points for a net of α = 1 and 5 epochs."""
  small = {'model.base_channels': 1, 'train.epochs': 5}
  return [{**point, **small} for point in sweep()]
