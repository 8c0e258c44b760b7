"""Figure 5: ResNet18 with wider kernels, by SGD and by β-LASSO, 8 runs.

  python -m launch.local resnet_kernel --root=runs/resnet_kernel

The paper names no sizes (as far as we know); the choice is ours: 3, 5, 7 and 9
pixels. resnet_kernel:nested has the grid of SGD or β-LASSO for each: 280 runs.
The mini grid has 4 channels, not 64, 10,000 images, 5 epochs and λ = 8e-4.
"""

from configs.grids import Point, beta_lasso, sgd
from configs.grids.nets import BETA_LASSO, SGD
from configs.grids.product import product, within

CONFIG = 'configs/resnet18.py'


def sweep(nested: bool = False) -> list[Point]:
  """Returns 8 points; nested: each with 20 of SGD or 50 of β-LASSO, 280."""
  points = _points(64)
  if not nested:
    return points
  return within(points, {'sgd': sgd.sweep(), 'beta_lasso': beta_lasso.sweep()})


def mini() -> list[Point]:
  """Returns 8 points: 4 channels, 10,000 images, 5 epochs."""
  small = {'data.limit': 10_000, 'train.epochs': 5}
  l1 = {'optim.l1_conv': 8e-4, 'optim.l1_fc': 8e-4, 'optim.beta': 5.0}
  return [{**point, **small, **l1} for point in _points(4)]


def _points(channels: int) -> list[Point]:
  sizes = product(
    {
      'model.name': ['resnet18'],
      'model.base_channels': [channels],
      'model.kernel_size': [3, 5, 7, 9],
    }
  )
  return [{**size, **optim} for optim in (SGD, BETA_LASSO) for size in sizes]
