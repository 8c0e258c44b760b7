"""Training steps of small nets, on which GPU and CPU must agree.

They go through `trainer.Trainer`, that is, through the chunk that trains.
"""

import jax
import ml_collections
import numpy as np
import optax
from jaxtyping import PyTree

from benchmarks import pictures
from benchmarks.gpu import cases
from configs import base
from lconv_jax import models
from lconv_jax.train import parallel, trainer
from lconv_jax.train import step as program

_STEPS = 5  # of a trajectory; the paths of correct programs part later
_TRAJECTORIES = (
  ('s_fc', 'momentum'),
  ('s_fc', 'beta_lasso'),
  ('s_local', 'momentum'),
  ('d_conv', 'momentum'),
)


def first_steps(dtype: str, size: cases.Size) -> cases.Results:
  """Returns logits, loss and gradients of every architecture."""
  nets = {name: (name, dtype, size) for name in models.NETS}
  return cases.attempt(_first_step, nets)


def trajectories(dtype: str, size: cases.Size) -> cases.Results:
  """Returns losses, movements of weights and evaluation of augmented steps."""
  nets = {f'{n} {c}': (n, c, dtype, size) for n, c in _TRAJECTORIES}
  return cases.attempt(_trajectory, nets)


def _first_step(name: str, dtype: str, size: cases.Size) -> cases.Arrays:
  c = _config(name, 'momentum', dtype, size)
  c.optim.weight_decay = 0.0  # so that the momentum buffer is the gradient
  c.data.augment = 'none'
  t = _trainer(c, steps=1)

  def logits(net: dict[str, PyTree], data: program.Data) -> jax.Array:
    dtype = t.setup.program.dtype
    x = program.normalise(data.images[: size.batch], data, dtype)
    y, _ = t.setup.program.model.apply(
      net['params'], net['batch_stats'], x, True
    )
    return y

  found = {'output/logits': parallel.pmap(logits)(t.net(), t.setup.data)[0]}
  found['output/loss'] = t.train_until(1)[0].loss
  gradient = optax.tree_utils.tree_get(t.state.opt_state, 'trace')
  found = {k: np.asarray(v) for k, v in found.items()}
  return found | _leaves('gradient', gradient)


def _trajectory(
  name: str, choice: str, dtype: str, size: cases.Size
) -> cases.Arrays:
  t = _trainer(_config(name, choice, dtype, size), _STEPS)
  start = parallel.unreplicate(t.state.params)
  losses = [t.train_until(step + 1)[0].loss for step in range(_STEPS)]
  moved = jax.tree.map(lambda new, old: new - old, t.state.params, start)
  (row,) = t.evaluate(t.net())
  evaluation = np.array([row['validation/loss'], row['test/loss']])
  return {
    'outcome/losses': np.array(losses),
    'outcome/evaluation': evaluation,
    **_leaves('moved', moved),
  }


def _config(
  name: str, choice: str, dtype: str, size: cases.Size
) -> ml_collections.ConfigDict:
  c = base.choose(base.base(), choice)
  c.model.update({'name': name, 'base_channels': size.alpha})
  c.train.update({'batch_size': size.batch, 'epochs': 1})
  c.precision = dtype
  return c


def _trainer(c: ml_collections.ConfigDict, steps: int) -> trainer.Trainer:
  batch = c.train.batch_size
  dataset = pictures.dataset(steps * batch, batch, batch)
  return trainer.Trainer(trainer.setup(c, dataset))


def _leaves(what: str, tree: PyTree) -> cases.Arrays:
  """Returns the first device's leaves by path."""
  leaves = jax.tree.leaves_with_path(parallel.unreplicate(tree))
  return {
    '/'.join((what, *(str(k.key) for k in path))): x for path, x in leaves
  }
