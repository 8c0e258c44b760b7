"""Tells where β-LASSO's gain comes from: length × width × method, 88 runs.

  python -m launch.local scaling:headline --root=runs/scaling/headline
  python -m lconv_jax.figures scaling runs/scaling

Our study, for two cores: S-FC on CIFAR-10 with the paper's augmentation. Its
parts are `PARTS`, and no run is in two parts. The learning rates are those
of results/README.md at 30 epochs, and part `learning_rate` tries others. λ is
that of configs/s_fc_small.py at 30 epochs, in proportion to 1/steps, and part
`l1` tries half and twice of it. With --seeds=0,1,2 every point
is repeated. The mini grid has 4 runs: α = 1, 3 and 10 epochs.
"""

from configs.grids import Point
from configs.grids.nets import BETA_LASSO, SGD, net

CONFIG = 'configs/s_fc.py'

EPOCHS = (30, 100, 400)
ALPHAS = (1, 2, 4, 8)
BETAS = (0.0, 1.0, 50.0)
LR = {'sgd': 0.1, 'plain': 0.5, 'beta_lasso': 0.5}
# λ of convolutional and of fully connected layers, scaled to 400 epochs.
L1 = (9e-6, 6e-6)


def by_sgd(epochs: int, name: str, alpha: int, lr: float = LR['sgd']) -> Point:
  """Returns a net by SGD with momentum 0.9 and weight decay 5e-4."""
  return {'train.epochs': epochs, **net(name, alpha), **SGD, 'optim.lr': lr}


def by_plain_sgd(epochs: int, alpha: int, lr: float = LR['plain']) -> Point:
  """Returns S-FC by SGD without momentum and weight decay."""
  plain = {'optim.momentum': 0.0, 'optim.weight_decay': 0.0}
  return {**by_sgd(epochs, 's_fc', alpha, lr), **plain}


def by_beta_lasso(
  epochs: int,
  alpha: int,
  beta: float = 50.0,
  lr: float = LR['beta_lasso'],
  factor: float = 1.0,
) -> Point:
  """Returns S-FC by β-LASSO, with `factor` times the λ of the rule."""
  # Rounded, so that λ reads well in the names of run folders.
  scaled = [float(f'{factor * l1 * 400 / epochs:.3g}') for l1 in L1]
  return {
    'train.epochs': epochs,
    **net('s_fc', alpha),
    **BETA_LASSO,
    'optim.lr': lr,
    'optim.beta': beta,
    'optim.l1_conv': scaled[0],
    'optim.l1_fc': scaled[1],
  }


def _both(epochs: int, alpha: int) -> list[Point]:
  return [by_sgd(epochs, 's_fc', alpha), by_beta_lasso(epochs, alpha)]


def headline() -> list[Point]:
  """Returns 4 points: the best SGD and β = 50, α = 4 and 8, 400 epochs."""
  return [point for alpha in (4, 8) for point in _both(400, alpha)]


def table2() -> list[Point]:
  """Returns 5 points: the rest of table 2 in small, α = 8, 400 epochs."""
  return [
    *(by_sgd(400, name, 8) for name in ('s_conv', 's_local', 'fc3')),
    *(by_beta_lasso(400, 8, beta) for beta in (0.0, 1.0)),
  ]


def table1() -> list[Point]:
  """Returns 3 points: the rest of table 1 in small, D-nets, 400 epochs."""
  # D-FC with α = 4 would take hours.
  alphas = {'d_conv': 4, 'd_local': 4, 'd_fc': 2}
  return [by_sgd(400, name, alpha) for name, alpha in alphas.items()]


def length() -> list[Point]:
  """Returns 20 points: as `headline`, for the other epochs and α."""
  return [
    point
    for epochs in EPOCHS
    for alpha in ALPHAS
    if not (epochs == 400 and alpha in (4, 8))
    for point in _both(epochs, alpha)
  ]


def methods() -> list[Point]:
  """Returns 34 points: plain SGD, β = 0 and 1, for all epochs and α."""
  return [
    point
    for epochs in EPOCHS
    for alpha in ALPHAS
    for point in (
      by_plain_sgd(epochs, alpha),
      *(by_beta_lasso(epochs, alpha, beta) for beta in (0.0, 1.0)),
    )
    if point not in table2()
  ]


def learning_rate() -> list[Point]:
  """Returns 10 points: the learning rates that are not used elsewhere."""
  rates = (0.1, 0.5, 1.0)
  return [
    *(by_sgd(100, 's_fc', 4, lr) for lr in rates if lr != LR['sgd']),
    *(by_plain_sgd(100, 4, lr) for lr in rates if lr != LR['plain']),
    *(
      by_beta_lasso(100, 4, beta, lr)
      for beta in BETAS
      for lr in rates
      if lr != LR['beta_lasso']
    ),
  ]


def l1() -> list[Point]:
  """Returns 10 points: half and twice of λ, where that is affordable."""
  return [
    by_beta_lasso(epochs, alpha, factor=factor)
    for epochs, alpha in ((30, 4), (30, 8), (100, 4), (100, 8), (400, 4))
    for factor in (0.5, 2.0)
  ]


def wide() -> list[Point]:
  """Returns 2 points: α = 16, 400 epochs."""
  return _both(400, 16)


PARTS = {
  f.__name__: f
  for f in (
    headline,
    table2,
    table1,
    length,
    methods,
    learning_rate,
    l1,
    wide,
  )
}


def sweep() -> list[Point]:
  """Returns the points of all parts, in the order of their worth."""
  return [point for part in PARTS.values() for point in part()]


def mini() -> list[Point]:
  """Returns 4 points: the best SGD and β = 50, α = 1, 3 and 10 epochs."""
  return [point for epochs in (3, 10) for point in _both(epochs, 1)]
