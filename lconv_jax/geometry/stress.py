"""Refinement of a layout by ranks of similarity: weighted stress on a grid."""

from collections.abc import Sequence

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

from lconv_jax.geometry import embed, graph
from lconv_jax.geometry.grid import Grid, Positions

_STEPS = 15  # of L-BFGS in a round


def refine(
  x: Positions,
  rank: graph.Ranks,
  grid: Grid,
  rounds: Sequence[tuple[int, int]],
) -> Positions:
  """Returns positions whose distances fit what ranks and the grid imply.

  In each round pixels are snapped to cells. A pixel's n-th most similar pixel
  should be as far away as the n-th nearest cell from its own, and all others
  where they are on the grid; positions minimise the weighted squared error. As
  only ranks count, similarity may fall differently around each pixel.

  Args:
    x: where the pixels are at first.
    rank: of similarity.
    grid: the cells.
    rounds: for each round, how many of the most similar pixels count, and by
      which power of the distance a pair counts less.
  """
  for count, power in rounds:
    distance = _implied(snap(x, grid), rank, grid, count)
    np.fill_diagonal(distance, np.inf)
    weight = distance**-power
    np.fill_diagonal(distance, 0)
    x = _least_stress(x, np.float32(distance), np.float32(weight), grid)
    x = embed.align(x, grid)
  return x


def snap(positions: Positions, grid: Grid) -> Int[np.ndarray, ' pixels']:
  """Returns a cell for each pixel, by the smallest sum of squared distances."""
  costs = grid.distances(positions, grid.positions) ** 2
  return scipy.optimize.linear_sum_assignment(costs)[1]


def _implied(
  cell: Int[np.ndarray, ' pixels'],
  rank: graph.Ranks,
  grid: Grid,
  count: int,
) -> Float[np.ndarray, 'pixels pixels']:
  """Returns the distances that pixels should have."""
  apart = grid.distances(grid.positions, grid.positions)
  nearest = np.sort(apart, axis=1)[cell]  # from each pixel's cell
  expected = np.take_along_axis(nearest, rank, axis=1)
  near = rank <= count
  votes = near.astype(np.float64) + near.T
  mean = (expected * near + expected.T * near.T) / np.maximum(votes, 1)
  reach = nearest[:, min(count, len(rank) - 1)]
  # Pixels that are not similar are no nearer than those that are.
  far = np.maximum(apart[np.ix_(cell, cell)], np.minimum(reach, reach[:, None]))
  return np.where(votes > 0, mean, far)


def _least_stress(
  x: Positions,
  distance: Float[np.ndarray, 'pixels pixels'],
  weight: Float[np.ndarray, 'pixels pixels'],
  grid: Grid,
) -> Positions:
  """Minimises the sum of weight · (distance in the layout - distance)²."""

  def stress(flat: np.ndarray) -> tuple[float, np.ndarray]:
    at = np.float32(flat).reshape(-1, 2)
    offsets = grid.offsets(at, at)
    length = np.sqrt(sum(d * d for d in offsets) + np.float32(1e-9))
    error = length - distance
    pull = weight * error
    value = np.vdot(pull, error)
    pull /= length
    slope = [4 * np.einsum('ij,ij->i', pull, d) for d in offsets]
    return float(value), np.stack(slope, axis=1).ravel().astype(np.float64)

  found = scipy.optimize.minimize(
    stress, x.ravel(), jac=True, method='L-BFGS-B', options={'maxiter': _STEPS}
  )
  return found.x.reshape(-1, 2)
