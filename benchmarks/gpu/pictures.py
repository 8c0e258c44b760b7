"""A data set that is drawn on the spot, for whatever trains in the suite."""

import numpy as np

from lconv_jax.data import dataset as data
from lconv_jax.data import nlgp

_DRAWN = 512  # different images; the rest repeats them
_CLASSES = 10


def dataset(train: int, validation: int, test: int) -> data.Dataset:
  """Returns colour images of 32 × 32, in three parts of the given sizes."""
  images, _ = nlgp.draw(_DRAWN, xi=(1.5, 3.0), channels=3)
  rng = np.random.default_rng(0)

  def part(count: int) -> data.Split:
    repeated = np.resize(images, (count, *images.shape[1:]))
    return data.Split(repeated, rng.integers(0, _CLASSES, count, np.int32))

  parts = map(part, (train, validation, test))
  return data.Dataset('drawn', _CLASSES, *parts, *data.moments(images))
