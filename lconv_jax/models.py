"""The nets of tables 3 and 4 from one table of stages.

Every layer but the last is followed by batch norm and ReLU. Layers have no
bias but the last one. Kernels are He-normal, float32; products run in the
compute dtype, batch norm and logits in float32.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key, PyTree

from lconv_jax import precision


class Stage(NamedTuple):
  """A layer that stands for a convolution."""

  kernel_size: int  # pixels
  channels: int  # output channels, in units of the base channels α
  stride: int  # pixels


class Family(NamedTuple):
  """A column group of tables 3 and 4."""

  stages: tuple[Stage, ...]
  hidden: int  # width of the hidden fully connected layer, in units of α


FAMILIES = {
  's': Family((Stage(9, 1, 2),), hidden=24),
  'd': Family(
    (
      Stage(3, 1, 1),
      Stage(3, 2, 2),
      Stage(3, 2, 1),
      Stage(3, 4, 2),
      Stage(3, 4, 1),
      Stage(3, 8, 2),
      Stage(3, 8, 1),
      Stage(3, 16, 2),
    ),
    hidden=64,
  ),
}

NAMES = ('s_fc', 'd_fc')


class Dense(nn.Module):
  """A fully connected layer whose product runs in the dtype of its input."""

  features: int
  use_bias: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b i']) -> Float[Array, 'b o']:
    """Returns float32."""
    kernel = self.param(
      'kernel', nn.initializers.he_normal(), (x.shape[-1], self.features)
    )
    y = precision.matmul(x, kernel)
    if self.use_bias:
      y += self.param('bias', nn.initializers.zeros, (self.features,))
    return y


class FullyConnected(nn.Module):
  """The FC counterparts of the convolutional nets.

  Attributes:
    widths: output size of each layer, by its name in tables 3 and 4; the last
      one gives the logits.
    dtype: of the matrix products.
    dropout: whether the inputs of the last two layers are dropped.
    axis_name: the mapped axis over which batch norm takes its statistics.
  """

  widths: tuple[tuple[str, int], ...]
  dtype: DTypeLike = jnp.float32
  dropout: bool = False
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    train: bool = False,
    dropout_rate: Float[Array, ''] | float = 0.0,
  ) -> Float[Array, 'b k']:
    """Returns float32 logits; training needs an rng named 'dropout'."""
    x = x.reshape(x.shape[0], -1)
    last = len(self.widths) - 1
    for i, (name, width) in enumerate(self.widths):
      if train and self.dropout and i >= last - 1:
        x = dropout(self.make_rng('dropout'), dropout_rate, x, self.axis_name)
      x = Dense(width, use_bias=i == last, name=name)(x.astype(self.dtype))
      if i < last:
        x = nn.BatchNorm(
          use_running_average=not train,
          momentum=0.9,
          axis_name=self.axis_name,
          name=f'{name}_bn',
        )(x)
        x = nn.relu(x)
    return x


def dropout(
  key: Key[Array, ''],
  rate: Float[Array, ''] | float,
  x: Float[Array, 'b i'],
  axis_name: str | None = None,
) -> Float[Array, 'b i']:
  """Zeroes each element with probability `rate`, and scales the others up.

  Each example has a key of its own that depends on its place in the global
  batch alone, so that the mask does not depend on the number of devices.
  """
  first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * len(x)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(
    key, first + jnp.arange(len(x))
  )
  keep = jax.vmap(lambda k: jax.random.bernoulli(k, 1 - rate, x.shape[1:]))(
    keys
  )
  return jnp.where(keep, x / (1 - rate), 0).astype(x.dtype)


def build(
  model: ml_collections.ConfigDict,
  image_shape: tuple[int, int, int],
  num_classes: int,
  dtype: DTypeLike = jnp.float32,
  axis_name: str | None = None,
) -> nn.Module:
  """Returns the net that `config.model` describes.

  Args:
    model: `name` (one of `NAMES`), `base_channels` (the paper's α), `dropout`.
    image_shape: height, width and channels of the images.
    num_classes: number of logits.
    dtype: of the matrix products.
    axis_name: the mapped axis over which batch norm takes its statistics.
  """
  alpha = model.base_channels
  family = FAMILIES[model.name.split('_')[0]]
  height, width, _ = image_shape
  widths = []
  for i, stage in enumerate(family.stages, start=1):
    height, width = -(-height // stage.stride), -(-width // stage.stride)
    widths.append((f'conv{i}', height * width * stage.channels * alpha))
  widths += [('fc1', family.hidden * alpha), ('fc2', num_classes)]
  return FullyConnected(tuple(widths), dtype, bool(model.dropout), axis_name)


class Model(NamedTuple):
  """A net as two pure functions."""

  # (key, x) -> params, batch_stats
  init: Callable[..., tuple[PyTree, PyTree]]
  # (params, batch_stats, x, train, rngs, dropout_rate) -> logits, batch_stats
  apply: Callable[..., tuple[Array, PyTree]]


def as_functions(module: nn.Module) -> Model:
  """Returns a Linen module of this file as pure functions."""

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
