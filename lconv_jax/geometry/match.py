"""Places of pixels on a grid by least squares between all pairs."""

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

from lconv_jax.geometry.grid import Grid, Positions
from lconv_jax.geometry.similarity import Similarity

_BINS = 10  # of distance in a pixel: cells' distances are told apart
_NEAR = 3.0  # px, around a pixel's cell, of the cells that are averaged

Cells = Int[np.ndarray, ' pixels']


def match(
  similarity: Similarity, cell: Cells, grid: Grid, rounds: int
) -> tuple[Cells, Positions]:
  """Moves pixels to cells where similarity is as usual at such distances.

  Each round estimates how similarity falls with distance, a monotone function
  of it, and gives each pixel the cell from which the other pixels' similarities
  are met best, one pixel a cell. This is likelihood if noise is as strong in
  all pairs, as it is in the weights of a dense layer.

  Args:
    similarity: of pixels.
    cell: where the pixels are at first.
    grid: the cells.
    rounds: the most rounds.

  Returns:
    The cells; and positions which no grid has forced apart: means over the
    cells near a pixel's own, weighted by likelihood.
  """
  apart = grid.distances(grid.positions, grid.positions)
  similarity = similarity.copy()
  np.fill_diagonal(similarity, 0)
  for _ in range(rounds):
    usual = _usual(similarity, cell, apart)
    costs = (usual**2).sum(axis=0) - 2 * similarity @ usual[cell]
    before, cell = cell, scipy.optimize.linear_sum_assignment(costs)[1]
    if np.array_equal(before, cell):
      break
  noise = np.var(similarity - usual[np.ix_(cell, cell)])
  near = apart[cell] <= _NEAR
  excess = np.where(near, costs, np.inf)
  excess -= excess.min(axis=1, keepdims=True)
  weight = np.exp(-excess / (2 * noise))
  weight /= weight.sum(axis=1, keepdims=True)
  centre = grid.positions[cell]
  offsets = grid.difference(grid.positions[None], centre[:, None])
  return cell, centre + np.einsum('pc,pca->pa', weight, offsets)


def _usual(
  similarity: Similarity, cell: Cells, apart: Float[np.ndarray, 'cells cells']
) -> Float[np.ndarray, 'cells cells']:
  """Returns the usual similarity of pixels in two cells, by distance."""
  pixel = np.argsort(cell)
  found = similarity[np.ix_(pixel, pixel)]
  bins = np.rint(apart * _BINS).astype(int)
  counts = np.bincount(bins.ravel())
  sums = np.bincount(bins.ravel(), found.ravel())
  known = np.flatnonzero(counts)[1:]  # without a cell and itself
  fitted = scipy.optimize.isotonic_regression(
    sums[known] / counts[known], weights=counts[known], increasing=False
  ).x
  table = np.zeros(len(counts))
  table[known] = fitted - fitted[-1]
  table[0] = table[known[0]]
  return table[bins]
