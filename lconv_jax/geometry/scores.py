"""Scores of similarities and layouts against the true grid."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lconv_jax.geometry import graph
from lconv_jax.geometry.grid import Grid, Positions
from lconv_jax.geometry.layout import Layout
from lconv_jax.geometry.similarity import Similarity

CLOSE = 1.5  # px, less than which is next to a pixel, diagonally as well


class Scores(NamedTuple):
  """Comparison of a layout with the truth, after the best alignment."""

  rms: float  # px
  within_1: float  # share of pixels
  within_close: float
  exact: float  # share of pixels in their own cell
  cell_within_close: float


def near_share(similarity: Similarity, true: Positions, grid: Grid) -> float:
  """Returns the share of pixels' most similar pixels that are truly close.

  Of each pixel the 4 most similar pixels count, or 2 on a line.

  Args:
    similarity: of pixels.
    true: where they are.
    grid: gives the distances.
  """
  rank, count = graph.ranks(similarity), 2 if grid.line else 4
  similar = (0 < rank) & (rank <= count)
  return float((grid.distances(true, true) <= CLOSE)[similar].mean())


def score(layout: Layout, true: Positions) -> Scores:
  """Compares a layout with the true positions of its pixels.

  A layout may be turned and mirrored, in the plane scaled by one factor, and on
  the torus shifted, as similarity does not tell directions.
  """
  grid = layout.grid
  error = np.hypot(*grid.difference(aligned(layout, true), true).T)
  cells = grid.positions[layout.cell]
  moved = [np.rint(x) for x in _moved(cells, true, grid, np.rint)]
  cell_error = min(
    (np.hypot(*grid.difference(x, true).T) for x in moved),
    key=lambda e: np.sum(e**2),
  )
  return Scores(
    rms=float(np.sqrt(np.mean(error**2))),
    within_1=float(np.mean(error <= 1)),
    within_close=float(np.mean(error <= CLOSE)),
    exact=float(np.mean(cell_error < 0.5)),
    cell_within_close=float(np.mean(cell_error <= CLOSE)),
  )


def aligned(layout: Layout, true: Positions) -> Positions:
  """Returns a layout's positions, turned, mirrored, ... as the truth is."""
  grid, x = layout.grid, layout.positions
  if grid.torus:
    moved = _moved(x, true, grid)
    return min(moved, key=lambda y: np.sum(grid.difference(y, true) ** 2))
  x, centre = x - x.mean(axis=0), true.mean(axis=0)
  u, s, vt = np.linalg.svd(x.T @ (true - centre))
  return s.sum() / (x**2).sum() * x @ u @ vt + centre


def _moved(
  x: Positions,
  true: Positions,
  grid: Grid,
  shift: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Iterator[Positions]:
  """Yields positions under the grid's symmetries, on the torus shifted."""
  centre = np.array([grid.height - 1, grid.width - 1]) / 2
  swaps = (False, True) if grid.height == grid.width else (False,)
  for swap in swaps:
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
      y = (x[:, ::-1] if swap else x) - centre
      y = y * signs + centre
      if grid.torus:
        size = np.array([grid.height, grid.width])
        turn = np.exp(2j * np.pi * (true - y) / size).mean(axis=0)
        y = y + shift(np.angle(turn) * size / (2 * np.pi))
      yield y


def positions(
  origin: Int[np.ndarray, ' pixels'] | None, grid: Grid
) -> Float[np.ndarray, 'pixels 2']:
  """Returns the true positions of pixels that were moved."""
  return grid.positions if origin is None else grid.positions[origin]
