"""Null model: a filter's own pixels, permuted uniformly at random.

A pixel moves with all its channels, so that the colours and the energies stay
the same: the null has the filter's sparsity and its heavy tails, and differs
only in the places of the pixels.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Real

from lconv_jax.locality import blocks, measures
from lconv_jax.locality.filters import energy

DRAWS = 200

_BLOCK = 512  # filters that share their permutations
_CACHED = 128  # filters whose images stay in the cache


def null_spread(
  filters: Real[np.ndarray, 'units height width channels'],
  draws: int = DRAWS,
  seed: int = 0,
  periodic: bool = False,
) -> Float[np.ndarray, 'units draws']:
  """Returns the spread of each filter with its pixels shuffled.

  Args:
    filters: [units, H, W, C], of any real dtype.
    draws: permutations for each filter.
    seed: of the permutations.
    periodic: whether distances are those on the torus.

  Returns:
    [units, draws] float64, pixels; NaN where all weights are zero.
  """
  if periodic:
    return _of_images(measures.torus_spread, filters, draws, seed, np.float64)
  moments = measures.moments(*filters.shape[1:3])

  def of_block(shares: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    # Permuting the places instead of the pixels makes it one matrix product.
    places = moments[permutations].transpose(1, 0, 2)  # [pixels, draws, 3]
    shares = shares.reshape(-1, len(moments))
    means = shares @ places.reshape(len(moments), -1)
    return np.sqrt(measures.variance(means.reshape(-1, draws, 3)))

  return _with_permutations(of_block, filters, draws, seed)


def null_window_share(
  filters: Real[np.ndarray, 'units height width channels'],
  size: int = measures.WINDOW,
  draws: int = DRAWS,
  seed: int = 0,
  periodic: bool = False,
) -> Float[np.ndarray, 'units draws']:
  """Returns the `window_share` of each filter with its pixels shuffled.

  Args:
    filters: [units, H, W, C], of any real dtype.
    size: side of the window, pixels.
    draws: permutations for each filter.
    seed: of the permutations.
    periodic: whether a window may lie across the borders.

  Returns:
    [units, draws] float32, in [0, 1]; NaN where all weights are zero.
  """
  fn = functools.partial(measures.best_window, size=size, periodic=periodic)
  return _of_images(fn, filters, draws, seed, np.float32)


def null_torus_box_area(
  filters: Real[np.ndarray, 'units height width channels'],
  draws: int = DRAWS,
  seed: int = 0,
) -> Float[np.ndarray, 'units draws']:
  """Returns the `box_area` of each filter, on the torus and shuffled.

  Args:
    filters: [units, H, W, C], of any real dtype.
    draws: permutations for each filter.
    seed: of the permutations.

  Returns:
    [units, draws] float64, pixels²; NaN where all weights are zero.
  """

  def area(image: np.ndarray) -> np.ndarray:
    return measures.torus_box_area(image > 0)

  return _of_images(area, filters, draws, seed, np.float64)


def null_box_area(
  pixels: Int[np.ndarray, ' units'], image_shape: tuple[int, int]
) -> Float[np.ndarray, 'units areas']:
  """Returns the distribution of `box_area` under shuffling, exactly.

  The box depends on the places of the n pixels alone. The n-subsets of an h x w
  box that touch all of its sides are counted by inclusion and exclusion; the
  box itself has (H - h + 1) (W - w + 1) places.

  Args:
    pixels: n, the number of non-zero pixels of each filter.
    image_shape: (H, W).

  Returns:
    [units, H W + 1] float64: the probability of each area in pixels²; NaN if n
    is 0.
  """
  height, width = image_shape
  total = height * width
  counts, which = np.unique(pixels, return_inverse=True)
  h, w = np.arange(height + 1), np.arange(width + 1)
  areas = np.outer(h, w)
  inside = _share_inside(areas, total, counts)
  exact = inside
  for axis in (1, 2):  # minus those that miss a side, plus those that miss both
    exact = np.diff(exact, 2, axis, prepend=0)
    exact = np.insert(exact, 0, 0, axis)
  places = np.outer(height - h + 1, width - w + 1)
  weights = np.maximum(exact * places, 0)  # rounding
  table = np.zeros((len(counts), total + 1))
  for row, weight in zip(table, weights, strict=True):
    np.add.at(row, areas.ravel(), weight.ravel())
  table[counts == 0] = np.nan
  return table[which]


def _share_inside(
  areas: np.ndarray, total: int, counts: np.ndarray
) -> np.ndarray:
  """Returns the share of the n-subsets of `total` pixels that lies in an area.

  That is (a over n) / (total over n), [counts, h, w], for a in `areas`, pixels
  [h, w], and n in `counts`.
  """
  distinct, where = np.unique(areas, return_inverse=True)
  taken = np.arange(counts.max(initial=0))
  # Logarithms of factorials would lose too much precision in the differences.
  factors = np.maximum(distinct[:, None] - taken, 0) / (total - taken)
  shares = np.cumprod(np.insert(factors, 0, 1, axis=1), axis=1)
  return shares[where.reshape(areas.shape)][..., counts].transpose(2, 0, 1)


def _of_images(
  fn: Callable[[np.ndarray], np.ndarray],
  filters: np.ndarray,
  draws: int,
  seed: int,
  dtype: np.dtype | type,
) -> np.ndarray:
  """Returns fn(energies [H, W, n]) of all filters, shuffled."""
  height, width = filters.shape[1:3]

  def of_block(shares: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    result = np.empty((draws, len(shares)), dtype)
    for start in range(0, len(shares), _CACHED):
      part = slice(start, start + _CACHED)
      # With filters last, a pixel's values move together, and each sum is over
      # whole vectors.
      values = shares[part].reshape(-1, height * width).T.astype(dtype)
      for row, permutation in zip(result, permutations, strict=True):
        row[part] = fn(values[permutation].reshape(height, width, -1))
    return result.T

  return _with_permutations(of_block, filters, draws, seed)


def _with_permutations(
  fn: Callable[[np.ndarray, np.ndarray], np.ndarray],
  filters: np.ndarray,
  draws: int,
  seed: int,
) -> np.ndarray:
  """Returns fn(energies, permutations) of all filters.

  Filters of a block share their permutations. Each filter's draws are still
  independent and uniform, so that its percentile is valid, but the errors of
  different filters are correlated. Therefore each block draws its own.
  """
  pixels = np.tile(np.arange(math.prod(filters.shape[1:3])), (draws, 1))

  def block(part: slice) -> np.ndarray:
    rng = np.random.default_rng((seed, part.start))
    return fn(energy(filters[part]), rng.permuted(pixels, axis=1))

  return blocks.in_blocks(block, len(filters), _BLOCK)
