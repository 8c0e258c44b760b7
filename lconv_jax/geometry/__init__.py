"""Geometry of the pixels: which are neighbours, from a net's weights alone.

`similarity` compares pixels by their weights, or by their values in images;
`lay_out` finds places in the plane or on a torus, and cells of a grid; `score`
compares them with the truth. docs/geometry.md tells the story.
"""

from lconv_jax.geometry import similarity
from lconv_jax.geometry.grid import Grid
from lconv_jax.geometry.layout import Layout, best, lay_out
from lconv_jax.geometry.scores import (
  CLOSE,
  Scores,
  aligned,
  near_share,
  positions,
  score,
)

__all__ = [
  'CLOSE',
  'Grid',
  'Layout',
  'Scores',
  'aligned',
  'best',
  'lay_out',
  'near_share',
  'positions',
  'score',
  'similarity',
]
