"""Gaps between the non-zero weights of an array, in one of two orders."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer

from lconv_jax.mdl import sparse


class Gaps(NamedTuple):
  """Gaps and symbols of an array, in one order."""

  by_unit: bool  # last axis first: a dense kernel [in, out] unit by unit
  gaps: Integer[np.ndarray, ' nnz']  # zeros before each non-zero weight
  symbols: Integer[np.ndarray, ' nnz']


def both_orders(leaf: sparse.Leaf) -> tuple[Gaps, Gaps]:
  """Returns an array as it lies in memory, and with its last axis first."""
  swapped = _transpose(leaf.positions, leaf.size, _columns(leaf.shape))
  by = np.argsort(swapped)
  return (
    Gaps(False, _between(leaf.positions), leaf.symbols),
    Gaps(True, _between(swapped[by]), leaf.symbols[by]),
  )


def to_leaf(shape: tuple[int, ...], found: Gaps) -> sparse.Leaf:
  """Returns the array that has such gaps.

  Raises:
    UsageError: no array of that shape has them.
  """
  size = math.prod(shape)
  # In floats, as damaged gaps may overflow int64.
  total = found.gaps.astype(float).sum() + len(found.gaps)
  if total > size or (found.gaps < 0).any():
    raise sparse.damaged()
  positions, symbols = np.cumsum(found.gaps + 1) - 1, found.symbols
  if found.by_unit:
    positions = _transpose(positions, size, size // _columns(shape))
    by = np.argsort(positions)
    positions, symbols = positions[by], symbols[by]
  return sparse.Leaf(shape, positions, symbols)


def _between(
  positions: Integer[np.ndarray, ' nnz'],
) -> Integer[np.ndarray, ' nnz']:
  return np.diff(positions, prepend=-1) - 1


def _columns(shape: tuple[int, ...]) -> int:
  return max(1, shape[-1]) if shape else 1


def _transpose(
  positions: Integer[np.ndarray, ' nnz'], size: int, columns: int
) -> Integer[np.ndarray, ' nnz']:
  """Returns positions in the transpose of a matrix of that many columns."""
  row, column = np.divmod(positions, max(1, columns))
  return column * (size // max(1, columns)) + row
