"""Grid of pixels, in the plane or closed to a torus.

A grid of height 1 is a line, or closed a circle.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

Positions = Float[np.ndarray, 'pixels 2']  # row and column, px


def _shortest(
  d: Real[np.ndarray, '...'], size: Real[np.ndarray, ' axes'] | int | None
) -> Real[np.ndarray, '...']:
  """Returns differences, the shortest way round if there is a size."""
  if size is None:
    return d
  return d - np.asarray(size, d.dtype) * np.rint(d / np.asarray(size, d.dtype))


class Grid(NamedTuple):
  """Height and width in pixels, and whether opposite borders meet."""

  height: int
  width: int
  torus: bool = False

  @property
  def line(self) -> bool:
    """True if pixels have neighbours in one dimension alone."""
    return self.height == 1

  @property
  def positions(self) -> Positions:
    """The pixels' places, in the order of rows."""
    rows = np.divmod(np.arange(self.height * self.width), self.width)
    return np.stack(rows, axis=1).astype(np.float64)

  def difference(
    self, a: Real[np.ndarray, '*a 2'], b: Real[np.ndarray, '*b 2']
  ) -> Real[np.ndarray, '*c 2']:
    """Returns a - b, on the torus the shortest way."""
    sizes = np.array([self.height, self.width])
    return _shortest(a - b, sizes if self.torus else None)

  def distances(
    self, a: Positions, b: Float[np.ndarray, 'others 2']
  ) -> Float[np.ndarray, 'pixels others']:
    """Returns the distance of each position in `a` from each in `b`."""
    rows, columns = self.offsets(a, b)
    return np.hypot(rows, columns)

  def offsets(
    self, a: Real[np.ndarray, 'pixels 2'], b: Real[np.ndarray, 'others 2']
  ) -> tuple[
    Real[np.ndarray, 'pixels others'], Real[np.ndarray, 'pixels others']
  ]:
    """Returns `difference` of all pairs, of rows and of columns."""
    sizes = (self.height, self.width) if self.torus else (None, None)
    rows, columns = (
      _shortest(x[:, None] - y, size)
      for x, y, size in zip(a.T, b.T, sizes, strict=True)
    )
    return rows, columns
