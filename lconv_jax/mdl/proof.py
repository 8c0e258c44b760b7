"""The code of the proof of theorem 2 (paper, appendix B)."""

import math

import numpy as np

from lconv_jax.mdl import bits, sparse


class Proof:
  """‖w‖₀, then index and symbol of each non-zero weight.

  Takes ⌈log n⌉ + ‖w‖₀ (⌈log n⌉ + ⌈log k⌉) bits at most.
  """

  def write(self, net: sparse.Sparse, to: bits.Counter) -> None:
    """See `code.Code`."""
    index, symbol = bits.width(net.n), bits.width(net.symbols)
    if len(net.values) > net.symbols:  # else no weight is zero: ‖w‖₀ = n
      to.number(net.nnz, index)
    first = 0
    for leaf in net.leaves:
      at = leaf.positions + first
      to.numbers(at << symbol | leaf.symbols, index + symbol)
      first += leaf.size

  def read(
    self, reader: bits.Reader, shapes: sparse.Shapes, k: int, symbols: int
  ) -> list[sparse.Leaf]:
    """See `code.Code`."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    n = int(ends[-1])
    index, symbol = bits.width(n), bits.width(symbols)
    nnz = reader.number(index) if k > symbols else n
    both = reader.numbers(nnz, index + symbol)
    at, which = both >> symbol, both & ((1 << symbol) - 1)
    if (np.diff(at) <= 0).any() or (nnz and at[-1] >= n):
      raise sparse.damaged()
    cuts = np.searchsorted(at, ends[:-1])
    at, which = np.split(at, cuts), np.split(which, cuts)
    firsts = [0, *ends[:-1]]
    return [
      sparse.Leaf(shape, a - first, w)
      for shape, first, a, w in zip(shapes, firsts, at, which, strict=True)
    ]
