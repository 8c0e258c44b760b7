"""Repetition of filters at other positions: learned weight sharing.

The rows of a convolution are shifted copies of one filter. The likeness of two
filters of a dense layer is their normalised cross-correlation at the best
shift: matched filtering, as in Lewis (Fast normalized cross-correlation, Vision
Interface 1995), but over the whole image and without subtracting means, so that
zeros stay zeros.
"""

import math

import numpy as np
import scipy.fft
from jaxtyping import Float, Int, Real

from lconv_jax.locality import blocks, measures

PAIRS = 2000
PAIR_DRAWS = 10

_BLOCK = 128  # pairs at a time


def best_shift_correlation(
  a: Real[np.ndarray, 'pairs height width channels'],
  b: Real[np.ndarray, 'pairs height width channels'],
  periodic: bool = False,
) -> Float[np.ndarray, ' pairs']:
  """Returns max over shifts s of Σ a(x) b(x + s) / (‖a‖ ‖b‖).

  The sum is over pixels and channels. Outside of the image there are zeros, so
  that a filter loses what a shift moves there. The result is 1 if b is a
  shifted copy of a, up to a positive factor.

  Args:
    a: [pairs, H, W, C], of any real dtype.
    b: of the same shape.
    periodic: whether what a shift moves over a border comes in at the opposite
      one.

  Returns:
    [pairs] float32, at most 1 up to rounding; NaN where either has no weight.
  """

  def of_block(block: slice) -> np.ndarray:
    return _best_shift(_normalised(a[block]), _normalised(b[block]), periodic)

  return blocks.in_blocks(of_block, len(a), _BLOCK)


def pairs(
  units: int, count: int = PAIRS, seed: int = 0
) -> Int[np.ndarray, 'pairs 2']:
  """Returns `count` distinct pairs of different units, or all if fewer."""
  total = math.comb(units, 2)
  rng = np.random.default_rng(seed)
  chosen = rng.choice(total, min(count, total), replace=False)
  # The pairs (0, 1), (0, 2), (1, 2), (0, 3), ... in this order.
  larger = np.arange(1, units)
  second = np.searchsorted(larger * (larger + 1) // 2, chosen, 'right') + 1
  first = chosen - second * (second - 1) // 2
  return np.stack([first, second], axis=1)


def null_correlation(
  a: Real[np.ndarray, 'pairs height width channels'],
  b: Real[np.ndarray, 'pairs height width channels'],
  draws: int = PAIR_DRAWS,
  seed: int = 0,
  inside_box: bool = False,
  periodic: bool = False,
) -> Float[np.ndarray, 'pairs draws']:
  """Returns `best_shift_correlation` with the pixels of both filters shuffled.

  Each filter has a permutation of its own; a pixel's channels stay together.

  Args:
    a: [pairs, H, W, C], of any real dtype.
    b: of the same shape.
    draws: permutations for each pair.
    seed: of the permutations.
    inside_box: whether pixels stay in the smallest upright box around all
      non-zero pixels. Such draws are as local as the box, while any two local
      filters are more alike than pixels from all over the image.
    periodic: as `best_shift_correlation` takes it; boxes may lie across the
      borders.

  Returns:
    [pairs, draws] float32; NaN where either has no weight.
  """

  def of_block(block: slice) -> np.ndarray:
    rng = np.random.default_rng((seed, block.start))
    both = _normalised(a[block]), _normalised(b[block])
    inside = [
      _box(x, periodic) if inside_box else np.ones(x[:, 0].shape, bool)
      for x in both
    ]
    return np.stack(
      [
        _best_shift(
          *(_shuffled(*x, rng) for x in zip(both, inside, strict=True)),
          periodic,
        )
        for _ in range(draws)
      ],
      axis=1,
    )

  return blocks.in_blocks(of_block, len(a), _BLOCK)


def _normalised(filters: np.ndarray) -> np.ndarray:
  """Returns filters of norm 1, float32 [n, C, H, W]; NaN without weights."""
  filters = np.moveaxis(filters, -1, 1).astype(np.float64)
  norm = np.sqrt(np.einsum('nchw,nchw->n', filters, filters))
  norm = np.where(np.isfinite(norm) & (norm > 0), norm, np.nan)
  return (filters / norm[:, None, None, None]).astype(np.float32)


def _box(filters: np.ndarray, periodic: bool) -> np.ndarray:
  """Returns the pixels [n, H, W] in the box around all non-zero pixels."""
  used = (filters != 0).any(axis=1)
  rows, columns = used.any(axis=2), used.any(axis=1)
  if periodic:
    rows, columns = (measures.shortest_arc(x.T).T for x in (rows, columns))
  else:
    rows, columns = _between(rows), _between(columns)
  return rows[:, :, None] & columns[:, None, :]


def _between(used: np.ndarray) -> np.ndarray:
  """Returns True from the first True of each row to its last."""
  since = np.logical_or.accumulate(used, axis=1)
  until = np.logical_or.accumulate(used[:, ::-1], axis=1)[:, ::-1]
  return since & until


def _shuffled(
  filters: np.ndarray, inside: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """Returns filters [n, C, H, W] with the pixels inside permuted.

  Pixels outside have no weight, so that their order does not matter.
  """
  count = math.prod(filters.shape[2:])
  pixels = filters.reshape(*filters.shape[:2], count)
  inside = inside.reshape(-1, count)
  keys = rng.random(inside.shape, np.float32)
  source = np.argsort(np.where(inside, keys, 2), axis=1)  # random, inside first
  target = np.argsort(~inside, axis=1, kind='stable')
  result = np.empty_like(pixels)
  np.put_along_axis(
    result,
    target[:, None],
    np.take_along_axis(pixels, source[:, None], axis=2),
    axis=2,
  )
  return result.reshape(filters.shape)


def _best_shift(a: np.ndarray, b: np.ndarray, periodic: bool) -> np.ndarray:
  """Returns the largest value of the cross-correlation of each pair."""
  size = list(a.shape[2:])
  # Large enough that what leaves the image on one side does not enter it on the
  # other.
  if not periodic:
    size = [scipy.fft.next_fast_len(2 * n - 1, real=True) for n in size]
  product = scipy.fft.rfft2(a, size).conj() * scipy.fft.rfft2(b, size)
  moved = scipy.fft.irfft2(product.sum(axis=1), size)
  return moved.max(axis=(1, 2))
