"""Layers: products in the dtype of their input, batch norm in float32.

Kernels are He-normal with a fan-in of what one output sees, kept in float32.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from lconv_jax.conv import batch_minor, matmul, windows

EPSILON = 1e-5  # that batch norm adds to the variance


class Dense(nn.Module):
  """A fully connected layer; the kernel is [in, out].

  Attributes:
    features: number of units.
    use_bias: whether there is a bias [out].
    convolutional: whether the layer stands for a convolution: its λ is then
      `optim.l1_conv`.
  """

  features: int
  use_bias: bool = False
  convolutional: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b i']) -> Float[Array, 'b o']:
    """Returns float32."""
    kernel = self.param(
      'kernel', nn.initializers.he_normal(), (x.shape[-1], self.features)
    )
    y = matmul.matmul(x, kernel)
    if self.use_bias:
      y += self.param('bias', nn.initializers.zeros, (self.features,))
    return y


class Conv(nn.Module):
  """A convolution in the layout of `batch_minor`, weights shared or not.

  The kernel is [features, *size, Cin], with the positions [Ho, Wo] before it
  where every position has its own.

  Attributes:
    features: number of filters.
    size: of the window, pixels; a number if it is a square.
    stride: pixels.
    shared: whether all positions have the same weights.
    padding: see `windows.Padding`.
  """

  features: int
  size: int | tuple[int, int]
  stride: int = 1
  shared: bool = True
  padding: windows.Padding = 'SAME'

  @nn.compact
  def __call__(self, x: Float[Array, 'h w c b']) -> Float[Array, 'y x o b']:
    """Returns float32."""
    w = self.window(x.shape[:2])
    positions = () if self.shared else w.positions
    kernel = self.param(
      'kernel', _he_normal, (*positions, self.features, *w.size, x.shape[2])
    )
    convolve = batch_minor.conv if self.shared else batch_minor.local_conv
    return convolve(
      x, kernel, w.strides, w.padding, preferred_element_type=jnp.float32
    )

  @nn.nowrap
  def window(self, spatial: Sequence[int]) -> windows.Window:
    """Returns how the window moves over an image of height and width."""
    size = (self.size,) * 2 if isinstance(self.size, int) else self.size
    return windows.window(spatial, size, self.stride, self.padding)


def _he_normal(
  key: Key[Array, ''], shape: Sequence[int]
) -> Float[Array, '*positions_o_window i']:
  # Drawn as the matrix of a dense layer, as XLA takes a second to compile each
  # random array of many axes.
  fan_in = math.prod(shape[-3:])
  matrix = nn.initializers.he_normal()(
    key, (fan_in, math.prod(shape) // fan_in)
  )
  return matrix.T.reshape(shape)


def batch_norm(
  x: Float[Array, '...'],
  axis: int | Sequence[int],
  train: bool,
  axis_name: str | None,
  name: str,
) -> Float[Array, '...']:
  """Normalises over all axes but the given ones; for `nn.compact` methods.

  Args:
    x: float32.
    axis: axes that have statistics, scale and bias of their own.
    train: whether to use the batch's statistics and update their running mean.
    axis_name: the mapped axis over which the batch continues.
    name: of the module.
  """
  return nn.BatchNorm(
    use_running_average=not train,
    momentum=0.9,
    epsilon=EPSILON,
    axis=axis,
    axis_name=axis_name,
    name=name,
  )(x)


def dropout(
  key: Key[Array, ''],
  rate: Float[Array, ''] | float,
  x: Float[Array, 'b i'],
  axis_name: str | None = None,
) -> Float[Array, 'b i']:
  """Zeroes each element with probability `rate` and scales the others up.

  The key of an example depends on its place in the global batch alone, so that
  the mask does not depend on the number of devices.
  """
  first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * len(x)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(
    key, first + jnp.arange(len(x))
  )
  keep = jax.vmap(lambda k: jax.random.bernoulli(k, 1 - rate, x.shape[1:]))(
    keys
  )
  return jnp.where(keep, x / (1 - rate), 0).astype(x.dtype)
