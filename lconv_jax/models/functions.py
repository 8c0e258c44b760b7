"""Modules as pure functions, and the kernels among their parameters."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen as nn
from jaxtyping import Array, Float, Key, PyTree


class Model(NamedTuple):
  """A net as two pure functions."""

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
  """Returns the kernels by layer name, in order of depth: what one counts."""

  def depth(name: str) -> list[str | int]:  # conv2 comes before conv10
    return [int(s) if s.isdigit() else s for s in re.split(r'(\d+)', name)]

  layers = sorted(
    (name for name in params if 'kernel' in params[name]), key=depth
  )
  return {name: params[name]['kernel'] for name in layers}
