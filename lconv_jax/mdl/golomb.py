"""Gaps between non-zero weights in a Rice code.

Rice and Plaunt, Adaptive variable-length coding, 1971, after Golomb, Run-length
encodings, 1966: close to the entropy where every weight of an array is as
likely to be zero.
"""

import numpy as np
from jaxtyping import Integer

from lconv_jax.mdl import bits, gaps, sparse

_LOW = 6  # bits that say how many bits of a gap are written as they are


class Golomb:
  """For each array its gaps, in the order that is shorter, and its symbols."""

  def write(self, net: sparse.Sparse, to: bits.Counter) -> None:
    """See `code.Code`."""
    for leaf in net.leaves:
      to.gamma(len(leaf.positions))
      if not len(leaf.positions):
        continue
      ways = [
        (_length(found.gaps, low), low, found.by_unit, found)
        for found in gaps.both_orders(leaf)
        for low in _lows(found.gaps)
      ]
      _, low, by_unit, found = min(ways, key=lambda way: way[:3])
      to.number(by_unit, 1)
      to.number(low, _LOW)
      to.unary(found.gaps >> low)
      to.numbers(found.gaps & ((1 << low) - 1), low)
      to.numbers(found.symbols, bits.width(net.symbols))

  def read(
    self, reader: bits.Reader, shapes: sparse.Shapes, k: int, symbols: int
  ) -> list[sparse.Leaf]:
    """See `code.Code`."""
    return [self._read_leaf(reader, shape, symbols) for shape in shapes]

  def _read_leaf(
    self, reader: bits.Reader, shape: tuple[int, ...], symbols: int
  ) -> sparse.Leaf:
    count = sparse.count(reader.gamma(), shape)
    if not count:
      return sparse.Leaf(shape, *np.zeros((2, 0), np.int64))
    by_unit, low = bool(reader.number(1)), reader.number(_LOW)
    high = reader.unary(count)
    found = high << low | reader.numbers(count, low)
    which = reader.numbers(count, bits.width(symbols))
    return gaps.to_leaf(shape, gaps.Gaps(by_unit, found, which))


def _lows(found: Integer[np.ndarray, ' nnz']) -> range:
  """Returns the parameters that may be best: about log₂ of the mean gap."""
  mean = int(found.mean()).bit_length()
  return range(max(0, mean - 2), mean + 1)


def _length(found: Integer[np.ndarray, ' nnz'], low: int) -> int:
  return int((found >> low).sum()) + len(found) * (1 + low)
