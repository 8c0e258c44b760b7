"""Locally connected layer for `flax.nnx`, beside the Linen one.

>>> import jax.numpy as jnp
>>> from flax import nnx
>>> from lconv_jax.conv.nnx import LocalConv
>>> layer = LocalConv((32, 32, 3), 4, (9, 9), strides=2, rngs=nnx.Rngs(0))
>>> layer(jnp.ones((8, 32, 32, 3))).shape
(8, 16, 16, 4)
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lconv_jax.conv import local


class LocalConv(nnx.Module):
  """Locally connected layer with the parameters of `local.LocalConv`.

  Attributes:
    kernel: [*positions, *kernel_size, Cin, features].
    bias: [*positions, features], or None.
  """

  def __init__(
    self, image_shape: Sequence[int], *args: Any, rngs: nnx.Rngs, **kwargs: Any
  ) -> None:
    """Draws kernel and bias.

    Args:
      image_shape: [*spatial, Cin] of the images, as each position of the window
        has weights of its own.
      *args: fields of `local.LocalConv`: features, kernel_size, and others.
      rngs: has `params`.
      **kwargs: more fields.
    """
    self._linen = local.LocalConv(*args, **kwargs)
    x = jnp.zeros((1, *image_shape), self._linen.param_dtype)
    params = self._linen.init(rngs.params(), x)['params']
    self.kernel = nnx.Param(params['kernel'])
    self.bias = nnx.Param(params['bias']) if self._linen.use_bias else None

  def __call__(self, x: Float[Array, '...']) -> Float[Array, '...']:
    """Returns [..., *positions, features] of x [..., *spatial, Cin]."""
    params = {'kernel': self.kernel[...]}
    if self.bias is not None:
      params['bias'] = self.bias[...]
    return self._linen.apply({'params': params}, x)


def from_linen(
  layer: local.LocalConv,
  params: Mapping[str, Array],
  image_shape: Sequence[int],
) -> LocalConv:
  """Returns a Linen layer and its parameters as a layer of nnx.

  Args:
    layer: the Linen layer.
    params: its kernel and perhaps its bias.
    image_shape: [*spatial, Cin] of the images.
  """
  fields = {
    field.name: getattr(layer, field.name)
    for field in dataclasses.fields(local.LocalConv)
    if field.init and field.name not in ('name', 'parent')
  }
  fields['kernel_init'] = jax.nn.initializers.zeros  # nothing is drawn
  made = LocalConv(image_shape, rngs=nnx.Rngs(0), **fields)
  for name, value in params.items():
    setattr(made, name, nnx.Param(value))
  return made
