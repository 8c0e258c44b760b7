"""First-layer filters, a panel for each net and method (figures 4, 7-9)."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from lconv_jax import errors, locality, models
from lconv_jax.report import captions, experiments, mosaic, style
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.first_layer import filters, is_periodic
from lconv_jax.report.item import Drawn


class Kind(NamedTuple):
  """A net and a method whose filters the paper shows."""

  name: str  # of the net, in a config
  method: str = 'SGD'  # or 'β-LASSO', with β > 0: it cuts weights

  def __str__(self) -> str:
    """Returns 'S-FC by SGD', for example."""
    return f'{models.NETS[self.name].title} by {self.method}'

  def fits(self, e: Experiment) -> bool:
    """Returns whether an experiment is of this kind."""
    method = 'β-LASSO' if e.beta else e.method
    return (e.name, method) == self


S_FC_SGD = Kind('s_fc')
S_FC_LASSO = Kind('s_fc', 'β-LASSO')
S_LOCAL = Kind('s_local')
S_CONV = Kind('s_conv')


def draw(
  chosen: Sequence[Experiment],
  request: captions.Request,
  kinds: Sequence[Kind],
  number: str,
) -> Drawn:
  """Draws filters of a run of each kind; see `item.Item`.

  Args:
    chosen: of each kind, the largest β is drawn, the largest α, and the most
      epochs; of seeds, the first one.
    request: what was asked for.
    kinds: a panel each.
    number: of the paper's figure.

  Raises:
    UsageError: no finished run is of any kind, or several that differ in more
      than the figure compares.
  """
  chosen = experiments.from_scratch(chosen)
  found, missing = {}, []
  for kind in kinds:
    try:
      found[kind] = _best(chosen, kind)
    except errors.UsageError as e:
      missing.append(errors.one_line(e))
  if not found:
    raise errors.UsageError('; '.join(missing))
  experiments.agree(
    list(found.values()), experiments.COMPARED, 'first-layer filters'
  )
  runs = [e.runs[0] for e in found.values()]
  rows, cols = (8, 8) if len(kinds) == 1 else (6, 3)
  columns, notes = [], []
  for (kind, e), run in zip(found.items(), runs, strict=True):
    which = f'α = {e.alpha}' + (f', β = {e.beta:g}' if e.beta else '')
    title = (
      f'{e.net}\nby {kind.method}' if len(found) > 1 else f'{kind}, {which}'
    )
    columns.append((title, filters(run)))
    about = mosaic.describe(filters(run), rows * cols, is_periodic(run))
    notes.append(f'{kind} ({which}): {", ".join(about)}.')
  fig = mosaic.draw_filters(
    columns, rows, cols, request.seed, style.COLUMN, notes=False
  )
  zero, (_, height, _, channels) = 'White: no weight.', columns[0][1].shape
  if height == 1:
    zero += ' A filter has a row for each channel.'
  elif channels == 3:
    zero += ' Other pixels lie around mid grey, which is near zero.'
  return Drawn(
    functools.partial(style.save, fig),
    (
      f'First-layer filters of {", ".join(map(str, found))} ({number}).',
      f'Drawn at random (seed {request.seed}) among filters with at least '
      f'{locality.min_nonzero(columns[0][1])} non-zero values. Each filter is '
      f'scaled by its own largest |weight|. {zero}',
      'Filters of S-LOCAL stand at their place in the image, so that they '
      'compare with the filters of S-FC: around each window is zero by '
      'construction, and the part of a window outside of the image is not '
      'shown.'
      if S_LOCAL in found
      else '',
      'S-CONV: the kernels, larger than filters on the plane of the image.'
      if S_CONV in found
      else '',
      captions.TORUS if any(map(is_periodic, runs)) else '',
      *notes,
    ),
    runs,
    missing,
  )


def _best(chosen: Sequence[Experiment], kind: Kind) -> Experiment:
  own = experiments.largest(
    [e for e in chosen if kind.fits(e) and e.finished],
    lambda e: (e.beta or 0, e.alpha, e.epochs),
  )
  if not own:
    raise errors.UsageError(f'no finished run of {kind}')
  experiments.agree(own, (), str(kind))
  (best,) = own
  run = best.runs[0]
  try:
    filters(run)
  except errors.UsageError as e:
    raise errors.UsageError(f'{run.path}: {e}') from e
  return best
