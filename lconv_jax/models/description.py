"""Description of a net as data: its layers, their kernels and batch norms."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
from flax import linen as nn
from jaxtyping import PyTree

from lconv_jax import errors
from lconv_jax.conv import windows
from lconv_jax.models import layers, registry
from lconv_jax.models.registry import Architecture, ImageShape

KINDS = ('conv', 'local', 'dense')  # each can compute what the ones before can


class Layer(NamedTuple):
  """Layer with a kernel; shapes are those of a single image."""

  name: str  # among the parameters
  kind: str  # one of `KINDS`
  convolutional: bool  # a convolution, or a layer that stands for one
  kernel: tuple[int, ...]  # its shape
  inputs: tuple[int, ...]  # [H, W, C] or, of a dense layer, [units]
  outputs: tuple[int, ...]  # [Ho, Wo, Cout] or [units]
  window: windows.Window | None  # how it moves; None: the layer is dense
  norm: str | None = None  # name of the batch norm that follows, if one does
  statistics: tuple[int, ...] = ()  # shape of its mean, and the others

  @property
  def weights(self) -> int:
    """Number of weights in the kernel."""
    return math.prod(self.kernel)


class Description(NamedTuple):
  """Description of a net, which `describe` returns."""

  architecture: Architecture
  base_channels: int  # α
  module: nn.Module  # for evaluation in float32
  image_shape: ImageShape
  num_classes: int
  layers: tuple[Layer, ...]  # from the image to the logits
  shapes: dict[str, PyTree]  # of `params` and `batch_stats`, with dtypes

  @property
  def chain(self) -> tuple[str, ...]:
    """Names of the layers if each sees the one before through ReLU, or ()."""
    names = tuple(layer.name for layer in self.layers)
    return names if self.architecture.sequential else ()

  @property
  def convolutional(self) -> frozenset[str]:
    """Names of the layers that are, or stand for, convolutions."""
    return frozenset(x.name for x in self.layers if x.convolutional)


def describe(
  model: ml_collections.ConfigDict, image_shape: ImageShape, num_classes: int
) -> Description:
  """Returns the description of the net that `config.model` asks for.

  The module is traced once, which computes nothing and finds any layers that
  are built of `models.layers`.

  Args:
    model: see configs/base.py; `name` is one of `NETS`.
    image_shape: height, width and channels of the images.
    num_classes: number of logits.

  Raises:
    UsageError: as `build` does, or a layer is not one of `models.layers`.
  """
  # Dropout is not part of a trained net.
  model = ml_collections.ConfigDict({**model, 'dropout': 0.0})
  module = registry.build(model, image_shape, num_classes)
  found: list[tuple[Layer, Any]] = []  # with the layer's output

  def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    y = call(*args, **kwargs)
    made = context.module
    if context.method_name != '__call__':
      return y
    if isinstance(made, layers.Conv | layers.Dense):
      found.append((_layer(made, args[0].shape, y.shape), y))
    elif isinstance(made, nn.BatchNorm):
      for i, (layer, out) in enumerate(found):
        if out is args[0]:
          shape = made.variables['params']['scale'].shape
          found[i] = layer._replace(norm=made.name, statistics=shape), out
    return y

  with nn.intercept_methods(note):
    shapes = jax.eval_shape(
      module.init, jax.random.key(0), jnp.zeros((1, *image_shape))
    )
  result = tuple(layer for layer, _ in found)
  names = {n for layer in result for n in (layer.name, layer.norm)}
  if unknown := sorted(shapes['params'].keys() - names):
    raise errors.UsageError(
      f'config.model.name={model.name} has parts that cannot be described '
      f'({", ".join(unknown)}): make its layers of models.layers, as children '
      'of the module itself, each with its batch norm directly behind it.'
    )
  return Description(
    registry.NETS[model.name],
    model.base_channels,
    module,
    tuple(image_shape),
    num_classes,
    result,
    dict(shapes),
  )


def _layer(
  made: layers.Conv | layers.Dense,
  inputs: tuple[int, ...],
  outputs: tuple[int, ...],
) -> Layer:
  kernel = made.variables['params']['kernel'].shape
  if isinstance(made, layers.Dense):  # the batch is the first axis
    sizes = inputs[1:], outputs[1:], None
    return Layer(made.name, 'dense', made.convolutional, kernel, *sizes)
  sizes = inputs[:-1], outputs[:-1], made.window(inputs[:2])
  return Layer(
    made.name, 'conv' if made.shared else 'local', True, kernel, *sizes
  )
