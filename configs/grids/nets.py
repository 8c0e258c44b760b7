"""The nets of the paper's tables, with the α of the headline (A.1)."""

from configs.grids import Point

ALPHA = {
  **{f'd_{c}': 15 for c in ('conv', 'local', 'fc')},
  **{f's_{c}': 150 for c in ('conv', 'local', 'fc')},
  'fc3': 150,
}
DATA = ('cifar10', 'cifar100', 'svhn_cropped')

# Where a point is not tuned by a grid of its own: of SGD's grid, the values
# that are common for convolutional nets. The choice is ours.
SGD = {'optim.name': 'sgd', 'optim.momentum': 0.9, 'optim.weight_decay': 5e-4}
# β-LASSO has neither (A.2).
BETA_LASSO = {
  'optim.name': 'beta_lasso',
  'optim.momentum': 0.0,
  'optim.weight_decay': 0.0,
}


def net(name: str, alpha: int | None = None) -> Point:
  """Returns the fields of a net; without `alpha`, with the headline's."""
  alpha = ALPHA[name] if alpha is None else alpha
  return {'model.name': name, 'model.base_channels': alpha}
