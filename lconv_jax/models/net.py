"""Net of tables 3 and 4, whose stages are CONV, LOCAL or FC."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lconv_jax.conv import windows
from lconv_jax.models.families import Stage
from lconv_jax.models.layers import Conv, Dense, batch_norm, dropout


class Net(nn.Module):
  """Stages, then fully connected layers, the last one for the logits.

  Every layer but the last is followed by batch norm and ReLU; only the last has
  a bias. As in the tables, stages are called conv1, conv2, ... in all nets, and
  the other layers fc1, fc2, ....

  Attributes:
    stages: with absolute channels.
    hidden: widths of the hidden fully connected layers.
    num_classes: number of logits.
    connectivity: of the stages, one of `families.CONNECTIVITIES`.
    local_norm: 'channel' or 'unit': the one that has its own statistics in the
      batch norm of LOCAL stages. CONV has channels, FC units.
    dtype: of the products.
    dropout: whether inputs of the last two layers are dropped in training, at
      the rate that the call is given (an array, so that grids may vary it).
    axis_name: the mapped axis over which the batch continues.
    sync_batch_norm: whether batch norm takes its statistics over that axis.
  """

  stages: tuple[Stage, ...]
  hidden: tuple[int, ...]
  num_classes: int
  connectivity: str
  local_norm: str = 'channel'
  dtype: DTypeLike = jnp.float32
  dropout: bool = False
  axis_name: str | None = None
  sync_batch_norm: bool = True

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    train: bool = False,
    dropout_rate: Float[Array, ''] | float = 0.0,
  ) -> Float[Array, 'b k']:
    """Returns float32 logits; training needs an rng named 'dropout'."""
    across = self.axis_name if self.sync_batch_norm else None
    batch, *spatial, _ = x.shape
    image = tuple(spatial)
    flat = self.connectivity == 'fc' or not self.stages
    # Convolutions keep the batch last from here to the first dense layer.
    x = x.reshape(batch, -1) if flat else jnp.moveaxis(x, 0, -1)
    for i, stage in enumerate(self.stages, start=1):
      name, (size, channels, stride) = f'conv{i}', stage
      spatial = [-(-s // stride) for s in spatial]
      if flat:
        units = spatial[0] * spatial[1] * channels
        layer, axis = Dense(units, convolutional=True, name=name), -1
      else:
        shared = self.connectivity == 'conv'
        size = windows.sides(image, size)
        layer = Conv(channels, size, stride, shared, name=name)
        unit = not shared and self.local_norm == 'unit'
        axis = (0, 1, 2) if unit else 2
      x = layer(x.astype(self.dtype))
      x = batch_norm(x, axis, train, across, f'{name}_bn')
      x = nn.relu(x)
    x = x if flat else x.reshape(-1, batch).T
    last = len(self.hidden)
    for i, width in enumerate((*self.hidden, self.num_classes)):
      if train and self.dropout and i >= last - 1:
        x = dropout(self.make_rng('dropout'), dropout_rate, x, self.axis_name)
      name = f'fc{i + 1}'
      x = Dense(width, use_bias=i == last, name=name)(x.astype(self.dtype))
      if i < last:
        x = batch_norm(x, -1, train, across, f'{name}_bn')
        x = nn.relu(x)
    return x
