"""The paper's figures: first-layer filters, curves over a run; and images.

Every figure is drawn without pyplot, hence without global state or display,
and saved twice: PNG for the screen and PDF for print.
"""

import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Real, UInt8
from matplotlib import axes, colors, figure, ticker

from lconv_jax import locality

# The one look of all figures. Sizes are inches and points.
_STYLE = {
  'font.size': 9,
  'axes.titlesize': 10,
  'axes.titleweight': 'bold',
  'axes.titlelocation': 'left',
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'axes.axisbelow': True,
  'grid.color': '0.9',
  'legend.frameon': False,
  'lines.linewidth': 1.6,
  'pdf.fonttype': 42,  # text stays text
}
_DPI = 200
# Okabe & Ito (2008), told apart with any colour vision; yellow is left out.
_RUNS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
)
_WEIGHTS = mpl.colormaps['RdBu_r']  # diverging, zero is near white
_LAYERS = mpl.colormaps['viridis']
_LINE = 0.72  # grey level of the lines between filters

_Metrics = Sequence[Mapping[str, Any]]
_Paths = tuple[pathlib.Path, pathlib.Path]


def first_layer_filters(
  columns: Sequence[tuple[str, Real[np.ndarray, 'inputs units']]],
  image_shape: tuple[int, int, int],
  path: str | pathlib.Path,
  rows: int = 6,
  cols: int = 6,
  min_nonzero: int = locality.MIN_NONZERO,
  seed: int = 0,
) -> _Paths:
  """Draws filters of dense first layers side by side (figures 4, 7-9).

  Each panel shows filters drawn at random among those with at least
  `min_nonzero` non-zero values, each scaled by its own largest |weight|. Where
  there are too few, the next densest follow and the panel says so.

  Args:
    columns: a title and a kernel [H*W*C, units] for each panel.
    image_shape: (H, W, C) of all kernels; C is 1 or 3.
    path: of the PNG; the PDF stands beside it.
    rows: of filters in a panel.
    cols: of filters in a panel.
    min_nonzero: the bar, in non-zero values.
    seed: of the random choice.

  Returns:
    The paths of PNG and PDF.

  Raises:
    ValueError: a kernel is no dense layer on such images.
  """
  height, width, channels = image_shape
  panels = [
    (textwrap.fill(title, 34), locality.from_kernel(kernel, image_shape))
    for title, kernel in columns
  ]
  # Every weight is drawn as the same whole number of dots: none is wider than
  # its neighbour, and no filter is blurred.
  line = max(1, width // 24)
  shape = rows * (height + line) + line, cols * (width + line) + line
  zoom = max(1, round(640 / shape[1]))
  high, wide = (zoom * n / _DPI for n in shape)
  gap, top, bottom = 0.35, 0.65, 0.5
  top += 0.17 * max(title.count('\n') + 1 for title, _ in panels)
  size = gap + len(panels) * (wide + gap), top + high + bottom

  with mpl.rc_context(_STYLE):
    fig = figure.Figure(size)
    for i, (title, filters) in enumerate(panels):
      left = gap + i * (wide + gap)
      ax = fig.add_axes(
        (left / size[0], bottom / size[1], wide / size[0], high / size[1])
      )
      ax.set_axis_off()
      chosen = _choose(filters, rows * cols, min_nonzero, seed)
      mosaic = _mosaic(_paint(filters[chosen]), rows, cols, line)
      ax.imshow(mosaic, interpolation='nearest', aspect='auto')
      ax.set_title(title, pad=30)
      ax.annotate(
        _describe(filters, rows * cols, min_nonzero),
        (0, 1),
        xytext=(0, 4),
        textcoords='offset points',
        xycoords='axes fraction',
        color='0.3',
        fontsize=8,
        linespacing=1.3,
      )
    _scale(fig, channels, gap, size)
    return _save(fig, path)


def curves(
  runs: Sequence[tuple[str, _Metrics]], path: str | pathlib.Path
) -> _Paths:
  """Draws accuracy, and non-zero weights of each layer, against epochs.

  Args:
    runs: a label and the lines of metrics.jsonl for each run; a line lacks
      what was not measured at that epoch.
    path: of the PNG; the PDF stands beside it.

  Returns:
    The paths of PNG and PDF.
  """
  columns = min(len(runs) + 1, 3)
  lines = -(-(len(runs) + 1) // columns)
  with mpl.rc_context(_STYLE):
    fig = figure.Figure((3.7 * columns, 3.3 * lines), layout='constrained')
    fig.get_layout_engine().set(wspace=0.06, hspace=0.06)
    first, *rest = (
      fig.add_subplot(lines, columns, i + 1) for i in range(len(runs) + 1)
    )
    _accuracy(first, runs)
    for ax, (label, metrics) in zip(rest, runs, strict=True):
      _sparsity(ax, label, metrics)
    low = min([10, *(ax.get_ylim()[0] for ax in rest)])
    for ax in rest:
      ax.set_ylim(low, 130)  # one scale, so that runs compare at a glance
    return _save(fig, path)


def contact_sheet(
  images: UInt8[np.ndarray, 'rows cols h w 3'],
  labels: Sequence[Sequence[str]],
  path: str | pathlib.Path,
) -> _Paths:
  """Draws images side by side, each with a label of a line or more below it.

  Args:
    images: RGB.
    labels: for each row, one for each column.
    path: of the PNG; the PDF stands beside it.

  Returns:
    The paths of PNG and PDF.
  """
  rows, cols = images.shape[:2]
  lines = [max(label.count('\n') + 1 for label in row) for row in labels]
  side, gap, line = 0.85, 0.1, 0.11  # inches
  bottoms = np.cumsum([side + gap + line * n for n in lines])
  size = gap + cols * (side + gap), gap + bottoms[-1]
  with mpl.rc_context(_STYLE):
    fig = figure.Figure(size)
    for i, j in np.ndindex(rows, cols):
      left = gap + j * (side + gap)
      bottom = size[1] - bottoms[i] + line * lines[i]
      ax = fig.add_axes(
        (left / size[0], bottom / size[1], side / size[0], side / size[1])
      )
      ax.set_axis_off()
      ax.imshow(images[i, j], interpolation='nearest')
      ax.annotate(
        labels[i][j],
        (0.5, 0),
        xytext=(0, -2),
        textcoords='offset points',
        xycoords='axes fraction',
        ha='center',
        va='top',
        color='0.3',
        fontsize=6,
      )
    return _save(fig, path)


def _choose(
  filters: np.ndarray, count: int, min_nonzero: int, seed: int
) -> np.ndarray:
  """Returns the indices of the filters to draw, at most `count`."""
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  shuffled = np.random.default_rng(seed).permutation(len(filters))
  eligible = nonzero[shuffled] >= min_nonzero
  rest = shuffled[~eligible]
  rest = rest[np.argsort(-nonzero[rest], kind='stable')]
  return np.concatenate([shuffled[eligible], rest])[:count]


def _paint(filters: np.ndarray) -> np.ndarray:
  """Returns filters as RGB images, [n, H, W, 3] in [0, 1]."""
  largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
  scaled = 0.5 + filters / np.where(largest > 0, 2 * largest, 1)
  return scaled if filters.shape[-1] == 3 else _WEIGHTS(scaled[..., 0])[..., :3]


def _mosaic(images: np.ndarray, rows: int, cols: int, line: int) -> np.ndarray:
  """Returns images [n, H, W, 3] in a grid with lines; cells may stay empty."""
  height, width = (n + line for n in images.shape[1:3])
  result = np.ones((rows * height + line, cols * width + line, 3))
  for i, image in enumerate(images):
    y, x = (i // cols) * height, (i % cols) * width
    result[y : y + height + line, x : x + width + line] = _LINE
    result[y + line : y + height, x + line : x + width] = image
  return result


def _describe(filters: np.ndarray, cells: int, min_nonzero: int) -> str:
  """Returns what a reader must know about the panel, in two lines."""
  nonzero = np.count_nonzero(filters, axis=(1, 2, 3))
  enough = filters[nonzero >= min_nonzero]
  share = 100 * np.mean(nonzero) / filters[0].size
  text = f'{share:.3g} % non-zero'
  if len(enough):
    own = np.median(locality.spread(enough))
    null = np.median(locality.null_spread(enough, draws=20))
    text += f' · median spread {own:.1f} px, shuffled {null:.1f}'
  text += f'\n{len(enough):,} of {len(filters):,} filters have ≥ {min_nonzero}'
  if len(enough) < min(cells, len(filters)):
    return f'{text} non-zeros, then fewer'
  return f'{text} non-zeros'


def _scale(
  fig: figure.Figure, channels: int, left: float, size: tuple[float, float]
) -> None:
  """Explains the colours, below the panels."""
  x, y = left / size[0], 0.26 / size[1]
  if channels == 3:
    text = 'mid grey: zero. Each filter is scaled by its own largest |weight|.'
    fig.text(x, y, text, color='0.3', fontsize=8, va='center')
    return
  ax = fig.add_axes((x, 0.3 / size[1], 1.1 / size[0], 0.09 / size[1]))
  mappable = mpl.cm.ScalarMappable(colors.Normalize(-1, 1), _WEIGHTS)
  bar = fig.colorbar(mappable, cax=ax, orientation='horizontal')
  bar.set_ticks([-1, 0, 1])
  bar.ax.tick_params(labelsize=7, length=2, pad=1)
  bar.outline.set_linewidth(0.4)
  text = 'weight / largest |weight| of the filter'
  fig.text(x + 1.25 / size[0], y, text, color='0.3', fontsize=8, va='center')


def _accuracy(ax: axes.Axes, runs: Sequence[tuple[str, _Metrics]]) -> None:
  for i, (label, metrics) in enumerate(runs):
    color = _RUNS[i % len(_RUNS)]
    _line(ax, metrics, 'test/accuracy', color=color, label=label)
    _line(ax, metrics, 'train/accuracy', color=color, ls='--', lw=1, alpha=0.8)
  ax.set(title='Accuracy', ylabel='accuracy (%)')
  _epochs(ax, [line for _, metrics in runs for line in metrics])
  ax.plot([], [], '-', color='0.4', label='test')
  ax.plot([], [], '--', color='0.4', lw=1, label='train (augmented batches)')
  ax.legend(fontsize=7.5)


def _sparsity(ax: axes.Axes, label: str, metrics: _Metrics) -> None:
  names = dict.fromkeys(key for line in metrics for key in line)
  keys = [name for name in names if name.startswith('nonzero/')]
  for i, key in enumerate(keys):
    # From dark and wide to light and narrow: depth is an order, and lines
    # that lie on each other can still be told apart.
    depth = i / max(1, len(keys) - 1)
    look = {'color': _LAYERS(0.9 * depth), 'lw': 3 - 2 * depth}
    _line(ax, metrics, key, label=key.removeprefix('nonzero/'), **look)
  ax.set(title=textwrap.fill(label, 30), ylabel='non-zero weights (%)')
  _epochs(ax, metrics)
  ax.set_yscale('log')
  ax.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  ax.yaxis.set_minor_formatter(ticker.NullFormatter())
  if keys:
    ax.legend(fontsize=7.5, ncols=1 + len(keys) // 5)


def _line(ax: axes.Axes, metrics: _Metrics, key: str, **look: Any) -> None:
  """Draws a share in [0, 1] as percent, at the epochs that have it."""
  # A logarithmic axis has no place for 0.
  points = [
    (line['epoch'], 100 * line[key]) for line in metrics if line.get(key)
  ]
  if points:
    if len(points) == 1:
      look |= {'marker': 'o', 'ms': 4, 'clip_on': False}
    ax.plot(*zip(*points, strict=True), **look)


def _epochs(ax: axes.Axes, metrics: _Metrics) -> None:
  last = max([1, *(line['epoch'] for line in metrics)])
  ax.set(xlabel='epoch', xlim=(0, last))
  ax.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))


def _save(fig: figure.Figure, path: str | pathlib.Path) -> _Paths:
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  png, pdf = path.with_suffix('.png'), path.with_suffix('.pdf')
  # No dates: the same run gives the same bytes.
  fig.savefig(png, dpi=_DPI, metadata={'Software': None})
  fig.savefig(pdf, dpi=_DPI, metadata={'CreationDate': None})
  return png, pdf
