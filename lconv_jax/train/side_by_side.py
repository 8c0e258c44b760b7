"""One run, or several side by side in one program, behind the same interface.

`One` and `Many` have the functions that a `Trainer` compiles, and know which
part of an array belongs to which run. Several runs train under `vmap`
(law 4): what they have in common is computed once. With one seed for all, a
batch is shuffled, augmented and multiplied by all first layers at once.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from lconv_jax.train import optim, parallel
from lconv_jax.train import step as program

# Of the free memory that runs side by side may take: what XLA says is needed
# leaves out its own buffers, and evaluation.
_SHARE = 0.8


class DoesNotFit(Exception):
  """Several runs need more memory than there is."""


def lanes(p: program.Program, hypers: Sequence[optim.Hyper]) -> 'One | Many':
  """Returns `One` or `Many`, as there are hyperparameters."""
  return Many(p, hypers) if hypers[1:] else One(p, hypers[0])


class One:
  """A single run, without `vmap`, which would change its bits."""

  count = 1

  def __init__(self, p: program.Program, hyper: optim.Hyper) -> None:
    """Takes a program and the run's hyperparameters."""
    self.hyper = hyper
    self.init, self.evaluate = p.init, p.evaluate
    self.nonzero, self.choose = program.nonzero, _choose
    self.histograms = program.histograms
    self._train_chunk = p.train_chunk

  def split(self, tree: PyTree) -> list[PyTree]:
    """Returns each run's part of arrays on the host."""
    return [tree]

  def join(self, trees: Sequence[PyTree]) -> PyTree:
    """Returns the trees of all runs as one."""
    (tree,) = trees
    return tree

  def train_chunk(self, data: program.Data) -> Callable:
    """Returns `Program.train_chunk` on all devices, to be compiled later."""
    del data
    return parallel.pmap(self._train_chunk, donate_argnums=(0,))


class Many:
  """Several runs, whose arrays have an axis of runs first.

  The data are common to all runs, and so is the step, except in float16, where
  a run may have to repeat one: a shared step keeps the loop's condition a
  scalar, or each step would select between old and new states.
  """

  def __init__(self, p: program.Program, hypers: Sequence[optim.Hyper]) -> None:
    """Takes a program and the hyperparameters of each run."""
    self.count = len(hypers)
    # A value that is the same for all runs has no axis of runs.
    self.hyper = jax.tree.map(
      lambda *x: np.stack(x) if len({v.item() for v in x}) > 1 else x[0],
      *hypers,
    )
    self._shared_step = p.dtype != jnp.float16
    h = jax.tree.map(lambda x: 0 if np.ndim(x) else None, self.hyper)
    state = program.TrainState(None if self._shared_step else 0, *[0] * 5)
    self.init = jax.vmap(p.init, (h, None), state)
    self.evaluate = jax.vmap(p.evaluate, (0, 0, None, None, None))
    self.nonzero, self.choose = jax.vmap(program.nonzero), jax.vmap(_choose)
    self.histograms = jax.vmap(program.histograms)
    self._train_chunk = jax.vmap(p.train_chunk, (state, h, None, None), state)

  def split(self, tree: PyTree) -> list[PyTree]:
    """Returns each run's part of arrays on the host; all share scalars."""
    return [
      jax.tree.map(lambda x, i=i: x[i] if np.ndim(x) else x, tree)
      for i in range(self.count)
    ]

  def join(self, trees: Sequence[PyTree]) -> PyTree:
    """Returns the trees of all runs, such as states at one step, as one."""
    joined = jax.tree.map(lambda *x: np.stack(x), *trees)
    if self._shared_step and isinstance(joined, program.TrainState):
      joined = joined._replace(step=trees[0].step)
    return joined

  def train_chunk(self, data: program.Data) -> Callable:
    """Returns `Program.train_chunk` on all devices, compiled for the data.

    Raises:
      DoesNotFit: the runs need more memory than there is.
    """
    data = parallel.shapes(data)
    state = jax.eval_shape(self.init, self.hyper, data.images)
    stop = jax.ShapeDtypeStruct((), np.int32)
    chunk = parallel.compiled(
      parallel.pmap(self._train_chunk, donate_argnums=(0,)),
      (state, self.hyper, data, stop),
    )
    best = (state.params, state.batch_stats)
    needed = parallel.needed_memory(chunk) + _bytes(best) - _bytes(data)
    free = parallel.free_memory()
    if needed > _SHARE * free:
      raise DoesNotFit(
        f'{self.count} runs side by side need {needed / 1e9:.1f} GB, and '
        f'{free / 1e9:.1f} GB are left.'
      )
    return chunk


def _choose(which: Bool[Array, ''], a: PyTree, b: PyTree) -> PyTree:
  return jax.tree.map(lambda x, y: jnp.where(which, x, y), a, b)


def _bytes(tree: PyTree) -> int:
  return sum(
    math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree)
  )
