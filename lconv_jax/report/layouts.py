"""Figures of recovered geometry: layouts of pixels, and images in them."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import axes, figure

from lconv_jax import geometry
from lconv_jax.report import style

_FARTHEST = 16  # px, of the distances that are drawn
_SIDE, _GAP, _LABEL = 0.74, 0.05, 0.95  # inches: an image, between, the words
_TOP = 0.24
_LINE, _WORDS = 36, 14  # letters in a line of a column's title, of a row's name


class Recovered(NamedTuple):
  """Geometry that was found, and the truth."""

  label: str
  similarity: Float[np.ndarray, 'pixels pixels']
  layout: geometry.Layout
  true: Float[np.ndarray, 'pixels 2']
  scores: geometry.Scores


@style.look()
def draw_layouts(
  found: Sequence[Recovered], null: str, nulls: Sequence[np.ndarray]
) -> figure.Figure:
  """Draws layouts coloured by true position, and similarity by distance.

  A layout of signals, on a line, is drawn against the true position.

  Args:
    found: a column for each.
    null: the name of the similarities without geometry.
    nulls: those similarities, of the pixels of each column.
  """
  fig = figure.Figure(
    (style.COLUMN * max(len(found), 1.2), 4.6), layout='constrained'
  )
  panels = fig.subplots(2, len(found), squeeze=False, height_ratios=(1.5, 1))
  for (above, below), one, values in zip(panels.T, found, nulls, strict=True):
    _draw_layout(above, one)
    below.sharey(panels[1, 0])
    for similarity, color, name in (
      (one.similarity, style.BLUE, 'found'),
      (values, style.VERMILION, null),
    ):
      _draw_similarity(
        below, similarity, one.true, one.layout.grid, color, name
      )
    below.set_xlabel('true distance (px)')
    below.set_xlim(0.5, _FARTHEST + 0.5)
  panels[1, 0].set_ylabel('similarity')
  panels[1, 0].legend()
  return fig


@style.look()
def draw_images(
  rows: Sequence[tuple[str, UInt8[np.ndarray, 'n h w c']]],
) -> figure.Figure:
  """Draws the same images in several layouts, a row for each.

  Args:
    rows: a name and images, grey or RGB, or signals, drawn as curves.
  """
  count = len(rows[0][1])
  size = (
    _LABEL + count * (_SIDE + _GAP),
    _TOP / 4 + len(rows) * (_SIDE + _GAP),
  )
  fig = figure.Figure(size)
  for i, (name, images) in enumerate(rows):
    bottom = size[1] - (i + 1) * (_SIDE + _GAP) - _TOP / 8
    fig.text(
      (_LABEL - 0.08) / size[0], (bottom + _SIDE / 2) / size[1],
      '\n'.join(textwrap.wrap(name, _WORDS)),
      ha='right', va='center', color=style.NOTE, fontsize=style.SMALL,
    )  # fmt: skip
    for j, image in enumerate(images):
      left = _LABEL + j * (_SIDE + _GAP)
      ax = fig.add_axes(
        (left / size[0], bottom / size[1], _SIDE / size[0], _SIDE / size[1])
      )
      ax.set_axis_off()
      if len(image) == 1:
        ax.plot(image[0], lw=0.5)
        ax.set_ylim(-8, 263)
        continue
      shown = image if image.shape[-1] == 3 else image[..., 0]
      ax.imshow(shown, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
  return fig


def _draw_layout(ax: axes.Axes, one: Recovered) -> None:
  grid, scores = one.layout.grid, one.scores
  x = geometry.aligned(one.layout, one.true)
  size = np.array([grid.height, grid.width])
  if grid.torus:
    x = (x + 0.5) % size - 0.5
  places = (one.true[:, 1], x[:, 1]) if grid.line else (x[:, 1], x[:, 0])
  ax.scatter(*places, s=5, c=_colors(one.true / size), linewidths=0)
  ax.set_aspect('equal')
  ax.set_title(textwrap.fill(one.label, _LINE))
  note = (
    f'r.m.s. {scores.rms:.2f} px · {100 * scores.within_close:.1f} % within '
    f'{geometry.CLOSE} px'
  )
  if grid.line:
    ends = -1, grid.width
    ax.set(xlim=ends, ylim=ends, xlabel=f'true place\n{note}')
    ax.set_ylabel('place found')
    return
  ax.invert_yaxis()
  ax.set_axis_off()
  ax.annotate(
    note, (0.5, 0), xytext=(0, -3), xycoords='axes fraction',
    textcoords='offset points', ha='center', va='top', color=style.NOTE,
    fontsize=style.SMALL,
  )  # fmt: skip


def _colors(
  place: Float[np.ndarray, 'pixels 2'],
) -> Float[np.ndarray, 'pixels 3']:
  """Returns a colour for each place in the unit square, from four corners."""
  corners = np.array(
    [[[0.0, 0.45, 0.7], [0.0, 0.62, 0.45]], [[0.84, 0.37, 0.0], [0.9, 0.62, 0]]]
  )
  y, x = place[:, :1], place[:, 1:]
  above = (1 - x) * corners[0, 0] + x * corners[0, 1]
  below = (1 - x) * corners[1, 0] + x * corners[1, 1]
  return (1 - y) * above + y * below


def _draw_similarity(
  ax: axes.Axes,
  similarity: np.ndarray,
  true: np.ndarray,
  grid: geometry.Grid,
  color: str,
  label: str,
) -> None:
  """Draws mean and standard deviation over pairs at about each distance."""
  distance = np.rint(grid.distances(true, true)).astype(int).ravel()
  kept = (0 < distance) & (distance <= _FARTHEST)
  distance, values = distance[kept], similarity.ravel()[kept]
  count = np.maximum(np.bincount(distance, minlength=_FARTHEST + 1), 1)
  mean = np.bincount(distance, values, _FARTHEST + 1) / count
  square = np.bincount(distance, values**2, _FARTHEST + 1) / count
  spread = np.sqrt(np.maximum(square - mean**2, 0))
  x, mean, spread = (a[1:] for a in (np.arange(_FARTHEST + 1), mean, spread))
  ax.plot(x, mean, color=color, marker='o', markersize=2.5, label=label)
  ax.fill_between(
    x, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0
  )
