"""Data sets as uint8 arrays, split into training, validation and test images.

`load` reads a data set that tensorflow-datasets has prepared, or one's own
(`arrays`), or draws one (`nlgp`), and holds out the validation images. Decoded
arrays are kept in `cache`, so that a later start needs no decoder.
Everything that crosses the border of this room is a NumPy array.
"""

from lconv_jax.data import cache, nlgp, pixels
from lconv_jax.data.dataset import (
  NAMES,
  PERIODIC,
  Dataset,
  Split,
  load,
  moments,
  read,
)

__all__ = [
  'NAMES',
  'PERIODIC',
  'Dataset',
  'Split',
  'cache',
  'load',
  'moments',
  'nlgp',
  'pixels',
  'read',
]
