"""Layout of pixels on a grid, from their similarity alone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lconv_jax.geometry import embed, graph, stress
from lconv_jax.geometry.grid import Grid, Positions
from lconv_jax.geometry.match import Cells, match
from lconv_jax.geometry.similarity import Similarity, smooth

# Whose agreement with the nearest cells is counted. On a line this number, and
# those below, are halved, as so many neighbours are farther off there.
NEIGHBOURS = 8
_IN_GRAPH = 8, 4  # of a pixel in the graph: if smoothed, and as it is
# Rounds of `stress.refine`: how many of the most similar pixels count, and by
# which power of the distance a pair counts less.
_COARSE = ((12, 2),) * 3
_FINE = ((24, 3),) * 4
Rounds = tuple[tuple[int, int], ...]
_MATCHES = 10  # rounds of `match`, at most


class Layout(NamedTuple):
  """Places of pixels that were found."""

  grid: Grid
  positions: Positions  # before they were snapped to cells
  cell: Cells  # of the grid, one for each pixel
  # Share of the pixels' most similar pixels that are also among the nearest
  # cells; near 1 if similarity falls with distance on this surface.
  agreement: float


def lay_out(similarity: Similarity, grid: Grid) -> Layout:
  """Lays pixels out on a grid so that similar ones are close together.

  A first layout comes from a graph of neighbours, by shortest paths or on a
  torus by its slowest modes; of a graph of the smoothed similarity and one of
  the similarity itself the one with the greater agreement is taken. Then places
  are refined in two ways, by ranks of similarity (`stress.refine`) and by its
  values (`match`), and again the greater agreement decides. The truth is used
  nowhere.

  Args:
    similarity: of pixels.
    grid: the size, and whether opposite borders meet.
  """
  layouts = _layouts(similarity, grid)
  return max(layouts, key=lambda layout: layout.agreement)


def best(similarity: Similarity, grids: Sequence[Grid]) -> Layout:
  """Returns the layout on that one of some grids which agrees best."""
  layouts = [lay_out(similarity, grid) for grid in grids]
  return max(layouts, key=lambda layout: layout.agreement)


def _layouts(similarity: Similarity, grid: Grid) -> Iterator[Layout]:
  def layout(x: Positions, cell: Cells) -> Layout:
    agreement = _agreement(cell, rank, grid)
    return Layout(grid, x, cell, agreement)

  part = 2 if grid.line else 1
  smoothed, rank = smooth(similarity), graph.ranks(similarity)
  rough = graph.ranks(smoothed)
  starts = [
    _first(values, order, count // part, grid)
    for values, order, count in zip(
      (smoothed, similarity), (rough, rank), _IN_GRAPH, strict=True
    )
  ]
  x = max(
    starts, key=lambda start: _agreement(stress.snap(start, grid), rank, grid)
  )
  if not grid.torus:  # whose modes are exact but for noise
    x = stress.refine(x, rough, grid, _rounds(_COARSE, part))
  by_ranks = stress.refine(x, rank, grid, _rounds(_COARSE + _FINE, part))
  cell = stress.snap(by_ranks, grid)
  # Along a line the errors of distances add up, so that only order counts.
  yield layout(grid.positions[cell] if grid.line else by_ranks, cell)
  cell, _ = match(smoothed, stress.snap(x, grid), grid, _MATCHES)
  cell, by_values = match(similarity, cell, grid, _MATCHES)
  yield layout(by_values, cell)


def _rounds(rounds: Rounds, part: int) -> Rounds:
  return tuple((count // part, power) for count, power in rounds)


def _first(
  similarity: Similarity, rank: graph.Ranks, count: int, grid: Grid
) -> Positions:
  """Returns the layout of a graph of neighbours."""
  joined = graph.neighbours(similarity, rank, count)
  if grid.torus:
    return embed.torus(joined, grid)
  return embed.plane(graph.paths(joined, rank, grid.line), grid)


def _agreement(cell: Cells, rank: graph.Ranks, grid: Grid) -> float:
  at = grid.positions[cell]
  apart = grid.distances(at, at)
  count = NEIGHBOURS // 2 if grid.line else NEIGHBOURS
  reach = np.sort(apart, axis=1)[:, count]  # ties count as near
  similar = (rank > 0) & (rank <= count)
  return float((apart <= reach[:, None])[similar].mean())
