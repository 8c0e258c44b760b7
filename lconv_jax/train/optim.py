"""Learning rate schedule and optimiser of a config."""

from operator import attrgetter
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
import optax
from jaxtyping import PyTree

from lconv_jax import lasso

NAMES = ('sgd', 'beta_lasso')


# Fields of the config that `Hyper` holds, in its order.
FIELDS = (
  'seed',
  'optim.lr',
  'optim.momentum',
  'optim.weight_decay',
  'optim.beta',
  'optim.l1_conv',
  'optim.l1_fc',
  'model.dropout',
)


class Hyper(NamedTuple):
  """Numbers that a grid varies: arguments of the compiled step, not constants.

  Every field is a scalar, float32 except for the seed.
  """

  seed: jax.Array  # uint32
  lr: jax.Array  # initial learning rate
  momentum: jax.Array
  weight_decay: jax.Array
  beta: jax.Array
  l1_conv: jax.Array
  l1_fc: jax.Array
  dropout: jax.Array  # probability

  @classmethod
  def from_config(cls, config: ml_collections.ConfigDict) -> 'Hyper':
    """Returns the values of a config as NumPy scalars."""
    seed, *values = attrgetter(*FIELDS)(config)
    return cls(np.uint32(seed), *map(np.float32, values))


class Structure(NamedTuple):
  """Choices that decide the shape of the optimiser state: the program."""

  name: str  # one of NAMES
  momentum: bool  # whether there is a momentum buffer
  steps: int  # of the whole run, over which the learning rate anneals
  convolutional: frozenset[str]  # layers whose λ is `l1_conv`

  @classmethod
  def from_config(
    cls,
    config: ml_collections.ConfigDict,
    steps: int,
    convolutional: frozenset[str],
  ) -> 'Structure':
    """Returns the structure of a config's run of `steps` steps."""
    momentum = config.optim.momentum > 0
    return cls(config.optim.name, momentum, steps, convolutional)


def schedule(structure: Structure) -> optax.Schedule:
  """Returns the share of the initial learning rate at a step (A.2)."""
  return optax.cosine_decay_schedule(1.0, max(structure.steps, 1))


def make(
  structure: Structure, hyper: Hyper, params: PyTree
) -> optax.GradientTransformation:
  """Returns the optimiser.

  Weight decay of the kernels is added to the gradient, momentum is PyTorch's,
  the learning rate anneals along a cosine (paper, A.2). β-LASSO has one λ for
  the layers that stand for convolutions and one for the fully connected ones.

  Args:
    structure: settings that are fixed when the step is compiled.
    hyper: numbers, which may be traced.
    params: dict from layer name to its parameters; only names are used.
  """
  annealing = schedule(structure)

  def learning_rate(count: jax.Array) -> jax.Array:
    return hyper.lr * annealing(count)

  if structure.name == 'beta_lasso':
    l1 = {
      name: hyper.l1_conv if name in structure.convolutional else hyper.l1_fc
      for name in params
    }
    last = lasso.beta_lasso(learning_rate, l1, hyper.beta)
  else:
    last = optax.scale_by_learning_rate(learning_rate)
  return optax.chain(
    optax.add_decayed_weights(hyper.weight_decay, lasso.kernel_mask),
    optax.trace(hyper.momentum) if structure.momentum else optax.identity(),
    last,
  )
