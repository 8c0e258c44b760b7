"""Registry of all nets that `config.model.name` may name."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jax.typing import DTypeLike

from lconv_jax import errors
from lconv_jax.models.families import CONNECTIVITIES, FAMILIES, Family, Stage
from lconv_jax.models.net import Net
from lconv_jax.models.resnet import ResNet18

LOCAL_NORMS = ('channel', 'unit')  # the one that has its own statistics

ImageShape = tuple[int, int, int]  # height, width and channels


class Wanted(NamedTuple):
  """Everything that a net is built from."""

  model: ml_collections.ConfigDict  # see configs/base.py
  image_shape: ImageShape
  num_classes: int
  fields: dict[str, Any]  # of all modules, such as `dtype`


class Architecture(NamedTuple):
  """Architecture of a net, without its layers, which `describe` finds."""

  title: str  # as the paper calls it
  base_channels: int  # α of the paper's headline tables
  build: Callable[[Wanted], nn.Module]
  connectivity: str  # of its first layer, one of `CONNECTIVITIES`
  # Nets of one family differ in connectivity alone: one is embedded in another.
  family: str
  # Whether each layer sees the one before it, through batch norm and ReLU.
  sequential: bool = False


def _stages(family: Family, connectivity: str, wanted: Wanted) -> Net:
  model = wanted.model
  alpha, size = model.base_channels, model.kernel_size
  stages = tuple(
    Stage(size or s.kernel_size, s.channels * alpha, s.stride)
    for s in family.stages
  )
  return Net(
    stages,
    (family.hidden * alpha,),
    wanted.num_classes,
    connectivity,
    model.local_norm,
    **wanted.fields,
  )


def _three_fc(wanted: Wanted) -> Net:
  model, image_shape, num_classes, fields = wanted
  width = three_fc_width(model.base_channels, image_shape, num_classes)
  return Net((), (width, width), num_classes, 'fc', **fields)


def _resnet18(wanted: Wanted) -> ResNet18:
  model, _, num_classes, fields = wanted
  size = model.kernel_size or 3
  return ResNet18(model.base_channels, size, num_classes, **fields)


NETS: dict[str, Architecture] = {
  **{
    f'{name}_{connectivity}': Architecture(
      f'{name}-{connectivity}'.upper(),
      family.base_channels,
      functools.partial(_stages, family, connectivity),
      connectivity,
      name,
      sequential=True,
    )
    for name, family in FAMILIES.items()
    for connectivity in CONNECTIVITIES
  },
  'fc3': Architecture('3-FC', 150, _three_fc, 'fc', 'fc3', sequential=True),
  'resnet18': Architecture('ResNet18', 64, _resnet18, 'conv', 'resnet18'),
}


def build(
  model: ml_collections.ConfigDict,
  image_shape: ImageShape,
  num_classes: int,
  dtype: DTypeLike = jnp.float32,
  axis_name: str | None = None,
  sync_batch_norm: bool = True,
) -> nn.Module:
  """Returns the net that `config.model` asks for.

  Args:
    model: see configs/base.py; `name` is one of `NETS`.
    image_shape: height, width and channels of the images.
    num_classes: number of logits.
    dtype: of the products.
    axis_name: the mapped axis over which the batch continues.
    sync_batch_norm: whether batch norm takes its statistics over that axis.

  Raises:
    UsageError: `name` or `local_norm` does not exist.
  """
  for field, options in (('name', NETS), ('local_norm', LOCAL_NORMS)):
    if model[field] not in options:
      raise errors.unknown(f'config.model.{field}', model[field], options)
  fields = {
    'dtype': dtype,
    'dropout': bool(model.dropout),
    'axis_name': axis_name,
    'sync_batch_norm': sync_batch_norm,
  }
  wanted = Wanted(model, image_shape, num_classes, fields)
  return NETS[model.name].build(wanted)


def three_fc_width(
  base_channels: int, image_shape: ImageShape, num_classes: int
) -> int:
  """Returns the width of 3-FC that gives it as many weights as S-FC has.

  The paper gives both nets 256 M weights, which S-FC has for α = 150. Widths
  are multiples of 8, which suit tensor cores.
  """
  height, width, channels = image_shape
  inputs = height * width * channels
  (stage,), hidden, _ = FAMILIES['s']
  units = math.prod(-(-s // stage.stride) for s in (height, width))
  units *= stage.channels * base_channels
  hidden *= base_channels
  weights = inputs * units + units * hidden + hidden * num_classes
  b = inputs + num_classes  # weights = width² + b width
  return max(8, 8 * round((math.sqrt(b * b + 4 * weights) - b) / 2 / 8))
