"""Graph of neighbours: ranks of similarity, and shortest paths."""

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int
from scipy.sparse import csgraph

from lconv_jax.geometry.similarity import Similarity

Ranks = Int[np.ndarray, 'pixels pixels']


def ranks(similarity: Similarity) -> Ranks:
  """Returns the place of each pixel in the order of similarity to another.

  Args:
    similarity: of each pixel (row) to each other (column).

  Returns:
    In each row 1 for the most similar pixel, 2 for the next, and 0 for the
    pixel itself.
  """
  others = similarity.copy()
  np.fill_diagonal(others, np.inf)
  order = np.argsort(-others, axis=1, kind='stable')
  result = np.empty_like(order)
  np.put_along_axis(result, order, np.arange(len(order))[None], axis=1)
  return result


def neighbours(
  similarity: Similarity, rank: Ranks, count: int
) -> Bool[np.ndarray, 'pixels pixels']:
  """Returns which pixels are each other's neighbours; all are connected.

  Args:
    similarity: of pixels.
    rank: what `ranks` returns.
    count: pixels are neighbours if each is among the other's `count` most
      similar ones. What is then still apart is joined by the spanning tree of
      the greatest similarities.
  """
  mutual = (rank <= count) & (rank.T <= count)
  np.fill_diagonal(mutual, False)
  costs = similarity.max() + 1 - similarity  # zero would be no edge
  tree = csgraph.minimum_spanning_tree(scipy.sparse.csr_array(costs))
  joined = tree.toarray() > 0
  return mutual | joined | joined.T


def paths(
  joined: Bool[np.ndarray, 'pixels pixels'], rank: Ranks, line: bool = False
) -> Float[np.ndarray, 'pixels pixels']:
  """Returns the lengths of shortest paths between pixels, about in pixels.

  An edge is as long as the radius of a disc that holds as many pixels as are
  at least as similar, which does not depend on how similarity falls. On a line
  the disc is an interval.

  Args:
    joined: which pixels are neighbours.
    rank: what `ranks` returns.
    line: whether the pixels are on a line.
  """
  count = (rank**1.0 + rank.T) / 2
  length = count / 2 if line else np.sqrt(count / np.pi)
  edges = scipy.sparse.csr_array(np.where(joined, length, 0))
  return csgraph.shortest_path(edges, directed=False)
