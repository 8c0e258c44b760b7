"""Description of a net in bits: k, its values, and which weight has which."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import PyTree

from lconv_jax import errors
from lconv_jax.mdl import alphabet, bits, sparse
from lconv_jax.mdl.entropy import Entropy
from lconv_jax.mdl.proof import Proof


@runtime_checkable
class Code(Protocol):
  """Prefix-free code for which weight has which value.

  The width of each field follows from the fields before it, so that the end of
  a code is known without what comes after it.
  """

  def write(self, net: sparse.Sparse, to: bits.Counter) -> None:
    """Writes positions and symbols of all arrays."""

  def read(
    self, reader: bits.Reader, shapes: sparse.Shapes, k: int, symbols: int
  ) -> list[sparse.Leaf]:
    """Reads positions and symbols, for k values, `symbols` of them not zero.

    Raises:
      UsageError: the code is damaged in a way that shows here.
    """


CODES: dict[str, Code] = {'proof': Proof(), 'entropy': Entropy()}


class Length(NamedTuple):
  """Length of a description, and of its parts."""

  n: int  # weights
  nnz: int  # weights that are not zero
  k: int  # distinct values
  values: int  # bits of the values, k b
  mapping: int  # bits that say which weight has which, with k and a checksum

  @property
  def bits(self) -> int:
    """Bits of the whole description."""
    return self.values + self.mapping

  @classmethod
  def of(cls, net: sparse.Sparse, b: int, bits: int) -> 'Length':
    """Returns the length of a net's description that takes so many bits."""
    k = len(net.values)
    return cls(net.n, net.nnz, k, k * b, bits - k * b)


def encode(params: PyTree, b: int, code: str = 'proof') -> bytes:
  """Returns a net's description, with the last byte padded with zeros.

  The code of the proof (paper, appendix B) writes k, then k values of b bits,
  then ‖w‖₀, then index and value of each non-zero weight. Where the proof
  writes k a second time, this has a checksum of as many bits.

  Args:
    params: trees of arrays whose weights are numbers of b bits, as `quantise`
      returns them.
    b: bits of a value.
    code: one of `CODES`.

  Raises:
    UsageError: a weight is not a number of b bits.
  """
  net = sparse.from_params(params)
  writer = bits.Writer()
  write(net, b, _code(code), writer)
  return writer.to_bytes()


def decode(
  data: bytes, skeleton: PyTree, b: int, code: str = 'proof'
) -> PyTree:
  """Returns the net that `encode` described, exactly (-0 as 0).

  Args:
    data: what `encode` returned.
    skeleton: arrays of the same names and shapes, or their shapes and dtypes.
    b: as in `encode`.
    code: as in `encode`.

  Raises:
    UsageError: `data` are damaged, cut short, or of a net of other shapes. The
      checksum has log₂ n bits, so that damage to a net of few weights may go
      unnoticed.
  """
  params, rest = decode_first(data, skeleton, b, code)
  if rest:
    raise errors.UsageError(
      f'The code is followed by {len(rest)} bytes that are not part of it: it '
      'is damaged, or of another net.'
    )
  return params


def decode_first(
  data: bytes, skeleton: PyTree, b: int, code: str = 'proof'
) -> tuple[PyTree, bytes]:
  """Returns the net that `data` begin with, and the bytes after it."""
  reader = bits.Reader(data)
  params = sparse.to_params(read(reader, skeleton, b, _code(code)), skeleton)
  reader.finish_byte()
  return params, reader.rest()


def description_length(params: PyTree, b: int, code: str = 'proof') -> Length:
  """Returns the number of bits that `encode` writes.

  Raises:
    UsageError: as `encode` does.
  """
  net, counter = sparse.from_params(params), bits.Counter()
  write(net, b, _code(code), counter)
  return Length.of(net, b, counter.bits)


def _code(name: str) -> Code:
  if name not in CODES:
    raise errors.unknown('code', name, CODES)
  return CODES[name]


def write(net: sparse.Sparse, b: int, code: Code, to: bits.Counter) -> None:
  """Writes a net's description."""
  index = bits.width(net.n)
  to.number(len(net.values) - 1, index)
  to.numbers(alphabet.to_words(net.values, b), b)
  to.number(net.check(index), index)
  code.write(net, to)


def read(
  reader: bits.Reader, skeleton: PyTree, b: int, code: Code
) -> sparse.Sparse:
  """Reads what `write` wrote.

  Raises:
    UsageError: it is damaged, cut short, or of a net of other shapes.
  """
  shapes = sparse.shapes_of(skeleton)
  index = bits.width(sparse.size_of(shapes))
  k = reader.number(index) + 1
  values = alphabet.from_words(reader.numbers(k, b), b)
  if (values[1:] <= values[:-1]).any():
    raise sparse.damaged()
  check = reader.number(index)
  symbols = int(np.count_nonzero(values))
  leaves = tuple(code.read(reader, shapes, k, symbols))
  net = sparse.Sparse(values, leaves, sparse.names_of(skeleton))
  used = [leaf.symbols for leaf in leaves if len(leaf.symbols)]
  if any(which.max() >= symbols for which in used) or check != net.check(index):
    raise sparse.damaged()
  return net
