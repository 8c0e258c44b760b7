"""Filters of first layers as images, side by side."""

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int, Real
from matplotlib import axes, colors, figure

from lconv_jax import locality
from lconv_jax.report import style

_LINE = 0.72  # grey level of the lines between filters


@style.look()
def draw_filters(
  columns: Sequence[tuple[str, Real[np.ndarray, '...']]],
  image_shape: tuple[int, int, int],
  rows: int = 6,
  cols: int = 6,
  min_nonzero: int = locality.MIN_NONZERO,
  seed: int = 0,
  width: float | None = None,
  notes: bool = True,
) -> figure.Figure:
  """Draws filters of first layers side by side (figures 4, 7-9).

  Each panel shows filters drawn at random among those with at least
  `min_nonzero` non-zero values, each scaled by its own largest |weight|. Where
  there are too few, the next densest follow and the panel says so.

  Args:
    columns: for each panel a title and a dense kernel [H*W*C, units], or
      filters [units, h, w, C] of any size.
    image_shape: (H, W, C) of dense kernels; C, of all panels, is 1 or 3.
    rows: the most rows of filters in a panel.
    cols: the number of filters in a row.
    min_nonzero: the least number of non-zero values.
    seed: of the random choice.
    width: of the figure, inches; None: about a column for each panel.
    notes: whether each panel has what `describe` returns.

  Raises:
    ValueError: a kernel is not a dense layer on such images.
  """
  width = width or (style.COLUMN + 0.25) * len(columns)
  count = len(columns)
  wide = width / (1.05 * count + 0.05)  # of a panel, gaps are a 20th of it
  titles = [
    '\n'.join(textwrap.fill(line, int(11 * wide)) for line in title.split('\n'))
    for title, _ in columns
  ]
  filters = [_filters(kernel, image_shape) for _, kernel in columns]
  mosaics = [
    _mosaic(_paint(f[choose(f, rows * cols, min_nonzero, seed)]), rows, cols)
    for f in filters
  ]
  # Every weight is drawn as the same whole number of dots: none is wider than
  # its neighbour, and no filter is blurred.
  zooms = [max(1, int(wide * style.DPI / m.shape[1])) for m in mosaics]
  sizes = [
    tuple(zoom * n / style.DPI for n in m.shape[:2])
    for zoom, m in zip(zooms, mosaics, strict=True)
  ]
  gap = (width - sum(w for _, w in sizes)) / (count + 1)
  top = 0.09 + 0.14 * max(title.count('\n') + 1 for title in titles)
  top += 0.27 * notes
  bottom = 0.38
  size = width, top + max(h for h, _ in sizes) + bottom

  fig = figure.Figure(size)
  left = gap
  for title, f, mosaic, (h, w) in zip(
    titles, filters, mosaics, sizes, strict=True
  ):
    ax = fig.add_axes(
      (left / width, 1 - (top + h) / size[1], w / width, h / size[1])
    )
    left += w + gap
    ax.set_axis_off()
    ax.imshow(mosaic, interpolation='nearest', aspect='auto')
    ax.set_title(title, pad=24 if notes else 4)
    if notes:
      _note(ax, '\n'.join(describe(f, rows * cols, min_nonzero)))
  _scale(fig, filters[0].shape[-1], gap, size)
  return fig


def choose(
  filters: Real[np.ndarray, 'units h w c'],
  count: int,
  min_nonzero: int = locality.MIN_NONZERO,
  seed: int = 0,
) -> Int[np.ndarray, ' chosen']:
  """Returns the indices of the filters to draw, at most `count`.

  Args:
    filters: to choose from, at random.
    count: how many.
    min_nonzero: filters with fewer non-zero values come only where others do
      not suffice, the densest ones first.
    seed: of the random choice.
  """
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  shuffled = np.random.default_rng(seed).permutation(len(filters))
  eligible = nonzero[shuffled] >= min_nonzero
  rest = shuffled[~eligible]
  rest = rest[np.argsort(-nonzero[rest], kind='stable')]
  return np.concatenate([shuffled[eligible], rest])[:count]


def describe(
  filters: Real[np.ndarray, 'units h w c'],
  count: int,
  min_nonzero: int = locality.MIN_NONZERO,
) -> tuple[str, str]:
  """Returns what a reader must know about a panel, in two lines.

  Args:
    filters: all that there are.
    count: how many the panel can show.
    min_nonzero: as in `choose`.
  """
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  enough = filters[nonzero >= min_nonzero]
  share = 100 * np.mean(nonzero) / filters[0].size
  first = f'{share:.3g} % non-zero'
  if len(enough):
    own = np.median(locality.spread(enough))
    null = np.median(locality.null_spread(enough, draws=20))
    first += f' · median spread {own:.1f} px, shuffled {null:.1f}'
  second = f'{len(enough):,} of {len(filters):,} filters have ≥ {min_nonzero}'
  fewer = ', then fewer' if len(enough) < min(count, len(filters)) else ''
  return first, f'{second} non-zeros{fewer}'


def _filters(
  kernel: Real[np.ndarray, '...'], image_shape: tuple[int, int, int]
) -> Real[np.ndarray, 'units h w c']:
  if kernel.ndim == 4:
    return kernel
  return locality.from_kernel(kernel, image_shape)


def _paint(
  filters: Real[np.ndarray, 'n h w c'],
) -> Float[np.ndarray, 'n h w 3']:
  """Returns filters as RGB images in [0, 1]."""
  largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
  scaled = 0.5 + filters / np.where(largest > 0, 2 * largest, 1)
  if filters.shape[-1] == 3:
    return scaled
  return style.WEIGHTS(scaled[..., 0])[..., :3]


def _mosaic(
  images: Float[np.ndarray, 'n h w 3'], rows: int, cols: int
) -> Float[np.ndarray, 'height width 3']:
  """Returns images in a grid with lines, as many rows as they need."""
  line = max(1, images.shape[2] // 24)
  height, width = (n + line for n in images.shape[1:3])
  rows = max(1, min(rows, -(-len(images) // cols)))
  result = np.ones((rows * height + line, cols * width + line, 3))
  for i, image in enumerate(images):
    y, x = (i // cols) * height, (i % cols) * width
    result[y : y + height + line, x : x + width + line] = _LINE
    result[y + line : y + height, x + line : x + width] = image
  return result


def _note(ax: axes.Axes, text: str) -> None:
  ax.annotate(
    text,
    (0, 1),
    xytext=(0, 3),
    textcoords='offset points',
    xycoords='axes fraction',
    color=style.NOTE,
    fontsize=style.SMALL,
    linespacing=1.25,
  )


def _scale(
  fig: figure.Figure, channels: int, left: float, size: tuple[float, float]
) -> None:
  """Explains the colours, below the panels."""
  x, y = left / size[0], 0.2 / size[1]
  look = {'color': style.NOTE, 'fontsize': style.SMALL, 'va': 'center'}
  if channels == 3:
    fig.text(x, y, 'grey: 0; each filter by its own largest |weight|', **look)
    return
  ax = fig.add_axes((x, 0.24 / size[1], 0.9 / size[0], 0.08 / size[1]))
  mappable = mpl.cm.ScalarMappable(colors.Normalize(-1, 1), style.WEIGHTS)
  bar = fig.colorbar(mappable, cax=ax, orientation='horizontal')
  bar.set_ticks([-1, 0, 1])
  bar.ax.tick_params(labelsize=style.SMALL, length=2, pad=1)
  bar.outline.set_linewidth(0.4)
  text = 'weight / largest |weight| of the filter'
  fig.text(x + 1.05 / size[0], y, text, **look)
