"""Compares the locality of runs' first-layer filters with shuffled filters.

  python -m lconv_jax.locality runs/sgd runs/beta_lasso --out figures

Prints a table for each measure and draws the distributions. As in the paper,
the net with the best validation accuracy is measured, and filters with at least
20 non-zero values count. The filters of a CONV or LOCAL layer are those of the
dense layer that computes the same function.
"""

import argparse
import csv
import math
import pathlib
import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import rich.console
import rich.table
from matplotlib import axes, figure

from lconv_jax import errors, locality, report, runs
from lconv_jax.figures import style

# Names of the measures in the tables and the figure: words, unit, factor.
_MEASURES = {
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
_SAMPLE_DRAWS = 20  # shuffles of each of these
_WIDTH = 160  # columns, more than any row takes


class _Layer(NamedTuple):
  run: runs.Record
  label: str
  filters: np.ndarray
  found: locality.Locality
  pairs: locality.Pairs
  summary: locality.Summary


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  argv = list(sys.argv[1:] if argv is None else argv)
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.locality', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument('--out', help="figure's folder; default: the first run")
  parser.add_argument('--csv', help='write the tables as one')
  parser.add_argument(
    '--window', type=errors.positive, default=locality.WINDOW,
    help='side of the window, pixels',
  )  # fmt: skip
  parser.add_argument(
    '--seed', type=errors.natural, default=0, help='of the shuffles'
  )
  args = parser.parse_args(argv)
  try:
    layers, lines = _layers(args.runs, args.window, args.seed)
    console = rich.console.Console(width=_WIDTH, markup=False, highlight=False)
    for table in _tables(layers, args.window):
      console.print(table, '')
    print(_NOTE, '', *lines, sep='\n')
    if args.csv:
      _write_csv(layers, args.csv)
      print(f'wrote {args.csv}')
    out = pathlib.Path(args.out or args.runs[0], 'locality.png')
    command = shlex.join(['python', '-m', 'lconv_jax.locality', *argv])
    shown = [layer.run for layer in layers]
    caption = report.caption((_CAPTION,), shown, command)
    for path in _draw(layers, args.window, args.seed, out, caption):
      print(f'wrote {path}')
  except (errors.UsageError, OSError) as e:
    print(f'error: {errors.one_line(e)}', file=sys.stderr)
    return 2
  return 0


def _layers(
  paths: Sequence[str], window: int, seed: int
) -> tuple[list[_Layer], list[str]]:
  """Returns the layers, and a line for each run whose filters are missing."""
  read = [runs.read(path) for path in paths]
  layers, lines = [], []
  for label, run in zip(report.labels(read), read, strict=True):
    try:
      filters = _filters(run)
    except (errors.UsageError, OSError) as e:
      lines.append(f'no filters of {run.path}: {errors.one_line(e)}')
      continue
    found = locality.measure(filters, seed=seed, window=window)
    pairs = locality.measure_pairs(filters, seed=seed)
    summary = locality.summary(found, pairs)
    layers.append(_Layer(run, label, filters, found, pairs, summary))
  if not layers:
    raise errors.UsageError('; '.join(lines))
  return layers, lines


def _filters(run: runs.Record) -> np.ndarray:
  """Returns the first layer of a run's best net, as a dense layer's filters."""
  filters = report.filters(run, as_dense=True)
  if not np.isfinite(filters).all():
    raise errors.UsageError('its first layer has weights that are not finite')
  return filters


def _tables(
  layers: Sequence[_Layer], window: int
) -> Iterator[rich.table.Table]:
  """Yields a table of counts and shares, and one for each measure."""
  names = 'filters', '≥ 20 non-zeros', 'local (%)', 'of those (%)'
  table = _table('', *names, 'repeats (%)')
  for layer in layers:
    s = layer.summary
    shares = (
      _show(100 * x) for x in (s.local_of_all, s.local_of_counted, s.repeats)
    )
    table.add_row(layer.label, f'{s.filters:,}', f'{s.counted:,}', *shares)
  yield table
  for name, (_, _, factor) in _MEASURES.items():
    names = 'median', 'shuffled', 'ratio', 'z', 'percentile'
    table = _table(_title(name, window), *names)
    for layer in layers:
      t = getattr(layer.summary, name)
      numbers = (factor * t.value, factor * t.null_mean, t.ratio, t.z)
      percentile = _show(round(100 * t.percentile, 1))
      table.add_row(layer.label, *map(_show, numbers), percentile)
    yield table


def _table(title: str, *names: str) -> rich.table.Table:
  """Returns a table without rows, whose columns are as wide as the others'."""
  table = rich.table.Table(box=None, pad_edge=False)
  table.add_column(title, min_width=44)
  for name in names:
    table.add_column(name, justify='right', min_width=9)
  return table


_NOTE = f"""\
Medians are over filters with at least {locality.MIN_NONZERO} non-zero values, \
and over random pairs of such filters.
shuffled: mean over the same pixels at random places; ratio: a filter's value \
/ that mean.
percentile: % of shuffles that are at least as local, or as alike; –: shuffles \
do not differ.
local: a percentile of the spread below {100 * locality.LEVEL:g} % and a ratio \
below {locality.EFFECT:g}; of all filters, and of those that count.
repeats: pairs with a correlation of {locality.REPEATS:g} or more; in a \
convolution 1/α of the pairs whose windows no border cuts.
boxes: those of a filter's non-zeros. Filters shuffled inside them are as \
local as the boxes; more
correlation means that filters repeat, or are local within their boxes."""

_CAPTION = (
  'Locality of first-layer filters, and how far they repeat elsewhere, for '
  f'filters with at least {locality.MIN_NONZERO} non-zero values and random '
  'pairs of such filters. Grey: the same pixels at random places; dashed: at '
  "random places inside each filter's own box of non-zeros. Filters of CONV "
  'and LOCAL layers are those of the dense layer that computes the same '
  'function.'
)


def _title(name: str, window: int) -> str:
  words, unit, _ = _MEASURES[name]
  if name == 'window_share':
    words += f' of {window} x {window}'
  return f'{words} ({unit})' if unit else words


def _write_csv(layers: Sequence[_Layer], path: str) -> None:
  pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', encoding='utf-8', newline='') as f:
    rows = [
      {'method': layer.label, **locality.flat(layer.summary)}
      for layer in layers
    ]
    writer = csv.DictWriter(f, rows[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows(
      {k: '' if v != v else v for k, v in row.items()} for row in rows
    )


def _draw(
  layers: Sequence[_Layer],
  window: int,
  seed: int,
  path: pathlib.Path,
  caption: str,
) -> tuple[pathlib.Path, ...]:
  """Draws each measure's distribution over filters, and over shuffled ones."""
  values = [_values(layer, window, seed) for layer in layers]
  with style.look():
    size = 7, 0.9 + 1.15 * len(layers)
    fig = figure.Figure(size, layout='constrained')
    fig.get_layout_engine().set(wspace=0.06)  # between ticks' numbers
    grid = fig.subplots(len(layers), len(_DRAWN), sharex='col', squeeze=False)
    for column, name in enumerate(_DRAWN):
      label = textwrap.fill(_title(name, window), 24)
      grid[-1, column].set_xlabel(label)
      panels = [value[name] for value in values]
      for ax, panel in zip(grid[:, column], panels, strict=True):
        _panel(ax, panel, _bins(panels))
    for ax, layer in zip(grid[:, 0], layers, strict=True):
      ax.set_title(layer.label)
    # Of the fullest panel: a layer without filters that count draws nothing.
    handles, labels = max(
      (ax.get_legend_handles_labels() for ax in grid[:, -1]),
      key=lambda found: len(found[0]),
    )
    fig.legend(handles, labels, loc='outside upper right', ncols=3)
    return style.save(fig, path, caption)


class _Panel(NamedTuple):
  own: np.ndarray  # of the filters, or pairs
  null: np.ndarray  # of the shuffled ones
  weights: np.ndarray | None = None  # of the null's values
  in_box: np.ndarray | None = None  # of filters shuffled inside their boxes


def _values(layer: _Layer, window: int, seed: int) -> dict[str, _Panel]:
  """Returns a layer's panels, in the units of `_MEASURES`."""
  counted = np.flatnonzero(layer.found.nonzero >= locality.MIN_NONZERO)
  chosen = np.random.default_rng(seed).permutation(counted)[:_SAMPLE]
  some = layer.filters[chosen]
  options = {'draws': _SAMPLE_DRAWS, 'seed': seed}
  pixels = np.count_nonzero(some.any(axis=-1), axis=(1, 2))
  areas = locality.null_box_area(pixels, some.shape[1:3])
  a, b = some[locality.pairs(len(some), _SAMPLE, seed)].swapaxes(0, 1)
  return {
    'spread': _Panel(
      layer.found.spread.value[counted],
      locality.null_spread(some, **options).ravel(),
    ),
    'window_share': _Panel(
      100 * layer.found.window_share.value[counted],
      100 * locality.null_window_share(some, window, **options).ravel(),
    ),
    'box_area': _Panel(
      layer.found.box_area.value[counted],
      np.arange(areas.shape[1]),
      areas.sum(axis=0),
    ),
    'correlation': _Panel(
      layer.pairs.image.value,
      locality.null_correlation(a, b, 5, seed).ravel(),
      in_box=locality.null_correlation(a, b, 5, seed, inside_box=True).ravel(),
    ),
  }


def _bins(panels: Sequence[_Panel]) -> np.ndarray:
  """Returns bins from 0 on that hold all panels of a column."""
  largest = max(
    (
      x.max()
      for panel in panels
      for x in (panel.own, panel.null, panel.in_box)
      if x is not None and x.size
    ),
    default=1,
  )
  return np.linspace(0, largest, 41)


def _panel(ax: axes.Axes, panel: _Panel, bins: np.ndarray) -> None:
  line = {'histtype': 'step', 'lw': 1.2}
  for values, look in (
    (panel.null, {'weights': panel.weights, 'color': '0.65', 'label': _NULL}),
    (panel.own, {'color': style.VERMILION, 'label': 'filters', **line}),
    (panel.in_box, {'color': '0.3', 'ls': '--', 'label': _IN_BOX, **line}),
  ):
    if values is not None and len(values):  # an empty array has no density
      ax.hist(values, bins, density=True, **look)
  ax.set_yticks([])
  ax.spines.left.set_visible(False)
  ax.set_xlim(bins[0], bins[-1])


def _show(value: float) -> str:
  if math.isnan(value):
    return '–'
  return f'{value:.3g}' if abs(value) < 100 else f'{value:,.0f}'


if __name__ == '__main__':
  sys.exit(main())
