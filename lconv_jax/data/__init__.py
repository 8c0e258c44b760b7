"""Data sets as uint8 arrays: read from disk, drawn, or from a cache."""

from lconv_jax.data.dataset import NAMES, Dataset, Split, load

__all__ = ['NAMES', 'Dataset', 'Split', 'load']
