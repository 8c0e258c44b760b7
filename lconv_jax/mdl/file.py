"""The file net.lconv: a classifier's description.

The bits that count are 5 that state b, 2 that state the code, and the code. In
front of them are a magic number and a checksum, of the net's names and shapes
and of the bits, which say nothing about the net.
"""

import contextlib
import os
import pathlib
import struct
import zlib
from collections.abc import Collection
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from lconv_jax import errors
from lconv_jax.mdl import alphabet, bits, code, sparse

_HEADER = struct.Struct('>6sBI')  # magic number, version, CRC-32 of the rest
_MAGIC, _VERSION = b'\x93lconv', 1
_B = 5  # bits that tell all b apart
# Codes by their number in a file. Golomb's is not read any more: no net was
# shortest in it.
_NAMES = ('proof', 'golomb', 'entropy')
_CHOICE = 2  # bits of that number


class Description(NamedTuple):
  """Shortest description of a net, and its length in each code.

  Lengths include the bits that state b and the code.
  """

  code: str
  length: code.Length
  by_code: dict[str, int]  # bits


def describe(
  params: PyTree, b: int, among: Collection[str] = tuple(code.CODES)
) -> Description:
  """Returns the code that describes a net in the fewest bits, and how few.

  Args:
    params: trees of arrays whose weights are numbers of b bits.
    b: bits of a value.
    among: the codes to choose from.

  Raises:
    UsageError: a weight is not a number of b bits.
  """
  net = sparse.from_params(params)
  lengths = {name: _length(net, b, name) for name in among}
  best = min(lengths, key=lambda name: lengths[name].bits)
  by_code = {name: length.bits for name, length in lengths.items()}
  return Description(best, lengths[best], by_code)


def save(path: str | pathlib.Path, params: PyTree, b: int) -> Description:
  """Writes a net's shortest description to a file.

  Args:
    path: of the file, which is written whole and read again, or not at all.
    params: as in `describe`.
    b: as in `describe`.

  Raises:
    UsageError: a weight is not a number of b bits, or the file cannot be
      written.
  """
  found = describe(params, b)
  data = encoded(params, b, found.code)
  partial = pathlib.Path(f'{path}.{os.getpid()}.partial')
  header = _HEADER.pack(_MAGIC, _VERSION, _crc(params, data))
  try:
    partial.write_bytes(header + data)
    again = load(partial, params)
    if not all(map(np.array_equal, *map(jax.tree.leaves, (params, again)))):
      raise RuntimeError(f'{path} is not written: it would hold another net.')
    os.replace(partial, path)
  except OSError as e:
    raise errors.UsageError(
      f'{path} cannot be written ({e.strerror}); make room there, or copy the '
      'run to a folder of your own.'
    ) from e
  finally:
    with contextlib.suppress(OSError):
      partial.unlink(missing_ok=True)
  return found


def encoded(params: PyTree, b: int, name: str) -> bytes:
  """Returns what a file holds in one of `code.CODES`, behind its header."""
  writer = bits.Writer()
  _write(sparse.from_params(params), b, name, writer)
  return writer.to_bytes()


def load(path: str | pathlib.Path, skeleton: PyTree) -> PyTree:
  """Returns the net that a file describes.

  Args:
    path: of the file.
    skeleton: arrays of the net's names and shapes, or their shapes and dtypes.

  Raises:
    UsageError: the file cannot be read, is damaged, or describes a net of other
      shapes.
  """
  try:
    content = pathlib.Path(path).read_bytes()
  except OSError as e:
    raise errors.UsageError(f'{path} cannot be read ({e.strerror}).') from e
  header, data = content[: _HEADER.size], content[_HEADER.size :]
  if len(header) < _HEADER.size or not header.startswith(_MAGIC):
    raise errors.UsageError(
      f'{path} is not a net.lconv file; give one that lconv_jax.mdl wrote.'
    )
  _, version, crc = _HEADER.unpack(header)
  if version != _VERSION:
    raise errors.UsageError(
      f'{path} has version {version}, and this program reads {_VERSION}; use '
      'the program that wrote it.'
    )
  if _crc(skeleton, data) != crc:
    raise errors.UsageError(
      f'{path} is damaged or cut short, or describes a net of another '
      'architecture; write it again from its run.'
    )
  reader = bits.Reader(data)
  b = reader.number(_B) + alphabet.WIDTHS[0]
  number = reader.number(_CHOICE)
  name = _NAMES[number] if number < len(_NAMES) else f'number {number}'
  if name not in code.CODES:
    raise errors.UsageError(
      f'{path} is written in the code {name}, which this version does not '
      'read; write it again by `python -m lconv_jax.mdl` from its run.'
    )
  try:
    net = code.read(reader, skeleton, b, code.CODES[name])
  except errors.UsageError as e:
    raise errors.UsageError(
      f'{path} describes a net of another architecture; give the net of which '
      'it was made.'
    ) from e
  return sparse.to_params(net, skeleton)


def _crc(params: PyTree, data: bytes) -> int:
  return zlib.crc32(data, zlib.crc32(sparse.names_of(params).encode()))


def _write(net: sparse.Sparse, b: int, name: str, to: bits.Counter) -> None:
  alphabet.check(b)
  to.number(b - alphabet.WIDTHS[0], _B)
  to.number(_NAMES.index(name), _CHOICE)
  code.write(net, b, code.CODES[name], to)


def _length(net: sparse.Sparse, b: int, name: str) -> code.Length:
  counter = bits.Counter()
  _write(net, b, name, counter)
  return code.Length.of(net, b, counter.bits)
