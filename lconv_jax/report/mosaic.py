"""Filters of first layers as images, side by side."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int, Real
from matplotlib import axes, colors, figure

from lconv_jax import locality
from lconv_jax.report import style

Filters = Real[np.ndarray, '_units _h _w _c']

_LINE = 0.72  # grey level of the lines between filters
_RANGE = 0.42  # of RGB about mid grey: no weight is as white as zero


@style.look()
def draw_filters(
  columns: Sequence[tuple[str, Filters]],
  rows: int = 6,
  cols: int = 6,
  seed: int = 0,
  width: float | None = None,
  notes: bool = True,
  periodic: Sequence[bool] = (),
) -> figure.Figure:
  """Draws filters of first layers side by side (figures 4, 7-9).

  Each panel shows filters drawn at random among all that have at least
  `locality.min_nonzero` non-zero values, each scaled by its own largest
  |weight|. If there are too few, the next densest follow. A filter of signals
  is a strip, with a row for each channel; strips are in two columns.

  Args:
    columns: a title and filters of any size for each panel; all have 1 channel,
      or all have 3, or all are of signals.
    rows: the most rows of filters in a panel.
    cols: the number of filters in a row.
    seed: of the random choice.
    width: of the figure, inches; None: about a column for each panel.
    notes: whether each panel has the lines of `describe`.
    periodic: of each panel, whether images continue at the opposite border;
      empty: they do not.
  """
  width = width or (style.COLUMN + 0.25) * len(columns)
  count = len(columns)
  wide = width / (1.05 * count + 0.05)  # of a panel, gaps are a 20th of it
  titles = style.titles([title for title, _ in columns], int(11 * wide))
  room, signals = rows * cols, _of_signals(columns[0][1])
  if signals:
    rows, cols = -(-room // 2), 2
  mosaics = [
    _mosaic(_paint(filters[choose(filters, room, seed)]), rows, cols)
    for _, filters in columns
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
  for title, (_, filters), mosaic, (h, w), torus in zip(
    titles, columns, mosaics, sizes, periodic or [False] * count, strict=True
  ):
    ax = fig.add_axes(
      (left / width, 1 - (top + h) / size[1], w / width, h / size[1])
    )
    left += w + gap
    ax.set_axis_off()
    ax.imshow(mosaic, interpolation='nearest', aspect='auto', origin='upper')
    ax.set_title(title, pad=24 if notes else 4)
    if notes:
      _note(ax, '\n'.join(describe(filters, room, torus)))
  in_colour = filters.shape[-1] == 3 and not signals
  _scale(fig, in_colour, gap, size)
  return fig


def choose(
  filters: Filters, count: int, seed: int = 0
) -> Int[np.ndarray, ' chosen']:
  """Returns the indices of the filters to draw, at most `count`.

  Args:
    filters: chosen at random if they have enough non-zero values; the
      densest of the others follow if these do not suffice.
    count: how many.
    seed: of the random choice.
  """
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  shuffled = np.random.default_rng(seed).permutation(len(filters))
  eligible = nonzero[shuffled] >= locality.min_nonzero(filters)
  rest = shuffled[~eligible]
  rest = rest[np.argsort(-nonzero[rest], kind='stable')]
  return np.concatenate([shuffled[eligible], rest])[:count]


def describe(
  filters: Filters, count: int, periodic: bool = False
) -> tuple[str, str]:
  """Returns two lines about a panel that has room for `count` filters."""
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  least = locality.min_nonzero(filters)
  enough = filters[nonzero >= least]
  share = 100 * np.mean(nonzero) / filters[0].size
  first = f'{share:.3g} % non-zero'
  if len(enough):
    own = np.median(locality.spread(enough, periodic))
    # As `locality.summary` has it: the mean over shuffles of each filter.
    null = locality.null_spread(enough, draws=20, periodic=periodic)
    shuffled = np.median(null.mean(axis=1))
    first += f' · median spread {own:.1f} px, shuffled {shuffled:.1f}'
  second = f'{len(enough):,} of {len(filters):,} filters have ≥ '
  second += f'{least} non-zeros'
  fewer = ', then fewer' if len(enough) < min(count, len(filters)) else ''
  return first, second + fewer


def _paint(filters: Filters) -> Float[np.ndarray, '_units _h _w 3']:
  """Returns filters as RGB images in [0, 1].

  Pixels without any weight are white. In colour, the other pixels lie around
  mid grey, so that the smallest weight can be seen on white. A filter of
  signals becomes a strip with a row for each channel, or more if it is long.
  """
  if _of_signals(filters):
    channels, length = filters.shape[3], filters.shape[2]
    filters = np.swapaxes(filters, 1, 3)
    filters = np.repeat(filters, max(1, length // (12 * channels)), axis=1)
  largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
  scaled = filters / np.where(largest > 0, largest, 1)
  if filters.shape[-1] == 3:
    there = filters.any(axis=-1, keepdims=True)
    return np.where(there, 0.5 + _RANGE * scaled, 1.0)
  painted = style.WEIGHTS(0.5 + scaled[..., 0] / 2)[..., :3]
  return np.where(filters != 0, painted, 1.0)


def _of_signals(filters: Filters) -> bool:
  return filters.shape[1] == 1 < filters.shape[2]


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
  fig: figure.Figure, in_colour: bool, left: float, size: tuple[float, float]
) -> None:
  """Explains the colours, below the panels."""
  x, y = left / size[0], 0.2 / size[1]
  look = {'color': style.NOTE, 'fontsize': style.SMALL, 'va': 'center'}
  if in_colour:
    text = 'white: 0; grey: near 0; each filter by its own largest |weight|'
    fig.text(x, y, text, **look)
    return
  ax = fig.add_axes((x, 0.24 / size[1], 0.9 / size[0], 0.08 / size[1]))
  mappable = mpl.cm.ScalarMappable(colors.Normalize(-1, 1), style.WEIGHTS)
  bar = fig.colorbar(mappable, cax=ax, orientation='horizontal')
  bar.set_ticks([-1, 0, 1])
  bar.ax.tick_params(labelsize=style.SMALL, length=2, pad=1)
  bar.outline.set_linewidth(0.4)
  text = 'weight / largest |weight| of the filter'
  fig.text(x + 1.05 / size[0], y, text, **look)
