"""Learning convolutions from scratch, in JAX."""

from lconv_jax.conv.local import LocalConv, from_conv_local, local_conv
from lconv_jax.lasso import add_l1, beta_lasso, kernel_mask, threshold

__version__ = '0.1.0'

__all__ = [
  'LocalConv',
  'add_l1',
  'beta_lasso',
  'from_conv_local',
  'kernel_mask',
  'local_conv',
  'threshold',
]
