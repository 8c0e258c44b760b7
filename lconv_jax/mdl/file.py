"""net.lconv: a classifier's description as a file.

What is counted are the bits of the description: 5 that say b, 2 that say which
code was taken, then that code. Around them are a magic number and a checksum,
which says nothing about the net: of its names and shapes, and of the bits.
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
# By the number that stands for a code in a file. Golomb's code, which no net
# was shortest in, is not read any more.
_NAMES = ('proof', 'golomb', 'entropy')
_CHOICE = 2  # bits of that number


class Description(NamedTuple):
  """The shortest description of a net, and how long it would be by each code.

  All lengths are of the whole description, with the choice of b and code.
  """

  code: str
  length: code.Length
  by_code: dict[str, int]  # bits


def describe(
  params: PyTree, b: int, among: Collection[str] = tuple(code.CODES)
) -> Description:
  """Returns how the net is described in the fewest bits.

  Args:
    params: trees of arrays whose weights are numbers of b bits.
    b: bits of a value.
    among: the codes to choose from.

  Raises:
    UsageError: a weight is not finite or no number of b bits.
  """
  net = sparse.from_params(params)
  lengths = {name: _length(net, b, name) for name in among}
  best = min(lengths, key=lambda name: lengths[name].bits)
  by_code = {name: length.bits for name, length in lengths.items()}
  return Description(best, lengths[best], by_code)


def save(path: str | pathlib.Path, params: PyTree, b: int) -> Description:
  """Writes a net's shortest description to a file.

  Args:
    path: of the file; it is there whole, and read once more, or not at all.
    params: as in `describe`.
    b: as in `describe`.

  Raises:
    UsageError: as `describe` does; or the file cannot be written.
  """
  found = describe(params, b)
  data = encoded(params, b, found.code)
  partial = pathlib.Path(f'{path}.{os.getpid()}.partial')
  header = _HEADER.pack(_MAGIC, _VERSION, _crc(params, data))
  try:
    partial.write_bytes(header + data)
    again = load(partial, params)
    if not all(map(np.array_equal, *map(jax.tree.leaves, (params, again)))):
      raise RuntimeError(f'{path} is not written: it would be another net.')
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
    skeleton: arrays, or their shapes and dtypes, of the net's names and shapes.

  Raises:
    UsageError: there is no such file, it is damaged, or of a net of other
      shapes.
  """
  try:
    content = pathlib.Path(path).read_bytes()
  except OSError as e:
    raise errors.UsageError(f'{path} cannot be read ({e.strerror}).') from e
  header, data = content[: _HEADER.size], content[_HEADER.size :]
  if len(header) < _HEADER.size or not header.startswith(_MAGIC):
    raise errors.UsageError(f'{path} is no net.lconv; give one that was saved.')
  _, version, crc = _HEADER.unpack(header)
  if version != _VERSION:
    raise errors.UsageError(
      f'{path} is of version {version}, this program reads {_VERSION}; use the '
      'one that wrote it.'
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
      f'{path} describes a net of another architecture; give the one that it '
      'was made of.'
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
