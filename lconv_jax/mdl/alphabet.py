"""Alphabets R_b: real numbers of b bits, fixed before any data are seen.

For b ≥ 9 they are the first b bits of a float32: sign, exponent, and part of
the mantissa (b = 16 is bfloat16). For smaller b there is no mantissa and only
part of the exponent: zero, and powers of two of either sign from 4 downwards.
"""

import numpy as np
from jaxtyping import Float, Integer, Real, UInt32

from lconv_jax import errors

WIDTHS = range(2, 33)  # b
_FLOAT = 9  # bits of a float32's sign and exponent
_LARGEST = 2  # exponent of the largest power of two with fewer bits


def to_words(
  values: Real[np.ndarray, ' k'], b: int
) -> UInt32[np.ndarray, ' k']:
  """Returns the words of b bits that stand for numbers of R_b.

  Raises:
    UsageError: a value is not in R_b, or b not in `WIDTHS`.
  """
  check(b)
  x = values.astype(np.float32)
  if b >= _FLOAT:
    words = np.where(x == 0, 0, x.view(np.uint32)) >> np.uint32(32 - b)
  else:
    exponent = np.frexp(np.abs(x))[1] - 1
    words = np.where(x == 0, 0, exponent - _LARGEST + (1 << (b - 1)) - 1)
    words = np.where(words < 0, 0, words) | (x < 0).astype(int) << (b - 1)
  words = words.astype(np.uint32) & np.uint32((1 << b) - 1)
  same = np.isfinite(values) & (_values(words, b) == values)
  if not same.all():
    raise errors.UsageError(
      f'A weight of {values[~same][0]:g} is not a number of {b} bits; quantise '
      'the net first, or take more bits.'
    )
  return words


def from_words(
  words: Integer[np.ndarray, ' k'], b: int
) -> Float[np.ndarray, ' k']:
  """Returns the numbers of R_b that words stand for, float32.

  Raises:
    UsageError: a word stands for no number, or b is not in `WIDTHS`.
  """
  check(b)
  words = words.astype(np.uint32)
  values = _values(words, b)
  # No word stands for infinity, NaN or minus zero.
  if not np.isfinite(values).all() or (words == 1 << (b - 1)).any():
    raise errors.UsageError(
      'The code is damaged, or of another b: it has a value that is not a '
      'number.'
    )
  return values


def nearest(values: Real[np.ndarray, ' k'], b: int) -> Float[np.ndarray, ' k']:
  """Returns the number of R_b that is nearest to each value, float32.

  Raises:
    UsageError: b is not in `WIDTHS`.
  """
  check(b)
  x = values.astype(np.float32)
  if b < _FLOAT:
    mantissa, exponent = np.frexp(np.abs(x))
    exponent = np.where(mantissa < 0.75, exponent - 1, exponent)
    least = _LARGEST - (1 << (b - 1)) + 2
    rounded = np.ldexp(np.float32(1), np.clip(exponent, least, _LARGEST))
    small = np.abs(x) < np.ldexp(0.5, least)
    return np.where(small, 0, np.copysign(rounded, x)).astype(np.float32)
  drop = np.uint32(32 - b)
  half = np.uint32((1 << int(drop)) >> 1)
  largest = np.uint32(0x7F7FFFFF) >> drop
  sign = x.view(np.uint32) & np.uint32(1 << 31)
  magnitude = np.abs(x).view(np.uint32)
  rounded = np.minimum((magnitude + half) >> drop, largest) << drop
  result = (sign | rounded).view(np.float32)
  return np.where(result == 0, np.float32(0), result)


def _values(words: UInt32[np.ndarray, ' k'], b: int) -> Float[np.ndarray, ' k']:
  if b >= _FLOAT:
    return (words << np.uint32(32 - b)).view(np.float32)
  magnitude = (words & np.uint32((1 << (b - 1)) - 1)).astype(np.int64)
  exponent = magnitude - (1 << (b - 1)) + 1 + _LARGEST
  values = np.where(magnitude > 0, np.ldexp(1.0, exponent), 0)
  return np.where(words >> (b - 1), -values, values).astype(np.float32)


def check(b: int) -> None:
  """Raises a UsageError for a number of bits that has no alphabet."""
  if b not in WIDTHS:
    raise errors.UsageError(
      f'b={b} must lie in {WIDTHS[0]} ... {WIDTHS[-1]}, the bits of a value.'
    )
