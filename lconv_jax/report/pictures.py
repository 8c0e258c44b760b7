"""Filters and curves of runs, as `python -m lconv_jax.report` draws them."""

import pathlib
from collections.abc import Sequence

from lconv_jax import errors, locality, runs
from lconv_jax.report import style
from lconv_jax.report.captions import TORUS, Request, caption
from lconv_jax.report.curves import draw_curves
from lconv_jax.report.first_layer import filters, from_layer, is_periodic
from lconv_jax.report.mosaic import draw_filters
from lconv_jax.report.names import labels

_FILTERS = (
  'First-layer filters of the nets with the best validation accuracy, drawn at '
  'random among filters with at least {least} non-zero values, '
  'each scaled by its own largest |weight|. Spread: the median r.m.s. distance '
  'of the weight from its centre, over such filters; shuffled: of the same '
  'pixels at random places.'
)
_CURVES = (
  'Accuracy against epochs, on test images and in training, where it is the '
  'mean over an epoch{augmented}; the marker is the epoch with the best '
  'validation accuracy, which is reported. Non-zero weights of each layer, '
  'from dark and wide (the first) to light and narrow (the last), of runs that '
  'have set weights to zero.'
)


def draw(
  shown: Sequence[runs.Record], out: str | pathlib.Path, request: Request
) -> list[str]:
  """Writes filters and curves of runs, with captions, to a folder.

  Args:
    shown: the runs. Filters of a run are left out if its images differ in
      shape from the images of the first run.
    out: the folder.
    request: as `caption` takes it.

  Returns:
    A line for each file written and for each run left out of the filters.
  """
  out = pathlib.Path(out)
  labelled = list(zip(labels(shown), shown, strict=True))
  lines, columns, drawn, image = [], [], [], None
  for label, run in labelled:
    try:
      column = label, filters(run)
      shape = tuple(run.done['image_shape'])
      image = image or shape
      if shape != image:
        raise errors.UsageError(f'its images are {shape}, others {image}')
    except (errors.UsageError, OSError) as e:
      lines.append(f'no filters of {run.path}: {errors.one_line(e)}')
    else:
      columns.append(column)
      drawn.append(run)
  written = ()
  if columns:
    torus = list(map(is_periodic, drawn))
    about = _FILTERS.format(least=locality.min_nonzero(columns[0][1]))
    text = caption([about, TORUS if any(torus) else ''], drawn, request)
    fig = draw_filters(columns, periodic=torus)
    written = style.save(fig, out / 'filters.png', text)
  return lines + [
    f'wrote {path}' for path in (*written, *_curves(shown, out, request))
  ]


def draw_unfinished(
  run: runs.Record, first_layer: runs.FirstLayer
) -> list[str]:
  """Draws a run while it trains, into its folder.

  Args:
    run: as its folder has it now.
    first_layer: of its net.

  Returns:
    A line for each file written.
  """
  found = from_layer(*first_layer)
  columns = [(labels([run])[0], found)]
  about = _FILTERS.format(least=locality.min_nonzero(found))
  written = style.save(
    draw_filters(columns, periodic=[is_periodic(run)]),
    run.path / 'filters.png',
    caption((about, 'The run goes on.'), [run], Request()),
  )
  curves = _curves([run], run.path, Request())
  return [f'wrote {path}' for path in (*written, *curves)]


def _curves(
  shown: Sequence[runs.Record], out: pathlib.Path, request: Request
) -> Sequence[pathlib.Path]:
  metrics = [
    (label, run.metrics)
    for label, run in zip(labels(shown), shown, strict=True)
  ]
  augmented = any(run.config.data.augment != 'none' for run in shown)
  words = ' on augmented images' if augmented else ''
  text = caption([_CURVES.format(augmented=words)], shown, request)
  fig = draw_curves(metrics, augmented)
  return style.save(fig, out / 'curves.png', text)
