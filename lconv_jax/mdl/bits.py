"""Streams of bits, most significant first, in pieces that fit the cache."""

import numpy as np
from jaxtyping import Integer, UInt8

from lconv_jax import errors

_CHUNK = 1 << 16  # numbers turned into bits at a time


def width(count: int) -> int:
  """Returns ⌈log₂⌉ of `count`: so many bits tell `count` things apart."""
  return (count - 1).bit_length() if count else 0


class Counter:
  """Counts the bits that `Writer` would write."""

  def __init__(self) -> None:
    """Starts at 0."""
    self.bits = 0

  def number(self, value: int, width: int) -> None:
    """Counts an integer of `width` bits."""
    self.bits += width

  def numbers(self, values: Integer[np.ndarray, ' n'], width: int) -> None:
    """Counts integers of `width` bits, at most 64, each."""
    self.bits += len(values) * width

  def gamma(self, value: int) -> None:
    """Counts Elias' γ code of an integer's successor; the integer is ≥ 0."""
    self.bits += 2 * (value + 1).bit_length() - 1


class Writer(Counter):
  """Writes numbers as bits."""

  def __init__(self) -> None:
    """Starts without any bits."""
    super().__init__()
    self._bytes = bytearray()
    self._rest = np.zeros(0, np.uint8)  # less than a byte's bits

  def number(self, value: int, width: int) -> None:
    """Writes an integer of `width` bits."""
    digits = [value >> i & 1 for i in range(width - 1, -1, -1)]
    self._put(np.array(digits, np.uint8))

  def numbers(self, values: Integer[np.ndarray, ' n'], width: int) -> None:
    """Writes integers of `width` bits, at most 64, each."""
    if width == 0:
      return
    size = _container(width)
    for start in range(0, len(values), _CHUNK):
      chunk = values[start : start + _CHUNK].astype(f'>u{size}')
      digits = np.unpackbits(chunk.view(np.uint8).reshape(-1, size), axis=1)
      self._put(digits[:, 8 * size - width :].ravel())

  def gamma(self, value: int) -> None:
    """Writes Elias' γ code of an integer's successor; the integer is ≥ 0."""
    length = (value + 1).bit_length()
    self.number(0, length - 1)
    self.number(value + 1, length)

  def to_bytes(self) -> bytes:
    """Returns what was written, with the last byte padded with zeros."""
    return bytes(self._bytes) + np.packbits(self._rest).tobytes()

  def _put(self, digits: UInt8[np.ndarray, ' n']) -> None:
    self.bits += len(digits)
    digits = np.concatenate([self._rest, digits])
    whole = len(digits) // 8 * 8
    self._bytes += np.packbits(digits[:whole]).tobytes()
    self._rest = digits[whole:]


class Reader:
  """Reads what a `Writer` wrote."""

  def __init__(self, data: bytes) -> None:
    """Starts at the first bit."""
    self._data = np.frombuffer(data, np.uint8)
    self.position = 0  # in bits

  def number(self, width: int) -> int:
    """Reads an integer of `width` bits."""
    digits = self._take(width)
    return int.from_bytes(np.packbits(digits).tobytes(), 'big') >> -width % 8

  def numbers(self, count: int, width: int) -> Integer[np.ndarray, ' n']:
    """Reads `count` integers of `width` bits, at most 64, each, as int64."""
    if width == 0:
      return np.zeros(count, np.int64)
    self._expect(count * width)
    size = _container(width)
    parts = []
    for start in range(0, count, _CHUNK):
      digits = self._take(min(_CHUNK, count - start) * width)
      padding = ((0, 0), (8 * size - width, 0))
      packed = np.packbits(np.pad(digits.reshape(-1, width), padding), axis=1)
      parts.append(packed.view(f'>u{size}').ravel().astype(np.int64))
    return np.concatenate([np.zeros(0, np.int64), *parts])

  def gamma(self) -> int:
    """Reads an integer in Elias' γ code."""
    zeros = 0
    while not self.number(1):
      zeros += 1
      if zeros > 64:
        raise errors.UsageError('The code is damaged: no number is so large.')
    return (1 << zeros | self.number(zeros)) - 1

  def rest(self) -> bytes:
    """Returns the bytes after the last one that was read."""
    return self._data[-(-self.position // 8) :].tobytes()

  def finish_byte(self) -> None:
    """Reads the padding of the last byte.

    Raises:
      UsageError: a bit of it is not zero.
    """
    if self.number(-self.position % 8):
      raise _truncated()

  def _take(self, count: int) -> UInt8[np.ndarray, ' n']:
    self._expect(count)
    first, offset = divmod(self.position, 8)
    self.position += count
    last = -(-self.position // 8)
    return np.unpackbits(self._data[first:last])[offset : offset + count]

  def _expect(self, count: int) -> None:
    if self.position + count > 8 * len(self._data):
      raise _truncated()


def _container(width: int) -> int:
  return 4 if width <= 32 else 8


def _truncated() -> errors.UsageError:
  return errors.UsageError(
    'The code is cut short, or of a net of another architecture.'
  )
