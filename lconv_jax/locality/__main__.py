"""Compares the locality of runs' first-layer filters with shuffled filters.

  python -m lconv_jax.locality runs/sgd runs/beta_lasso --out figures

Prints a table for each measure and draws the distributions. As in the paper,
the net with the best validation accuracy is measured, and filters with at least
20 non-zero values (of signals, 5) count. The filters of a CONV or LOCAL layer
are those of the dense layer that computes the same function.
"""

import argparse
import math
import pathlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lconv_jax.report import command

with command.needs('train'):
  from lconv_jax import errors, locality, report, runs
  from lconv_jax.report import distributions, find


class _Layer(NamedTuple):
  run: runs.Record
  measured: distributions.Measured
  summary: locality.Summary


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.locality', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument('--out', help="figure's folder; default: the first run")
  parser.add_argument('--csv', help='write the tables as one')
  parser.add_argument(
    '--window', type=command.positive, default=locality.WINDOW,
    help='side of the window, pixels',
  )  # fmt: skip
  parser.add_argument(
    '--seed', type=command.natural, default=0, help='of the shuffles'
  )
  return command.run(parser, _report, argv)


def _report(args: argparse.Namespace) -> None:
  layers, lines = _layers(args.runs, args.window, args.seed)
  least = locality.min_nonzero(layers[0].measured.filters)
  print(_tables(layers, args.window, least), *lines, sep='\n')
  if args.csv:
    pathlib.Path(args.csv).parent.mkdir(parents=True, exist_ok=True)
    report.write_csv([_row(layer) for layer in layers], args.csv, digits=0)
    print(f'wrote {args.csv}')
  shown = [layer.run for layer in layers]
  torus = report.TORUS if any(map(report.is_periodic, shown)) else ''
  request = report.Request(args.command)
  caption = _CAPTION.format(least=least), torus
  caption = report.caption(caption, shown, request)
  measured = [layer.measured for layer in layers]
  fig = distributions.draw_distributions(measured, args.window, args.seed)
  out = pathlib.Path(args.out or args.runs[0], 'locality.png')
  print(*(f'wrote {path}' for path in report.save(fig, out, caption)), sep='\n')


def _layers(
  paths: Sequence[str], window: int, seed: int
) -> tuple[list[_Layer], list[str]]:
  """Returns what was measured, and a line for each run that has no filters."""
  read, left_out = find.read(paths)
  command.tell_left_out(left_out)
  layers, lines = [], []
  for label, run in zip(report.labels(read), read, strict=True):
    try:
      filters = report.filters(run, as_dense=True)
      if not np.isfinite(filters).all():
        raise errors.UsageError(
          'its first layer has weights that are not finite'
        )
    except (errors.UsageError, OSError) as e:
      lines.append(f'no filters of {run.path}: {errors.one_line(e)}')
      continue
    torus = report.is_periodic(run)
    found = locality.measure(filters, seed=seed, window=window, periodic=torus)
    pairs = locality.measure_pairs(filters, seed=seed, periodic=torus)
    least = locality.min_nonzero(filters)
    summary = locality.summary(found, pairs, least)
    measured = distributions.Measured(label, filters, found, pairs, torus)
    layers.append(_Layer(run, measured, summary))
  if not layers:
    raise errors.UsageError('; '.join(lines))
  return layers, lines


def _tables(layers: Sequence[_Layer], window: int, least: int) -> str:
  """Returns a table for each measure, aligned for a terminal."""
  signals = layers[0].measured.signals
  names = (
    'filters',
    f'≥ {least} non-zeros',
    'local (%)',
    'by chance',
    'of those (%)',
  )
  first = [('', *names, 'by chance', 'repeats (%)')]
  for layer in layers:
    s = layer.summary
    all_of_them = s.local_of_all, s.chance_of_all
    shares = *all_of_them, s.local_of_counted, s.chance_of_counted, s.repeats
    numbers = f'{s.filters:,}', f'{s.counted:,}', *_show(100, *shares)
    first.append((layer.measured.label, *numbers))
  tables = [first]
  for name, (_, _, factor) in distributions.MEASURES.items():
    header = 'median', 'shuffled', 'ratio', 'z', 'percentile'
    table = [(distributions.title(name, window, signals), *header)]
    for layer in layers:
      t = getattr(layer.summary, name)
      table.append(
        (
          layer.measured.label,
          *_show(factor, t.value, t.null_mean),
          *_show(1, t.ratio, t.z, round(100 * t.percentile, 1)),
        )
      )
    tables.append(table)
  widths = max(44, *(len(rows[0]) for rows in first[1:])), *[9] * 5
  parts = [report.aligned(table, widths=widths) for table in tables]
  return '\n\n'.join((*parts, _NOTE.format(least=least))) + '\n'


_NOTE = f"""\
Medians are over filters with at least {{least}} non-zero values, \
and over random pairs of such filters.
shuffled: mean over the same pixels at random places; ratio: a filter's value \
/ that mean.
percentile: % of shuffles that are at least as local, or as alike; –: shuffles \
do not differ.
local: a percentile of the spread below {100 * locality.LEVEL:g} % and a ratio \
below {locality.EFFECT:g}; of all filters, and of those that count.
by chance: the share that would be local with all pixels at random places.
repeats: pairs with a correlation of {locality.REPEATS:g} or more; in a \
convolution 1/α of the pairs whose windows no border cuts.
boxes: those of a filter's non-zeros. Filters shuffled inside them are as \
local as the boxes; more
correlation means that filters repeat, or are local within their boxes."""

_CAPTION = (
  'Locality of first-layer filters, and how far they repeat elsewhere, for '
  'filters with at least {least} non-zero values and random '
  'pairs of such filters. Grey: the same pixels at random places; dashed: at '
  "random places inside each filter's own box of non-zeros. Filters of CONV "
  'and LOCAL layers are those of the dense layer that computes the same '
  'function.'
)


def _row(layer: _Layer) -> report.Row:
  values = locality.flat(layer.summary)
  known = {k: None if math.isnan(v) else v for k, v in values.items()}
  return {'method': layer.measured.label, **known}


def _show(factor: int, *values: float) -> list[str]:
  """Returns values times a factor with three digits."""
  scaled = [factor * value for value in values]
  return [
    '–' if math.isnan(x) else f'{x:.3g}' if abs(x) < 100 else f'{x:,.0f}'
    for x in scaled
  ]


if __name__ == '__main__':
  sys.exit(main())
