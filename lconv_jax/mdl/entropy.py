"""Gaps and symbols in a range code, with a histogram of each for each array.

A gap g is split, as in Elias' codes, into a head, which goes through the range
coder, and a tail of plain bits. The head is the place of the first one in g + 1
together with the bit after it. So gaps are short where weights cluster, without
a model of how they cluster.
"""

from collections.abc import Sequence
from typing import NamedTuple

import constriction
import numpy as np
from jaxtyping import Integer

from lconv_jax.mdl import bits, gaps, sparse

_WORD = 32  # bits of a word of the range coder

_Integers = Integer[np.ndarray, ' _']


class _Stream(NamedTuple):
  """Symbols for the range coder, with their model."""

  counts: _Integers  # how often each symbol occurs
  symbols: _Integers


class Entropy:
  """Gaps of each array in the order that takes fewer bits, and symbols."""

  def write(self, net: sparse.Sparse, to: bits.Counter) -> None:
    """See `code.Code`."""
    streams, tails = [], []
    for leaf in net.leaves:
      to.gamma(len(leaf.positions))
      if not len(leaf.positions):
        continue
      found = min(gaps.both_orders(leaf), key=lambda way: _cost(way.gaps))
      heads, *tail = _split(found.gaps)
      to.number(found.by_unit, 1)
      heads = np.bincount(heads), heads
      symbols = np.bincount(found.symbols, minlength=net.symbols), found.symbols
      to.gamma(len(heads[0]))
      for counts, _ in (heads, symbols):
        for count in counts:
          to.gamma(int(count))
      streams += [_Stream(*heads), _Stream(*symbols)]
      tails.append(tail)
    words = _encode(streams)
    to.gamma(len(words))
    to.numbers(words, _WORD)
    for tail, widths in tails:
      for width in range(1, widths.max() + 1):
        to.numbers(tail[widths == width], width)

  def read(
    self, reader: bits.Reader, shapes: sparse.Shapes, k: int, symbols: int
  ) -> list[sparse.Leaf]:
    """See `code.Code`."""
    orders, histograms = [], []
    for shape in shapes:
      count = sparse.count(reader.gamma(), shape)
      orders.append(bool(reader.number(1)) if count else None)
      if count:
        kinds = reader.gamma()
        if kinds > 2 * 64:  # a head names a bit of an int64
          raise sparse.damaged()
        for length in (kinds, symbols):
          counts = [reader.gamma() for _ in range(length)]
          if sum(counts) != count:
            raise sparse.damaged()
          histograms.append(np.array(counts))
    words = reader.numbers(reader.gamma(), _WORD)
    decoded = iter(_decode(words, histograms))
    leaves = []
    for shape, by_unit in zip(shapes, orders, strict=True):
      if by_unit is None:
        leaves.append(sparse.Leaf(shape, *np.zeros((2, 0), np.int64)))
        continue
      heads, which = next(decoded), next(decoded)
      widths = _tail_widths(heads)
      tail = np.zeros(len(heads), np.int64)
      for width in range(1, widths.max() + 1):
        chosen = widths == width
        tail[chosen] = reader.numbers(int(chosen.sum()), width)
      found = gaps.Gaps(by_unit, _join(heads, tail), which)
      leaves.append(gaps.to_leaf(shape, found))
    return leaves


def _split(found: _Integers) -> tuple[_Integers, _Integers, _Integers]:
  """Returns heads, tails and the tails' widths of gaps."""
  plus = found + 1
  # Floats are exact, as there are fewer than 2⁵³ weights.
  place = np.frexp(plus.astype(float))[1].astype(np.int64) - 1
  widths = np.maximum(place - 1, 0)
  second = np.where(place > 0, plus >> widths & 1, 0)
  return 2 * place + second, plus & ((1 << widths) - 1), widths


def _tail_widths(heads: _Integers) -> _Integers:
  return np.maximum(heads // 2 - 1, 0)


def _join(heads: _Integers, tails: _Integers) -> _Integers:
  place, widths = heads // 2, _tail_widths(heads)
  first = np.where(place > 0, 2 + heads % 2, 1)
  return (first << widths | tails) - 1


def _cost(found: _Integers) -> float:
  """Returns an estimate of the bits that gaps take."""
  heads, _, widths = _split(found)
  counts = np.bincount(heads)
  counts = counts[counts > 0]
  return widths.sum() - (counts * np.log2(counts / counts.sum())).sum()


def _model(counts: _Integers) -> constriction.stream.model.Model:
  # The coder needs at least two symbols; one that never occurs costs nothing.
  probabilities = np.append(counts, 0) / counts.sum()
  return constriction.stream.model.Categorical(probabilities, perfect=False)


def _encode(streams: Sequence[_Stream]) -> _Integers:
  coder = constriction.stream.queue.RangeEncoder()
  for counts, symbols in streams:
    coder.encode(symbols.astype(np.int32), _model(counts))
  return coder.get_compressed()


def _decode(
  words: _Integers, histograms: Sequence[_Integers]
) -> list[_Integers]:
  coder = constriction.stream.queue.RangeDecoder(words.astype(np.uint32))
  try:
    decoded = [
      coder.decode(_model(counts), int(counts.sum())) for counts in histograms
    ]
  except (AssertionError, ValueError) as e:  # the coder's own for damage
    raise sparse.damaged() from e
  return [symbols.astype(np.int64) for symbols in decoded]
