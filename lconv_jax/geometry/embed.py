"""First layouts: scaling of distances in the plane, eigenmodes on a torus.

On a line or circle all pixels are in row 0.
"""

import numpy as np
from jaxtyping import Bool, Float

from lconv_jax.geometry.grid import Grid, Positions


def plane(paths: Float[np.ndarray, 'pixels pixels'], grid: Grid) -> Positions:
  """Lays pixels out by classical multidimensional scaling, parallel to a grid.

  Args:
    paths: distances between pixels.
    grid: gives size, centre and directions.
  """
  n = len(paths)
  centre = np.eye(n) - 1 / n
  values, vectors = np.linalg.eigh(-centre @ paths**2 @ centre / 2)
  axes = 1 if grid.line else 2
  x = vectors[:, : -axes - 1 : -1] * np.sqrt(values[: -axes - 1 : -1])
  return align(_in_row_0(x) if grid.line else x, grid)


def align(positions: Positions, grid: Grid) -> Positions:
  """Turns, scales and moves a layout so that it fills a grid.

  On a torus it is only moved, by less than a pixel, so that it meets the cells.
  """
  if grid.torus:
    phase = np.angle(np.exp(2j * np.pi * positions).mean(axis=0))
    return positions - phase / (2 * np.pi)
  x = positions - positions.mean(axis=0)
  if grid.height == grid.width:
    # The fourth moment of a square has one phase in all of four directions.
    z = x[:, 0] + 1j * x[:, 1]
    z *= np.exp(-0.25j * (np.angle(np.mean(z**4)) - np.pi))
    x = np.stack([z.real, z.imag], axis=1)
  else:
    _, axes = np.linalg.eigh(x.T @ x)
    x = x @ (axes if grid.height < grid.width else axes[:, ::-1])
  cells = grid.positions
  centre = cells.mean(axis=0)
  x *= np.sqrt(((cells - centre) ** 2).sum() / (x**2).sum())
  return x + centre


def torus(joined: Bool[np.ndarray, 'pixels pixels'], grid: Grid) -> Positions:
  """Lays pixels out by the slowest eigenmodes of a graph on a torus.

  The four slowest modes of diffusion on a torus are mixtures of sine and cosine
  along either axis. Each pair lies on a circle, so the difference of the two
  squared radii is a quadratic form that vanishes at all pixels; its positive
  and negative eigenvectors tell the pairs apart.

  Args:
    joined: which pixels are neighbours.
    grid: gives the size; its sides differ by less than a factor of 2, unless
      it is a circle, which has two slowest modes.
  """
  degree = np.sqrt(joined.sum(axis=1))
  values, vectors = np.linalg.eigh(joined / degree / degree[:, None])
  modes = vectors[:, -5:-1] / vectors[:, -1:]  # the slowest is the stationary
  if grid.line:
    angle = np.arctan2(modes[:, 2:3], modes[:, 3:]) / (2 * np.pi)
    return align(_in_row_0(angle % 1 * grid.width), grid)
  i, j = np.triu_indices(4)
  scale = np.where(i == j, 1, np.sqrt(2))
  _, _, rows = np.linalg.svd(modes[:, i] * modes[:, j] * scale)
  form = np.zeros((4, 4))
  form[i, j] = form[j, i] = rows[-1] / np.where(i == j, 1, np.sqrt(2))
  _, axes = np.linalg.eigh(form)
  wave = modes @ axes
  angles = np.arctan2(wave[:, 1::2], wave[:, ::2]) / (2 * np.pi)
  speed = values[-5:-1] @ axes**2  # the greater, the slower
  first_is_longer = speed[:2].sum() > speed[2:].sum()
  if first_is_longer != (grid.height > grid.width):
    angles = angles[:, ::-1]
  return align(angles % 1 * [grid.height, grid.width], grid)


def _in_row_0(columns: Float[np.ndarray, 'pixels 1']) -> Positions:
  return np.pad(columns, ((0, 0), (1, 0)))
