"""β-LASSO's grid of A.2: λ of both kinds of layers and dropout, 50 runs.

  python -m launch.local beta_lasso --root=runs/beta_lasso

β = 50, no momentum. For any net; without --config, S-FC. λ must be scaled with
the number of steps, and these values are for hundreds of epochs. The mini grid
has α = 1, 10 epochs, 40 times the λ, a tenth of the β (which multiplies λ) and
no dropout: 25 runs.
"""

from configs.grids import Point
from configs.grids.product import product

CONFIG = 'configs/s_fc.py'

L1 = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5)


def sweep() -> list[Point]:
  """Returns the 50 points."""
  return product(
    {
      'optim.name': ['beta_lasso'],
      'optim.momentum': [0.0],
      'optim.weight_decay': [0.0],
      'optim.beta': [50.0],
      'optim.l1_conv': L1,
      'optim.l1_fc': L1,
      'model.dropout': [0.0, 0.5],
    }
  )


def mini() -> list[Point]:
  """Returns 25 points for a net of α = 1 and 10 epochs."""
  l1 = (4e-5, 8e-5, 2e-4, 4e-4, 8e-4)
  small = {'model.base_channels': 1, 'train.epochs': 10, 'optim.beta': 5.0}
  pairs = product({'optim.l1_conv': l1, 'optim.l1_fc': l1})
  whole = sweep()[0]
  return [{**whole, **small, **pair} for pair in pairs]
