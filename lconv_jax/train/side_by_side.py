"""Several runs in one program, side by side under `vmap` (law 4).

What they have in common is computed once: with one seed for all, a batch is
shuffled, augmented and multiplied by all first layers at once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from lconv_jax.train import optim
from lconv_jax.train import step as program


class Functions(NamedTuple):
  """What a trainer calls: `program.Program`'s methods, and two more."""

  init: Callable[..., program.TrainState]
  train_chunk: Callable[..., program.TrainState]
  evaluate: Callable[..., program.Totals]
  nonzero: Callable[[PyTree], PyTree]
  choose: Callable[[Bool[Array, ''], PyTree, PyTree], PyTree]


def of_one(p: program.Program) -> Functions:
  """Returns the functions of a single run."""
  return Functions(p.init, p.train_chunk, p.evaluate, program.nonzero, _choose)


def of_many(p: program.Program, hyper: optim.Hyper) -> Functions:
  """Returns the functions of several runs; arrays have an axis of runs first.

  The data are common to all runs, and so is the step, but in float16, where a
  run may have to repeat one: a shared step keeps the loop's condition a scalar,
  or each step would select between old and new states.

  Args:
    p: the program that all of them share.
    hyper: from `stack`.
  """
  h = jax.tree.map(lambda x: 0 if np.ndim(x) else None, hyper)
  state = _axes(p)
  one = of_one(p)
  return Functions(
    jax.vmap(one.init, (h, None), state),
    jax.vmap(one.train_chunk, (state, h, None, None), state),
    jax.vmap(one.evaluate, (0, 0, None, None, None)),
    jax.vmap(one.nonzero),
    jax.vmap(one.choose),
  )


def stack(hypers: Sequence[optim.Hyper]) -> optim.Hyper:
  """Returns values with an axis of runs, where they are not all the same."""
  return jax.tree.map(
    lambda *x: np.stack(x) if len({v.item() for v in x}) > 1 else x[0], *hypers
  )


def split(tree: PyTree, count: int) -> list[PyTree]:
  """Returns each run's part of arrays on the host; scalars are all runs'."""
  return [
    jax.tree.map(lambda x, i=i: x[i] if np.ndim(x) else x, tree)
    for i in range(count)
  ]


def join(p: program.Program, trees: Sequence[PyTree]) -> PyTree:
  """Returns the trees of runs, such as states at the same step, as one."""
  joined = jax.tree.map(lambda *x: np.stack(x), *trees)
  if isinstance(joined, program.TrainState) and _axes(p).step is None:
    joined = joined._replace(step=trees[0].step)
  return joined


def _axes(p: program.Program) -> program.TrainState:
  step = 0 if p.dtype == jnp.float16 else None
  return program.TrainState(step, 0, 0, 0, 0, 0)


def _choose(which: Array, a: PyTree, b: PyTree) -> PyTree:
  return jax.tree.map(lambda x, y: jnp.where(which, x, y), a, b)
