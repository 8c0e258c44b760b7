"""Lays pixels out by a net's first-layer weights, and compares with the truth.

  python -m lconv_jax.geometry runs/sgd runs/beta_lasso --out figures

Prints a table; draws the layouts, similarity against distance, and test images
in their layouts; and writes RUN/geometry.npz, on whose grid other nets are
trained by --config.data.layout=RUN/geometry.npz. The truth, which a run on
scrambled pixels never had, is used for scores and colours alone.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from lconv_jax.report import command

with command.needs('train'):
  from lconv_jax import data, errors, geometry, report, runs

_SURFACES = {'auto': (False, True), 'plane': (False,), 'torus': (True,)}
_SHOWN = 6  # test images
_NULL = 'the same weights, shuffled'


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.geometry', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument('--out', help="figures' folder; default: the first run")
  parser.add_argument('--csv', help='write the table with all columns')
  parser.add_argument(
    '--surface', choices=_SURFACES, default='auto',
    help='auto: the one on which similarity falls with distance',
  )  # fmt: skip
  parser.add_argument(
    '--images', nargs='*', type=command.natural, default=[100, 1000, 0],
    help="numbers of training images for the baseline, the images' own "
    'covariance; 0: all',
  )  # fmt: skip
  parser.add_argument(
    '--dir', default='', help='of the data, if no longer data.dir'
  )
  parser.add_argument(
    '--seed', type=command.natural, default=0, help='of the null weights'
  )
  return command.run(parser, _report, argv)


def _report(args: argparse.Namespace) -> None:
  shown = [runs.read(path) for path in args.runs]
  if len({run.config.data.permute for run in shown}) > 1:
    raise errors.UsageError(
      'The runs have pixels in different orders (data.permute); show them one '
      'at a time.'
    )
  rng = np.random.default_rng(args.seed)
  found, nulls = [], []
  for label, run in zip(report.labels(shown), shown, strict=True):
    if args.dir:
      run.config.data.dir = args.dir
    kernel, dataset = _kernel(run), data.load(run.config.data)
    shape = dataset.test.images.shape[1:]
    values = _similarity(kernel, shape)
    found.append(_recover(label, values, dataset, _SURFACES[args.surface]))
    nulls.append(_similarity(_shuffled(kernel, shape[-1], rng), shape))
    _write(run, found[-1].layout, shape)
  # The last run's, whose data are those of all.
  surface = (found[-1].layout.grid.torus,)
  # The scale does not matter, so these are initial weights.
  initial = rng.standard_normal(kernel.shape, np.float32)
  others = [
    (_NULL, nulls[-1]),
    ('an untrained net', _similarity(initial, shape)),
    *(
      (f'covariance of {count or len(dataset.train.images):,} images, no net',
       geometry.similarity.of_images(dataset.train.images[: count or None]))
      for count in args.images
    ),
  ]  # fmt: skip
  compared = [_recover(*other, dataset, surface) for other in others]
  rows = [_row(one) for one in (*found, *compared)]
  names = list(rows[0])
  cells = [[_show(row[name]) for name in names] for row in rows]
  print(report.aligned([names, *cells]), _NOTE, sep='\n')
  if args.csv:
    pathlib.Path(args.csv).parent.mkdir(parents=True, exist_ok=True)
    of_runs = [report.row(run) for run in shown]
    of_runs += [dict.fromkeys(of_runs[0])] * len(compared)
    whole = [{**row, **own} for row, own in zip(rows, of_runs, strict=True)]
    report.write_csv(whole, args.csv, digits=2)
    print(f'wrote {args.csv}')
  out = pathlib.Path(args.out or args.runs[0])
  for name, fig, about in (
    ('geometry', report.draw_layouts(found, _NULL, nulls), _LAYOUTS),
    ('images', report.draw_images(_images(found, dataset)), _IMAGES),
  ):
    caption = report.caption((about,), shown, report.Request(args.command))
    for path in report.save(fig, out / f'{name}.png', caption):
      print(f'wrote {path}')


def _kernel(run: runs.Record) -> np.ndarray:
  """Returns the kernel of a dense first layer, as the net sees its pixels."""
  if run.done is None:
    raise errors.UsageError(f'{run.path} is not finished; let it train.')
  net, variables = runs.load_net(run, tuple(run.done['image_shape']))
  layer = net.layers[0]
  if layer.kind != 'dense':
    raise errors.UsageError(
      f'{run.path} is a run of {run.config.model.name}, whose first layer '
      'knows the grid; give a run of a net with a dense one, such as s_fc.'
    )
  return np.asarray(variables['params'][layer.name]['kernel'])


def _recover(
  label: str,
  values: np.ndarray,
  dataset: data.Dataset,
  surfaces: Sequence[bool],
) -> report.Recovered:
  height, width = dataset.test.images.shape[1:3]
  grids = [geometry.Grid(height, width, torus) for torus in surfaces]
  layout = geometry.best(values, grids)
  # The truth is on a torus if the layout is: a layout in the plane that tears
  # a torus open is not the same.
  true = geometry.positions(dataset.origin, layout.grid)
  scores = geometry.score(layout, true)
  return report.Recovered(label, values, layout, true, scores)


def _similarity(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Returns how similar the weights of pixels are.

  Signals teach a net to take differences. Neighbours then have opposite
  weights, or the weights of those two places apart are opposite.
  """
  signals = shape[0] == 1
  return geometry.similarity.of_weights(kernel, shape[-1], signed=not signals)


def _shuffled(
  kernel: np.ndarray, channels: int, rng: np.random.Generator
) -> np.ndarray:
  """Returns a kernel of which each unit's weights are shuffled over pixels."""
  pixels = kernel.reshape(len(kernel) // channels, -1)
  return rng.permuted(pixels, axis=0).reshape(kernel.shape)


def _write(
  run: runs.Record, layout: geometry.Layout, shape: tuple[int, ...]
) -> None:
  """Writes the file that data.layout reads."""
  cell, fields = layout.cell, run.config.data
  if fields.layout:  # whose grid the net has seen
    cell = cell[data.pixels.cells(fields, shape)]
  path = run.path / 'geometry.npz'
  np.savez(
    path,
    cell=cell,
    permute=fields.permute,
    positions=layout.positions,  # of the pixels that the net saw
    torus=layout.grid.torus,
    agreement=layout.agreement,
  )
  print(f'wrote {path}')


def _images(
  found: Sequence[report.Recovered], dataset: data.Dataset
) -> list[tuple[str, np.ndarray]]:
  images = dataset.test.images[:_SHOWN]
  rows = [('as the net sees them', images)]
  if dataset.origin is not None:
    original = data.pixels.put_back(images, dataset.origin)
    rows.insert(0, ('test images', original))
  for one in found:
    laid = data.pixels.rearrange(images, np.argsort(one.layout.cell))
    rows.append((one.label if found[1:] else 'as recovered', laid))
  return rows


def _row(one: report.Recovered) -> report.Row:
  scores = one.scores
  near = geometry.near_share(one.similarity, one.true, one.layout.grid)
  return {
    'similarity': one.label,
    'near (%)': 100 * near,
    'surface': 'torus' if one.layout.grid.torus else 'plane',
    'agreement (%)': 100 * one.layout.agreement,
    'r.m.s. (px)': scores.rms,
    '≤ 1 px (%)': 100 * scores.within_1,
    '≤ 1.5 px (%)': 100 * scores.within_close,
    'own cell (%)': 100 * scores.exact,
    'cell ≤ 1.5 px (%)': 100 * scores.cell_within_close,
  }


def _show(value: str | float) -> str:
  return value if isinstance(value, str) else f'{value:.2f}'


_NOTE = """
near: of each pixel's 4 most similar pixels, the share within 1.5 px.
agreement: of each pixel's 8 most similar pixels, the share among the nearest in
the layout; it needs no truth, and is small where no layout was found. (On a
line, half as many pixels count for near and agreement.)
r.m.s., ≤: distance of the layout from the truth, before pixels are snapped to
cells, once it is turned and mirrored (scaled in the plane, shifted on a torus).
cell: of the grid of data.layout.
"""
_LAYOUTS = (
  'Above: pixels where the similarity of their first-layer weights puts them, '
  'coloured by where they really are. The layout is turned and mirrored as the '
  'truth. Below: similarity against true distance, mean and standard deviation '
  'over pairs of pixels.'
)
_IMAGES = (
  'Test images: as they are, with pixels scrambled by one permutation, which '
  'is all that the dense net has seen, and in the layout that its first-layer '
  'weights imply, turned, mirrored or shifted as it was found.'
)


if __name__ == '__main__':
  sys.exit(main())
