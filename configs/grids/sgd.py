"""SGD's grid of A.2: momentum, weight decay and dropout, 20 runs.

  python -m launch.local sgd --root=runs/sgd --config=configs/d_conv.py

For any net; without --config, S-FC. The mini grid has α = 1 and 5 epochs.
"""

from configs.grids import Point
from configs.grids.product import product

CONFIG = 'configs/s_fc.py:sgd'


def sweep() -> list[Point]:
  """Returns the 20 points."""
  return product(
    {
      'optim.name': ['sgd'],
      'optim.momentum': [0.0, 0.9],
      'optim.weight_decay': [0.0, 1e-4, 2e-4, 5e-4, 1e-3],
      # "With and without" in the paper; the probability is our reading.
      'model.dropout': [0.0, 0.5],
    }
  )


def mini() -> list[Point]:
  """Returns the same points for a net of α = 1 and 5 epochs."""
  small = {'model.base_channels': 1, 'train.epochs': 5}
  return [{**point, **small} for point in sweep()]
