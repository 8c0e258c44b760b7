"""Draws the images that nets train on in benchmarks."""

import numpy as np

from lconv_jax import data
from lconv_jax.train import step as program

SHAPE = 32, 32, 3
CLASSES = 10
_DRAWN = 512  # different images; the others repeat them


def dataset(train: int, validation: int = 0, test: int = 1) -> data.Dataset:
  """Returns colour images in three parts of the given sizes."""
  images, _ = data.nlgp.draw(_DRAWN, xi=(1.5, 3.0), channels=3)
  rng = np.random.default_rng(0)

  def part(count: int) -> data.Split:
    repeated = np.resize(images, (count, *SHAPE))
    return data.Split(repeated, rng.integers(0, CLASSES, count, np.int32))

  parts = map(part, (train, validation, test))
  return data.Dataset('drawn', CLASSES, *parts, *data.moments(images))


def batch(count: int) -> program.Data:
  """Returns training images as a step takes them, on the host."""
  drawn = dataset(count)
  return program.Data(*drawn.train, drawn.mean, drawn.std)
