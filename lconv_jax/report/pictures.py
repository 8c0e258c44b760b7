"""Filters and curves of runs."""

import pathlib
from collections.abc import Mapping, Sequence

from lconv_jax import figures, locality
from lconv_jax.report.captions import DATA, caption
from lconv_jax.report.names import labels
from lconv_jax.report.runs import Run

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
  runs: Sequence[Run],
  out: str | pathlib.Path,
  command: str | None = None,
  data: Mapping[str, str] = DATA,
) -> list[str]:
  """Writes filters and curves of runs, and captions, to a folder.

  Args:
    runs: filters of those whose images have another shape than the first
      one's are left out.
    out: the folder.
    command: as `caption` takes it.
    data: likewise.

  Returns:
    A line for each figure written and for each run left out of one.
  """
  out = pathlib.Path(out)
  names = labels(runs)
  lines, shown, image = [], [], None
  for label, run in zip(names, runs, strict=True):
    why = run.why_no_filters
    if run.filters is not None:
      shape = tuple(run.done['image_shape'])
      image = image or shape
      if shape != image:
        why = f'its images are {shape}, others {image}'
    if why:
      lines.append(f'no filters of {run.path}: {why}')
    else:
      shown.append((label, run))
  written = []
  if shown:
    written += figures.first_layer_filters(
      [(label, run.filters) for label, run in shown],
      image,
      out / 'filters.png',
      caption=caption(_FILTERS, [run for _, run in shown], command, data),
    )
  written += figures.curves(
    [(label, run.metrics) for label, run in zip(names, runs, strict=True)],
    out / 'curves.png',
    caption=caption(_CURVES, runs, command, data),
  )
  return lines + [f'wrote {path}' for path in written]
