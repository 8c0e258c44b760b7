"""Convolutions whose weights are shared or not, in two layouts.

`local_conv` and `LocalConv` take images with channels last, as flax does;
`batch_minor` keeps the batch last, for nets that chain such layers. `windows`
says how a window moves over an image, `matmul` multiplies 16-bit inputs.
"""

from lconv_jax.conv import batch_minor, matmul, windows
from lconv_jax.conv.local import LocalConv, from_conv_local, local_conv

__all__ = [
  'LocalConv',
  'batch_minor',
  'from_conv_local',
  'local_conv',
  'matmul',
  'windows',
]
