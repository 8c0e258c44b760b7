"""Four measures of how local a filter is.

Neyshabur (Towards Learning Convolutions from Scratch, NeurIPS 2020) shows
filters of a dense first layer, which look local. These measures say how local
they are. No measure depends on a filter's scale or sign.
"""

import numpy as np
from jaxtyping import Float, Real

from lconv_jax.locality.filters import energy

# Side of the window of `window_share`, pixels: the size of S-CONV's filters.
WINDOW = 9


def spread(
  filters: Real[np.ndarray, 'units height width channels'],
) -> Float[np.ndarray, ' units']:
  """Returns the root-mean-square distance of the energy from its centroid.

  The radius of gyration, with a pixel's energy as its mass. It is 0 for a
  single pixel and about 0.4 W for noise on W x W pixels.

  Args:
    filters: [units, H, W, C], of any real dtype.

  Returns:
    [units] float64, pixels; NaN where all weights are zero.
  """
  shares = energy(filters)
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
) -> Float[np.ndarray, ' units']:
  """Returns the largest share of the energy that lies in one window.

  A convolution's filter of that size could hold this share. It is 1 for rows of
  a convolution, and a little more than size² / (H W) for noise.

  Args:
    filters: [units, H, W, C], of any real dtype.
    size: side of the square window, pixels, at least 1; a larger window than
      the image is cut at the image's borders.

  Returns:
    [units] float64, in [0, 1]; NaN where all weights are zero.
  """
  return best_window(np.moveaxis(energy(filters), 0, -1), size)


def box_area(
  filters: Real[np.ndarray, 'units height width channels'],
) -> Float[np.ndarray, ' units']:
  """Returns the area of the smallest upright box with all non-zero pixels.

  A pixel is non-zero if any of its channels is. As one stray weight counts as
  much as any other, the measure suits filters that were cut to zero, and not
  dense filters, which fill the image.

  Args:
    filters: [units, H, W, C], of any real dtype.

  Returns:
    [units] float64, height times width, pixels²; NaN where all are zero.
  """
  pixels = (filters != 0).any(axis=-1)
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


def best_window(
  shares: Float[np.ndarray, 'height width *n'], size: int
) -> Float[np.ndarray, '*n']:
  """Returns the largest sum over a window, for many images at once.

  Args:
    shares: [H, W, ...], not negative; of the result's dtype.
    size: side of the window, pixels; clipped to the image.
  """
  rows = _sliding_sums(shares, min(size, shares.shape[0]))
  windows = _sliding_sums(rows.swapaxes(0, 1), min(size, shares.shape[1]))
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
