"""Every architecture of the paper (A.1), from config to pure functions."""

import math

import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jax.typing import DTypeLike

from lconv_jax import errors
from lconv_jax.models.families import CONNECTIVITIES, FAMILIES, Family, Stage
from lconv_jax.models.functions import Model, as_functions, kernels
from lconv_jax.models.net import Net
from lconv_jax.models.resnet import ResNet18

__all__ = [
  'CONNECTIVITIES',
  'FAMILIES',
  'LOCAL_NORMS',
  'NAMES',
  'TITLES',
  'Family',
  'Model',
  'Net',
  'ResNet18',
  'Stage',
  'as_functions',
  'base_channels',
  'build',
  'kernels',
]

# What the paper calls them, by what `config.model.name` does.
TITLES = {
  **{
    f'{family}_{c}': f'{family}-{c}'.upper()
    for family in FAMILIES
    for c in CONNECTIVITIES
  },
  'fc3': '3-FC',
  'resnet18': 'ResNet18',
}
NAMES = tuple(TITLES)
LOCAL_NORMS = ('channel', 'unit')  # what has statistics of its own


def build(
  model: ml_collections.ConfigDict,
  image_shape: tuple[int, int, int],
  num_classes: int,
  dtype: DTypeLike = jnp.float32,
  axis_name: str | None = None,
  sync_batch_norm: bool = True,
) -> nn.Module:
  """Returns the net that `config.model` describes.

  Args:
    model: see configs/base.py; `name` is one of `NAMES`.
    image_shape: height, width and channels of the images.
    num_classes: number of logits.
    dtype: of the products.
    axis_name: the mapped axis over which the batch continues.
    sync_batch_norm: whether batch norm takes its statistics over it as well.

  Raises:
    UsageError: `name` or `local_norm` does not exist.
  """
  for field, options in (('name', NAMES), ('local_norm', LOCAL_NORMS)):
    if model[field] not in options:
      raise errors.unknown(f'config.model.{field}', model[field], options)
  alpha = model.base_channels
  common = dtype, bool(model.dropout), axis_name, sync_batch_norm
  if model.name == 'resnet18':
    return ResNet18(alpha, model.kernel_size or 3, num_classes, *common)
  if model.name == 'fc3':
    width = three_fc_width(alpha, image_shape, num_classes)
    return Net((), (width, width), num_classes, 'fc', 'channel', *common)
  name, connectivity = model.name.split('_')
  family = FAMILIES[name]
  stages = tuple(
    Stage(
      model.kernel_size or stage.kernel_size,
      stage.channels * alpha,
      stage.stride,
    )
    for stage in family.stages
  )
  hidden = (family.hidden * alpha,)
  return Net(
    stages, hidden, num_classes, connectivity, model.local_norm, *common
  )


def base_channels(name: str) -> int:
  """Returns the α that the paper's headline tables have for a net."""
  return {'d': 15, 'resnet18': 64}.get(name.split('_')[0], 150)


def three_fc_width(
  base_channels: int, image_shape: tuple[int, int, int], num_classes: int
) -> int:
  """Returns the width of 3-FC that gives it as many weights as S-FC has.

  The paper gives both 256 M weights, which α = 150 is for S-FC. Rounded to a
  multiple of 8, as tensor cores like it.
  """
  height, width, channels = image_shape
  inputs = height * width * channels
  (stage,), hidden = FAMILIES['s']
  units = math.prod(-(-s // stage.stride) for s in (height, width))
  units *= stage.channels * base_channels
  hidden *= base_channels
  weights = inputs * units + units * hidden + hidden * num_classes
  b = inputs + num_classes  # weights = width² + b width
  return max(8, 8 * round((math.sqrt(b * b + 4 * weights) - b) / 2 / 8))
