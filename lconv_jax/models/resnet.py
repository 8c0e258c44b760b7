"""ResNet18 for small images (He et al., CVPR 2016; paper, A.1).

Its first convolution is 3 × 3 with stride 1, and no max-pool follows. All
convolutions but the 1 × 1 shortcuts have one kernel size, which the paper's
experiment with wide kernels varies.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lconv_jax.conv import windows
from lconv_jax.models.layers import Conv, Dense, batch_norm, dropout


class ResNet18(nn.Module):
  """Four stages of two basic blocks, then the mean over pixels.

  Layers are named as in He et al.'s table 1: conv1, then conv2_1_1 for the
  first layer of the first block of the second stage, conv3_1_skip for a
  shortcut, and finally fc1.

  Attributes:
    base_channels: of the first stage, 64 in the paper; each stage doubles it.
    kernel_size: pixels.
    num_classes: number of logits.
    dtype: of the products.
    dropout: whether inputs of the last layer are dropped in training, at
      the rate that the call is given (an array, so that grids may vary it).
    axis_name: the mapped axis over which the batch continues.
    sync_batch_norm: whether batch norm takes its statistics over that axis.
  """

  base_channels: int
  kernel_size: int
  num_classes: int
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
    image = x.shape[1:3]

    def conv(
      x: Array, name: str, channels: int, stride: int = 1, size: int = 0
    ) -> Array:
      size = windows.sides(image, size or self.kernel_size)
      # With the same padding on both sides, strided windows are centred on the
      # pixels of their shortcut; SAME would move them by a pixel.
      padding = tuple(((n - 1) // 2, n // 2) for n in size)
      layer = Conv(channels, size, stride, padding=padding, name=name)
      x = layer(x.astype(self.dtype))
      return batch_norm(x, 2, train, across, f'{name}_bn')

    x = nn.relu(conv(jnp.moveaxis(x, 0, -1), 'conv1', self.base_channels))
    for stage in range(2, 6):
      channels = self.base_channels * 2 ** (stage - 2)
      for block in (1, 2):
        name = f'conv{stage}_{block}'
        stride = 2 if stage > 2 and block == 1 else 1
        y = nn.relu(conv(x, f'{name}_1', channels, stride))
        y = conv(y, f'{name}_2', channels)
        if x.shape != y.shape:
          x = conv(x, f'{name}_skip', channels, stride, size=1)
        x = nn.relu(x + y)
    x = x.mean((0, 1)).T
    if train and self.dropout:
      x = dropout(self.make_rng('dropout'), dropout_rate, x, self.axis_name)
    fc1 = Dense(self.num_classes, use_bias=True, name='fc1')
    return fc1(x.astype(self.dtype))
