"""Tells where β-LASSO's gain comes from: length × width × method, 234 runs.

  python -m launch.local scaling:a8_e400 --root=runs/scaling/a8_e400
  python -m lconv_jax.figures scaling runs/scaling

Our study: S-FC on CIFAR-10 with the paper's augmentation. A cell, such as
`a8_e400` (α = 8, 400 epochs), has all that is tried at one width and length:
SGD with momentum and weight decay, plain SGD, and β-LASSO with β = 50, 1 and 0,
each with a few learning rates, decays or λ, among which validation accuracy
chooses. λ × steps is the same in all cells, up to a factor. `s_nets` and
`d_nets` have the other nets of tables 1 and 2 at this size. No run is in two
parts. The mini grid has 4 runs: α = 1, 3 and 10 epochs.
"""

import functools

from configs.grids import Point
from configs.grids.nets import BETA_LASSO, SGD, net

CONFIG = 'configs/s_fc.py'

EPOCHS = (400, 100, 30)
ALPHAS = (8, 4, 2, 1)
BETAS = (50.0, 1.0, 0.0)
# λ of convolutional and of fully connected layers for 400 epochs.
L1 = (9e-6, 6e-6)

# Learning rates and weight decays; learning rates; by β, learning rates and
# factors of λ.
_MOMENTUM = ((0.1, 5e-4), (0.5, 5e-4), (1.0, 5e-4), (0.1, 1e-4), (0.1, 1e-3))
_PLAIN = (0.1, 0.5, 1.0)
_BETA_LASSO = {
  50.0: (
    (0.5, 1.0), (0.5, 0.5), (0.5, 0.25), (0.5, 2.0),
    (1.0, 0.5), (1.0, 1.0), (0.1, 2.0),
  ),
  1.0: ((0.5, 1.0), (0.5, 2.0)),
  0.0: ((0.5, 1.0), (0.5, 2.0)),
}  # fmt: skip


def by_momentum(
  epochs: int, name: str, alpha: int, lr: float = 0.1, decay: float = 5e-4
) -> Point:
  """Returns a net by SGD with momentum 0.9."""
  tried = {'optim.lr': lr, 'optim.weight_decay': decay}
  return {'train.epochs': epochs, **net(name, alpha), **SGD, **tried}


def by_plain_sgd(epochs: int, alpha: int, lr: float) -> Point:
  """Returns S-FC by SGD without momentum and weight decay."""
  point = by_momentum(epochs, 's_fc', alpha, lr, decay=0.0)
  return {**point, 'optim.momentum': 0.0}


def by_beta_lasso(
  epochs: int,
  alpha: int,
  beta: float = 50.0,
  lr: float = 0.5,
  factor: float = 1.0,
) -> Point:
  """Returns S-FC by β-LASSO, with `factor` times `L1` times 400 / epochs."""
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


def cell(epochs: int, alpha: int) -> list[Point]:
  """Returns 19 points: all that is tried at one length and width."""
  return [
    *(
      by_beta_lasso(epochs, alpha, beta, lr, factor)
      for beta in BETAS
      for lr, factor in _BETA_LASSO[beta]
    ),
    *(by_momentum(epochs, 's_fc', alpha, *tried) for tried in _MOMENTUM),
    *(by_plain_sgd(epochs, alpha, lr) for lr in _PLAIN),
  ]


def s_nets() -> list[Point]:
  """Returns 3 points: the shallow nets of tables 1 and 2, 400 epochs."""
  return [by_momentum(400, name, 8) for name in ('s_conv', 's_local', 'fc3')]


def d_nets() -> list[Point]:
  """Returns 3 points: the deep nets of table 1, 400 epochs."""
  return [by_momentum(400, n, 4) for n in ('d_conv', 'd_local', 'd_fc')]


PARTS = {
  **{
    f'a{alpha}_e{epochs}': functools.partial(cell, epochs, alpha)
    for epochs in EPOCHS
    for alpha in ALPHAS
  },
  's_nets': s_nets,
  'd_nets': d_nets,
}


def sweep() -> list[Point]:
  """Returns the points of all parts."""
  return [point for part in PARTS.values() for point in part()]


def mini() -> list[Point]:
  """Returns 4 points: SGD and β-LASSO, α = 1, 3 and 10 epochs."""
  return [
    point
    for epochs in (3, 10)
    for point in (by_momentum(epochs, 's_fc', 1), by_beta_lasso(epochs, 1))
  ]
