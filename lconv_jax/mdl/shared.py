"""Weights that share few values."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import PyTree

from lconv_jax import errors
from lconv_jax.mdl import alphabet
from lconv_jax.mdl.kmeans import kmeans


def quantise(params: PyTree, k: int, b: int = 32) -> PyTree:
  """Returns a net whose weights take at most k values, one of which is zero.

  The other values are the means of clusters of the non-zero weights, found by
  k-means and rounded to b bits. Zeros stay zero. Fold batch norm first by
  `models.fold`, or its scale and statistics are quantised like weights.

  Args:
    params: trees of arrays.
    k: number of values: 2 or more, or 1 for a net of zeros.
    b: bits of a value.

  Raises:
    UsageError: a weight is not finite, k or b is out of range, or the weights'
      dtype cannot hold values of b bits.
  """
  leaves, structure = jax.tree.flatten(params)
  if k < 1 or (k == 1 and any(np.any(leaf) for leaf in leaves)):
    raise errors.UsageError(
      f'k={k} must be 2 or more: zero is one of the k values.'
    )
  return jax.tree.unflatten(structure, share(leaves, k - 1, b))


def share(arrays: Sequence[np.ndarray], count: int, b: int) -> list[np.ndarray]:
  """Returns arrays whose non-zero elements take at most `count` values.

  Args:
    arrays: of any shapes; they share the values.
    count: of values other than zero.
    b: bits of a value.

  Raises:
    UsageError: an element is not finite, b is out of range, or an array's dtype
      cannot hold values of b bits.
  """
  arrays = [np.asarray(a) for a in arrays]
  nonzero = [a[a != 0] for a in arrays]
  values, counts = np.unique(np.concatenate(nonzero), return_counts=True)
  if not np.isfinite(values).all():
    raise errors.UsageError(
      'A weight is NaN or infinite; train with a lower learning rate.'
    )
  if not len(values):
    return arrays
  means = kmeans(values, counts, count)
  edges, table = (means[1:] + means[:-1]) / 2, alphabet.nearest(means, b)
  for dtype in {a.dtype for a in arrays}:
    if not np.array_equal(table.astype(dtype), table):
      raise errors.UsageError(
        f'Arrays of {dtype} cannot hold values of {b} bits; give float32.'
      )
  shared = [np.zeros(a.shape, a.dtype) for a in arrays]
  for new, old, found in zip(shared, arrays, nonzero, strict=True):
    new[old != 0] = table[np.searchsorted(edges, found)]
  return shared
