"""Four measures of how local a filter is.

Neyshabur (Towards Learning Convolutions from Scratch, NeurIPS 2020) shows
filters of a dense first layer, which look local. These measures say how local
they are. No measure depends on a filter's scale or sign. Of `periodic` images,
which continue at the opposite border, none depends on a shift either.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Real

from lconv_jax.locality.filters import energy

# Side of the window of `window_share`, pixels: the size of S-CONV's filters.
WINDOW = 9


def spread(
  filters: Real[np.ndarray, 'units height width channels'],
  periodic: bool = False,
) -> Float[np.ndarray, ' units']:
  """Returns the root-mean-square distance of the energy from its centroid.

  The radius of gyration, with a pixel's energy as its mass. It is 0 for a
  single pixel and about 0.4 W for noise on W x W pixels.

  Args:
    filters: [units, H, W, C], of any real dtype.
    periodic: whether distances are those on the torus.

  Returns:
    [units] float64, pixels; NaN where all weights are zero.
  """
  shares = energy(filters)
  if periodic:
    return torus_spread(np.moveaxis(shares, 0, -1))
  places = moments(*shares.shape[1:])
  means = shares.reshape(-1, len(places)) @ places
  return np.sqrt(variance(means))


def ipr(
  filters: Real[np.ndarray, 'units height width channels'],
) -> Float[np.ndarray, ' units']:
  """Returns the inverse participation ratio of the energy, Σ p².

  Its inverse is the number of pixels that take part: 1 for a single pixel, n
  for n equal pixels, 1/3 of all pixels for Gaussian noise with one channel. The
  positions of the pixels do not matter, so that a concentrated filter need not
  be local, and a shuffle changes nothing. See Wegner (Z. Physik B 36, 1980);
  Ingrosso and Goldt (PNAS 2022) use Σ w⁴ / (Σ w²)² for receptive fields.

  Args:
    filters: [units, H, W, C], of any real dtype.

  Returns:
    [units] float64, in [1 / (H W), 1]; NaN where all weights are zero.
  """
  shares = energy(filters)
  return np.einsum('uhw,uhw->u', shares, shares)


def window_share(
  filters: Real[np.ndarray, 'units height width channels'],
  size: int = WINDOW,
  periodic: bool = False,
) -> Float[np.ndarray, ' units']:
  """Returns the largest share of the energy that lies in one window.

  A convolution's filter of that size could hold this share. It is 1 for rows of
  a convolution, and a little more than size² / (H W) for noise.

  Args:
    filters: [units, H, W, C], of any real dtype.
    size: side of the square window, pixels, at least 1; a larger window than
      the image is cut at the image's borders.
    periodic: whether a window may lie across the borders.

  Returns:
    [units] float64, in [0, 1]; NaN where all weights are zero.
  """
  return best_window(np.moveaxis(energy(filters), 0, -1), size, periodic)


def box_area(
  filters: Real[np.ndarray, 'units height width channels'],
  periodic: bool = False,
) -> Float[np.ndarray, ' units']:
  """Returns the area of the smallest upright box with all non-zero pixels.

  A pixel is non-zero if any of its channels is. As one stray weight counts as
  much as any other, the measure suits filters that were cut to zero, and not
  dense filters, which fill the image.

  Args:
    filters: [units, H, W, C], of any real dtype.
    periodic: whether the box may lie across the borders.

  Returns:
    [units] float64, height times width, pixels²; NaN where all are zero.
  """
  pixels = (filters != 0).any(axis=-1)
  if periodic:
    return torus_box_area(np.moveaxis(pixels, 0, -1))
  rows, columns = (_extent(pixels.any(axis=axis)) for axis in (2, 1))
  return np.where(rows > 0, rows * columns, np.nan)


def moments(height: int, width: int) -> Float[np.ndarray, 'pixels 3']:
  """Returns |position|², row and column of each pixel, float64."""
  # Positions relative to the image's centre are small, so that less cancels.
  row, column = np.indices((height, width), np.float64).reshape(2, -1)
  row, column = row - (height - 1) / 2, column - (width - 1) / 2
  return np.stack([row**2 + column**2, row, column], axis=1)


def variance(means: Float[np.ndarray, '*n 3']) -> Float[np.ndarray, '*n']:
  """Returns the variance of a position in px², from its mean `moments`."""
  square, row, column = np.moveaxis(means, -1, 0)
  return np.maximum(square - row**2 - column**2, 0)


def torus_spread(
  shares: Float[np.ndarray, 'height width *n'],
) -> Float[np.ndarray, '*n']:
  """Returns the `spread` of many periodic images at once.

  It is the root-mean-square distance from the centre that makes it smallest, or
  what `spread` is at its smallest, over all shifts of the image.
  """
  return np.sqrt(sum(_circular_variance(shares.sum(axis=a)) for a in (0, 1)))


def torus_box_area(
  used: Bool[np.ndarray, 'height width *n'],
) -> Float[np.ndarray, '*n']:
  """Returns the `box_area` of many periodic images at once."""
  area = math.prod(shortest_arc(used.any(axis=a)).sum(axis=0) for a in (0, 1))
  return np.where(area > 0, area, np.nan)


def shortest_arc(
  used: Bool[np.ndarray, 'length *n'],
) -> Bool[np.ndarray, 'length *n']:
  """Returns True on the shortest arc of a circle that holds all that is used.

  Everything is False where nothing is used. Of arcs of one length it is the
  first whose gap ends last.
  """
  length = len(used)
  at = np.arange(2 * length).reshape(-1, *[1] * (used.ndim - 1))
  last = np.maximum.accumulate(
    np.where(np.tile(used, (2, *[1] * (used.ndim - 1))), at, -1)
  )
  gap = (at - last)[length:]  # unused places that end here, round the circle
  end, longest = gap.argmax(axis=0), gap.max(axis=0)
  return used.any(axis=0) & ((end - at[:length]) % length >= longest)


def _circular_variance(
  shares: Float[np.ndarray, 'length *n'],
) -> Float[np.ndarray, '*n']:
  """Returns the variance of a place on a circle, cut where it is smallest."""
  length = len(shares)
  place = (np.arange(length) - np.arange(length)[:, None]) % length  # by cut
  place = place - (length - 1) / 2
  flat = shares.reshape(length, -1)
  variance = (place**2 @ flat - (place @ flat) ** 2).min(axis=0)
  return np.maximum(variance, 0).reshape(shares.shape[1:])


def best_window(
  shares: Float[np.ndarray, 'height width *n'],
  size: int,
  periodic: bool = False,
) -> Float[np.ndarray, '*n']:
  """Returns the largest sum over a window, for many images at once.

  Args:
    shares: [H, W, ...], not negative; of the result's dtype.
    size: side of the window, pixels; clipped to the image.
    periodic: whether a window may lie across the borders.
  """
  height, width = (min(size, n) for n in shares.shape[:2])
  if periodic:
    shares = np.concatenate([shares, shares[: height - 1]])
    shares = np.concatenate([shares, shares[:, : width - 1]], axis=1)
  rows = _sliding_sums(shares, height)
  windows = _sliding_sums(rows.swapaxes(0, 1), width)
  return windows.max(axis=(0, 1))


def _sliding_sums(x: np.ndarray, size: int) -> np.ndarray:
  """Returns the sums of `size` neighbours along the first axis.

  They are made of sums of 1, 2, 4, ... neighbours. Like an integral image this
  takes few passes for any size, but float32 suffices, as no large sums are
  subtracted.
  """
  result, taken, doubled, width = None, 0, x, 1
  count = len(x) - size + 1
  while True:
    if size & width:
      part = doubled[taken : taken + count]
      result = part if result is None else result + part
      taken += width
    if taken == size:
      return result
    doubled = doubled[:-width] + doubled[width:]
    width *= 2


def _extent(used: np.ndarray) -> np.ndarray:
  """Returns the distance from the first to the last True of each row, or 0."""
  length = used.shape[1]
  first, last = used.argmax(axis=1), used[:, ::-1].argmax(axis=1)
  return np.where(used.any(axis=1), length - last - first, 0)
