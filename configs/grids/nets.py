"""Nets of the paper's tables, and their optimisers where nothing is tuned."""

from configs import base
from configs.grids import Point

NAMES = tuple(name for name in base.ALPHA if name != 'resnet18')
DATA = ('cifar10', 'cifar100', 'svhn_cropped')

# For points without a grid of their own: the values of SGD's grid that are
# common for convolutional nets. The choice is ours.
SGD = {'optim.name': 'sgd', 'optim.momentum': 0.9, 'optim.weight_decay': 5e-4}
# β-LASSO has neither (A.2).
BETA_LASSO = {
  'optim.name': 'beta_lasso',
  'optim.momentum': 0.0,
  'optim.weight_decay': 0.0,
}


def net(name: str, alpha: int | None = None) -> Point:
  """Returns the fields of a net; without `alpha`, with the paper's."""
  alpha = base.ALPHA[name] if alpha is None else alpha
  return {'model.name': name, 'model.base_channels': alpha}
