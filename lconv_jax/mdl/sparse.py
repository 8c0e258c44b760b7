"""Sparse form of a net: its values, and which weight has which."""

import math
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Integer, PyTree

from lconv_jax import errors

Shapes = Sequence[tuple[int, ...]]


class Leaf(NamedTuple):
  """Sparse form of an array."""

  shape: tuple[int, ...]
  positions: Integer[np.ndarray, ' nnz']  # ascending, of the flat array
  symbols: Integer[np.ndarray, ' nnz']  # indices into the non-zero values

  @property
  def size(self) -> int:
    """Number of weights."""
    return math.prod(self.shape)


class Sparse(NamedTuple):
  """Net of n weights that take k distinct values."""

  values: Float[np.ndarray, ' k']  # float32, ascending; 0 if a weight is 0
  leaves: tuple[Leaf, ...]  # in JAX's order
  names: str  # of the leaves, with their shapes

  @property
  def n(self) -> int:
    """Number of weights."""
    return sum(leaf.size for leaf in self.leaves)

  @property
  def nnz(self) -> int:
    """Number of weights other than zero."""
    return sum(len(leaf.positions) for leaf in self.leaves)

  @property
  def symbols(self) -> int:
    """Number of distinct values other than zero."""
    return int(np.count_nonzero(self.values))

  def check(self, width: int) -> int:
    """Returns a checksum of weights, shapes and names in `width` bits."""
    crc = zlib.crc32(self.names.encode())
    for leaf in self.leaves:
      for array in (leaf.positions, leaf.symbols):
        crc = zlib.crc32(array.astype('<i8').tobytes(), crc)
    crc = zlib.crc32(self.values.astype('<f4').tobytes(), crc)
    return crc & ((1 << width) - 1)


def from_params(params: PyTree) -> Sparse:
  """Returns the sparse form of trees of arrays.

  Raises:
    UsageError: a weight is not a finite float32, or there are no weights.
  """
  positions, values = [], []
  arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
  for array in arrays:
    flat = array.reshape(-1)
    positions.append(np.flatnonzero(flat))
    found = flat[positions[-1]]
    values.append(found.astype(np.float32))
    if not np.isfinite(found).all():
      raise errors.UsageError(
        'A weight is NaN or infinite, which no code describes; train with a '
        'lower learning rate.'
      )
    if not (values[-1] == found).all():
      raise errors.UsageError(
        'A weight is not a float32; convert the net to float32 first.'
      )
  distinct = [np.unique(v) for v in values]
  table = np.unique(np.concatenate([np.zeros(0, np.float32), *distinct]))
  leaves = tuple(
    Leaf(array.shape, at, np.searchsorted(table, found))
    for array, at, found in zip(arrays, positions, values, strict=True)
  )
  size_of(shapes_of(params))
  result = Sparse(table, leaves, names_of(params))
  if result.nnz < result.n:
    result = result._replace(values=np.sort(np.append(table, np.float32(0))))
  return result


def to_params(net: Sparse, skeleton: PyTree) -> PyTree:
  """Returns the weights as trees of arrays like those of `skeleton`.

  Raises:
    UsageError: a dtype of the skeleton cannot hold a value.
  """
  table = net.values[net.values != 0]
  arrays = []
  for leaf, like in zip(net.leaves, jax.tree.leaves(skeleton), strict=True):
    flat = np.zeros(leaf.size, like.dtype)
    with np.errstate(over='ignore'):
      held = table.astype(like.dtype).astype(np.float32)
    if not np.array_equal(held, table):
      raise errors.UsageError(
        f'The net has values that {like.dtype} cannot hold; give a skeleton of '
        'float32 arrays.'
      )
    flat[leaf.positions] = table[leaf.symbols]
    arrays.append(flat.reshape(leaf.shape))
  return jax.tree.unflatten(jax.tree.structure(skeleton), arrays)


def names_of(params: PyTree) -> str:
  """Returns names and shapes of all arrays of a net."""
  return ' '.join(
    f'{jax.tree_util.keystr(path)}{list(leaf.shape)}'
    for path, leaf in jax.tree.leaves_with_path(params)
  )


def shapes_of(params: PyTree) -> Shapes:
  """Returns the shapes of all arrays of a net."""
  return [tuple(leaf.shape) for leaf in jax.tree.leaves(params)]


def size_of(shapes: Shapes) -> int:
  """Returns the number of weights in arrays of such shapes.

  Raises:
    UsageError: there are no weights.
  """
  if not (n := sum(map(math.prod, shapes))):
    raise errors.UsageError('The net has no weights to describe.')
  return n


def count(found: int, shape: tuple[int, ...]) -> int:
  """Returns a number of non-zero weights that was read, if it can be right.

  Raises:
    UsageError: an array of that shape has fewer weights.
  """
  if found > math.prod(shape):
    raise damaged()
  return found


def damaged() -> errors.UsageError:
  """Returns the error for a code that does not describe a net."""
  return errors.UsageError(
    'The code is damaged, or of a net of another architecture.'
  )
