"""How local are learned filters: how far apart their weights lie, by chance?

Neyshabur (Towards Learning Convolutions from Scratch, NeurIPS 2020) shows
filters of a dense first layer and lets the reader see that they are local.
Here the same statement is measured: a filter's spread, and how often the same
weights at shuffled positions are spread no wider.

  >>> filters = from_kernel(params['conv1']['kernel'], (32, 32, 3))
  >>> summary(measure(filters)).local_of_all
  0.21
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

# Figures 7-9 draw from the filters with at least this many non-zero values.
MIN_NONZERO = 20
# A filter is called local if fewer than this share of its null draws are as
# compact: of filters without any structure, just under 5 % would be.
LEVEL = 0.05

_CHUNK = 512  # filters that share their permutations
_TIE = 1e-9  # px², far above rounding and below what moving a weight changes


class Locality(NamedTuple):
  """What `measure` finds, for each filter; NaN where all weights are zero."""

  nonzero: Int[np.ndarray, ' units']  # non-zero values of the filter
  spread: Float[np.ndarray, ' units']  # pixels
  # (spread - mean of the null) / its standard deviation; 0 where shuffling
  # changes nothing, as for a single pixel.
  z: Float[np.ndarray, ' units']
  # Share of null draws with a spread no larger, in [0, 1].
  percentile: Float[np.ndarray, ' units']


class Summary(NamedTuple):
  """What `summary` counts; NaN for shares and means of no filters.

  In a dense filter the shuffles hardly differ, so that it can be local without
  being small: look at the spread as well.
  """

  filters: int
  counted: int  # filters with at least `min_nonzero` non-zero values
  local_of_all: float  # share of all filters that are local, see LEVEL
  local_of_counted: float  # share of the counted filters that are local
  mean_z: float  # over the counted filters
  median_spread: float  # of the counted filters, pixels


def from_kernel(
  kernel: Real[np.ndarray, '...'], image_shape: tuple[int, int, int]
) -> Real[np.ndarray, 'units height width channels']:
  """Returns the filters of a dense layer that sees a flattened image.

  Args:
    kernel: [H*W*C, units], the input flattened in the order H, W, C.
    image_shape: (H, W, C).

  Returns:
    [units, H, W, C], of the kernel's dtype.

  Raises:
    ValueError: the kernel is no dense layer on such images.
  """
  if kernel.ndim != 2 or len(kernel) != np.prod(image_shape):
    raise ValueError(
      f'A kernel of shape {kernel.shape} is no dense layer on images of shape '
      f'{tuple(image_shape)}; [{np.prod(image_shape)}, units] is needed.'
    )
  return kernel.T.reshape(-1, *image_shape)


def spread(
  filters: Real[np.ndarray, 'units height width channels'],
) -> Float[np.ndarray, ' units']:
  """Returns the root-mean-square distance of the energy from its centroid.

  A pixel's energy is the sum over channels of its squared weights. The spread
  is 0 for a single pixel and about 0.4 W for noise on W x W pixels.

  Args:
    filters: [units, H, W, C], of any real dtype.

  Returns:
    [units] float64, pixels; NaN where all weights are zero.
  """
  means = _energies(filters) @ _moments(*filters.shape[1:3])
  return np.sqrt(_variance(means))


def null_spread(
  filters: Real[np.ndarray, 'units height width channels'],
  draws: int = 200,
  seed: int = 0,
) -> Float[np.ndarray, 'units draws']:
  """Returns the spread of each filter with its pixels at shuffled positions.

  Energies keep their sizes, hence the filter its sparsity and its tails; only
  where they stand is random, uniformly among all pixels of the image.

  Args:
    filters: [units, H, W, C], of any real dtype.
    draws: permutations for each filter.
    seed: of the permutations.

  Returns:
    [units, draws] float64, pixels; NaN where all weights are zero.
  """
  height, width = filters.shape[1:3]
  positions = np.tile(np.arange(height * width), (draws, 1))
  moments = _moments(height, width)
  rng = np.random.default_rng(seed)
  result = np.empty((len(filters), draws))
  for start in range(0, len(filters), _CHUNK):
    # All filters of a chunk see the same permutations, which makes the draws
    # one matrix product. Each filter's draws are still independent and
    # uniform, so its percentile is as valid as with its own; only the errors
    # of different filters become correlated, hence new ones for each chunk.
    shuffled = moments[rng.permuted(positions, axis=1)]  # [draws, H*W, 3]
    shuffled = shuffled.transpose(1, 0, 2).reshape(height * width, -1)
    chunk = slice(start, start + _CHUNK)
    means = _energies(filters[chunk]) @ shuffled
    result[chunk] = np.sqrt(_variance(means.reshape(-1, draws, 3)))
  return result


def measure(
  filters: Real[np.ndarray, 'units height width channels'],
  draws: int = 200,
  seed: int = 0,
) -> Locality:
  """Compares each filter's spread with that of its own shuffled weights.

  Args:
    filters: [units, H, W, C], of any real dtype.
    draws: permutations for each filter.
    seed: of the permutations.

  Returns:
    The measures of each filter.
  """
  own = spread(filters)
  null = null_spread(filters, draws, seed)
  mean, std = null.mean(axis=1), null.std(axis=1)
  moves = ~(std <= 1e-6)  # also true for NaN, which is to stay
  z = np.divide(own - mean, std, out=np.zeros_like(own), where=moves)
  no_larger = np.square(null) <= np.square(own[:, None]) + _TIE
  percentile = np.where(np.isnan(own), np.nan, no_larger.mean(axis=1))
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  return Locality(nonzero, own, z, percentile)


def summary(result: Locality, min_nonzero: int = MIN_NONZERO) -> Summary:
  """Counts the local filters.

  Args:
    result: what `measure` returned.
    min_nonzero: filters with fewer non-zero values are not counted.

  Returns:
    The counts; filters without any weight are part of all, and not local.
  """
  local = result.percentile < LEVEL  # False for NaN
  counted = result.nonzero >= min_nonzero
  return Summary(
    filters=len(local),
    counted=int(counted.sum()),
    local_of_all=_mean(local),
    local_of_counted=_mean(local[counted]),
    mean_z=_mean(result.z[counted & (result.nonzero > 0)]),
    median_spread=_median(result.spread[counted & (result.nonzero > 0)]),
  )


def _energies(filters: np.ndarray) -> np.ndarray:
  """Returns each pixel's share of its filter's energy, [units, H*W]."""
  energies = np.einsum('uhwc,uhwc->uhw', filters, filters, dtype=np.float64)
  energies = energies.reshape(len(filters), -1)
  total = energies.sum(axis=1, keepdims=True)
  shares = np.full_like(energies, np.nan)
  return np.divide(energies, total, out=shares, where=total > 0)


def _moments(height: int, width: int) -> np.ndarray:
  """Returns |position|², row and column of each pixel, [H*W, 3] float64."""
  # From the image's centre: smaller numbers, so that less cancels.
  row, column = np.indices((height, width), np.float64).reshape(2, -1)
  row, column = row - (height - 1) / 2, column - (width - 1) / 2
  return np.stack([row**2 + column**2, row, column], axis=1)


def _variance(moments: np.ndarray) -> np.ndarray:
  """Returns the variance in px² from mean moments [..., 3]."""
  square, row, column = np.moveaxis(moments, -1, 0)
  return np.maximum(square - row**2 - column**2, 0)


def _mean(values: np.ndarray) -> float:
  return float(values.mean()) if values.size else float('nan')


def _median(values: np.ndarray) -> float:
  return float(np.median(values)) if values.size else float('nan')
