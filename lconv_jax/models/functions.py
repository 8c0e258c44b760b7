"""Modules as pure functions, and checks of their variables."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen as nn
from flax import serialization, traverse_util
from jaxtyping import Array, Float, Key, PyTree

from lconv_jax import errors
from lconv_jax.models.description import Description

Variables = dict[str, PyTree]  # params and batch_stats


class Model(NamedTuple):
  """Net as two pure functions."""

  # (key, x) -> params, batch_stats
  init: Callable[..., tuple[PyTree, PyTree]]
  # (params, batch_stats, x, train, rngs, dropout_rate) -> logits, batch_stats
  apply: Callable[..., tuple[Array, PyTree]]


def as_functions(module: nn.Module) -> Model:
  """Returns a Linen module of this package as pure functions."""

  def init(key: Key[Array, ''], x: Array) -> tuple[PyTree, PyTree]:
    variables = module.init(key, x)
    return variables['params'], variables['batch_stats']

  def apply(
    params: PyTree,
    batch_stats: PyTree,
    x: Float[Array, 'b h w c'],
    train: bool = False,
    rngs: dict[str, Key[Array, '']] | None = None,
    dropout_rate: Float[Array, ''] | float = 0.0,
  ) -> tuple[Float[Array, 'b k'], PyTree]:
    variables = {'params': params, 'batch_stats': batch_stats}
    if not train:
      return module.apply(variables, x), batch_stats
    logits, updates = module.apply(
      variables, x, True, dropout_rate, mutable=['batch_stats'], rngs=rngs
    )
    return logits, updates['batch_stats']

  return Model(init, apply)


def kernels(params: PyTree) -> dict[str, Any]:
  """Returns the kernels by the names of their layers."""
  return {
    name: leaves['kernel']
    for name, leaves in params.items()
    if 'kernel' in leaves
  }


def fitting(
  variables: Variables, net: Description, where: str = 'to start from'
) -> Variables:
  """Returns a net's variables after comparing their shapes and dtypes.

  Args:
    variables: `params` and `batch_stats`.
    net: the net to which they should belong.
    where: the checkpoint that they are from, as part of a sentence.

  Raises:
    UsageError: the variables are of another net or for other images.
  """
  return match(
    net.shapes,
    variables,
    where,
    f'it must be a net for {net.num_classes} classes of images of shape '
    f'{net.image_shape}',
  )


def match(
  target: PyTree,
  restored: PyTree,
  where: str | pathlib.Path,
  remedy: str = 'use the config that it was made with',
) -> PyTree:
  """Returns `restored` in the structure of `target`.

  Args:
    target: arrays, or their shapes and dtypes.
    restored: as nested dicts.
    where: the checkpoint that `restored` is from.
    remedy: what to do if they differ.

  Raises:
    UsageError: an array is missing, superfluous, or of another shape or dtype.
  """
  wanted, found = (
    traverse_util.flatten_dict(tree, sep='/')
    for tree in (serialization.to_state_dict(target), restored)
  )
  for name in sorted(wanted.keys() | found.keys()):
    a, b = wanted.get(name), found.get(name)
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
      raise errors.UsageError(
        f'The checkpoint {where} is of another architecture or optimiser: '
        f'{name} is {_describe(b)} there, but the config asks for '
        f'{_describe(a)}; {remedy}.'
      )
  return serialization.from_state_dict(target, restored)


def _describe(x: Any) -> str:
  return 'missing' if x is None else f'{x.dtype}{list(x.shape)}'
