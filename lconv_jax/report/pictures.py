"""Filters and curves of runs."""

import pathlib
from collections.abc import Mapping, Sequence

from lconv_jax import errors, figures, locality, runs
from lconv_jax.report.captions import DATA, caption
from lconv_jax.report.first_layer import filters
from lconv_jax.report.names import labels

_FILTERS = (
  'First-layer filters of the nets with the best validation accuracy, drawn at '
  f'random among those with at least {locality.MIN_NONZERO} non-zero values, '
  'each scaled by its own largest |weight|. Spread: the median r.m.s. distance '
  'of the weight from its centre, over such filters; shuffled: of the same '
  'pixels at random places.',
)
_CURVES = (
  'Accuracy against epochs, in the test and in training, there the mean over '
  'an epoch on augmented images; and the non-zero weights of each layer, from '
  'dark and wide (the first) to light and narrow (the last).',
)


def draw(
  all_runs: Sequence[runs.Record],
  out: str | pathlib.Path,
  command: str | None = None,
  data: Mapping[str, str] = DATA,
) -> list[str]:
  """Writes filters and curves of runs, and captions, to a folder.

  Args:
    all_runs: filters of those whose images have another shape than the first
      one's are left out.
    out: the folder.
    command: as `caption` takes it.
    data: likewise.

  Returns:
    A line for each figure written and for each run left out of one.
  """
  out = pathlib.Path(out)
  names = labels(all_runs)
  lines, columns, shown, image = [], [], [], None
  for label, run in zip(names, all_runs, strict=True):
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
      shown.append(run)
  written = []
  if shown:
    written += figures.first_layer_filters(
      columns,
      image,
      out / 'filters.png',
      caption=caption(_FILTERS, shown, command, data),
    )
  written += figures.curves(
    [(label, run.metrics) for label, run in zip(names, all_runs, strict=True)],
    out / 'curves.png',
    caption=caption(_CURVES, all_runs, command, data),
  )
  return lines + [f'wrote {path}' for path in written]
