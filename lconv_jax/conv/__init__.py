"""Convolutions with shared or unshared weights, and their 16-bit products."""

from lconv_jax.conv.local import LocalConv, from_conv_local, local_conv

__all__ = ['LocalConv', 'from_conv_local', 'local_conv']
