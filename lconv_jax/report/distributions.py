"""Distributions of measures over filters, and over shuffled filters."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import axes, figure

from lconv_jax import locality
from lconv_jax.report import style

# Words, unit and factor of each measure.
MEASURES = {
  'spread': ('spread', 'px', 1),
  'ipr': ('inverse participation ratio', '', 1),
  'window_share': ('energy in the best window', '%', 100),
  'box_area': ('box of the non-zeros', 'px²', 1),
  'correlation': ('correlation at the best shift', '', 1),
  'correlation_in_box': ('the same, shuffled inside their boxes', '', 1),
}
_DRAWN = 'spread', 'window_share', 'box_area', 'correlation'
_NULL, _IN_BOX = 'the same pixels, shuffled', 'inside their boxes'
_SAMPLE = 500  # filters whose null is drawn
_SAMPLE_DRAWS = 20  # for each filter


class Measured(NamedTuple):
  """A layer's filters and their measures."""

  label: str
  filters: np.ndarray  # [units, h, w, C]
  found: locality.Locality
  pairs: locality.Pairs
  periodic: bool  # whether images continue at the opposite border

  @property
  def signals(self) -> bool:
    """True if the filters are of signals, which have one row."""
    return self.filters.shape[1] == 1


def title(name: str, window: int, signals: bool) -> str:
  """Returns words and unit of one of `MEASURES`, for a window of some side."""
  words, unit, _ = MEASURES[name]
  if name == 'window_share':
    words += f' of {1 if signals else window} x {window}'
  return f'{words} ({unit})' if unit else words


@style.look()
def draw_distributions(
  layers: Sequence[Measured], window: int, seed: int
) -> figure.Figure:
  """Draws each measure's distribution over filters and shuffled filters.

  Args:
    layers: a row of panels each.
    window: side of the window, pixels.
    seed: of the shuffles.
  """
  values = [_values(layer, window, seed) for layer in layers]
  size = 7, 0.9 + 1.15 * len(layers)
  fig = figure.Figure(size, layout='constrained')
  fig.get_layout_engine().set(wspace=0.06)  # between ticks' numbers
  grid = fig.subplots(len(layers), len(_DRAWN), sharex='col', squeeze=False)
  for column, name in enumerate(_DRAWN):
    label = textwrap.fill(title(name, window, layers[0].signals), 24)
    grid[-1, column].set_xlabel(label)
    panels = [value[name] for value in values]
    end = _end(panels)
    for ax, panel in zip(grid[:, column], panels, strict=True):
      _draw(ax, panel, np.linspace(0, end, 1 + _bins(len(panel.own))))
  for ax, layer in zip(grid[:, 0], layers, strict=True):
    ax.set_title(layer.label)
    ax.set_ylabel('density', color=style.NOTE, fontsize=style.SMALL)
  # Of the fullest panel: a layer may have no filters that count.
  handles, labels = max(
    (ax.get_legend_handles_labels() for ax in grid[:, -1]),
    key=lambda found: len(found[0]),
  )
  fig.legend(handles, labels, loc='outside upper right', ncols=3)
  return fig


class _Panel(NamedTuple):
  own: np.ndarray  # of the filters, or pairs
  null: np.ndarray  # of shuffled filters, or pairs
  weights: np.ndarray | None = None  # of the null's values
  in_box: np.ndarray | None = None  # of pairs shuffled inside their boxes


def _values(layer: Measured, window: int, seed: int) -> dict[str, _Panel]:
  """Returns the panels of a layer, in the units of `MEASURES`."""
  least = locality.min_nonzero(layer.filters)
  counted = np.flatnonzero(layer.found.nonzero >= least)
  chosen = np.random.default_rng(seed).permutation(counted)[:_SAMPLE]
  some = layer.filters[chosen]
  options = {'draws': _SAMPLE_DRAWS, 'seed': seed}
  a, b = some[locality.pairs(len(some), _SAMPLE, seed)].swapaxes(0, 1)
  torus = {'periodic': layer.periodic}

  def pairs(inside_box: bool) -> np.ndarray:
    found = locality.null_correlation(a, b, 5, seed, inside_box, **torus)
    return found.ravel()

  return {
    'spread': _Panel(
      layer.found.spread.value[counted],
      locality.null_spread(some, **options, **torus).ravel(),
    ),
    'window_share': _Panel(
      100 * layer.found.window_share.value[counted],
      100
      * locality.null_window_share(some, window, **options, **torus).ravel(),
    ),
    'box_area': _Panel(
      layer.found.box_area.value[counted],
      *_areas(some, layer.periodic, options),
    ),
    'correlation': _Panel(
      layer.pairs.image.value,
      pairs(inside_box=False),
      in_box=pairs(inside_box=True),
    ),
  }


def _areas(
  filters: np.ndarray, periodic: bool, options: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray | None]:
  """Returns areas of boxes of shuffled filters, and their weights."""
  if periodic:
    return locality.null_torus_box_area(filters, **options).ravel(), None
  pixels = np.count_nonzero(filters.any(axis=-1), axis=(1, 2))
  exact = locality.null_box_area(pixels, filters.shape[1:3])
  return np.arange(exact.shape[1]), exact.sum(axis=0)


def _end(panels: Sequence[_Panel]) -> float:
  """Returns the largest value of all panels of a column."""
  drawn = (x for p in panels for x in (p.own, p.null, p.in_box))
  largest = (x.max() for x in drawn if x is not None and x.size)
  return float(max(largest, default=1))


def _bins(filters: int) -> int:
  """Returns a number of bins that so few filters fill without gaps."""
  return int(np.clip(np.sqrt(filters), 10, 40))


def _draw(ax: axes.Axes, panel: _Panel, bins: np.ndarray) -> None:
  line = {'histtype': 'step', 'lw': 1.2}
  for values, look in (
    (panel.null, {'weights': panel.weights, 'color': '0.65', 'label': _NULL}),
    (panel.own, {'color': style.VERMILION, 'label': 'filters', **line}),
    (panel.in_box, {'color': '0.3', 'ls': '--', 'label': _IN_BOX, **line}),
  ):
    if values is not None and len(values):  # nothing has no density
      ax.hist(values, bins, density=True, **look)
  ax.set_yticks([])
  ax.spines.left.set_visible(False)
  ax.set_xlim(bins[0], bins[-1])
