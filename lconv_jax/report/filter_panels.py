"""First-layer filters, a panel for each net and method (figures 4, 7-9)."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from lconv_jax import errors, locality, models
from lconv_jax.report import captions, experiments, mosaic, style
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.first_layer import filters
from lconv_jax.report.item import Drawn


class Kind(NamedTuple):
  """A net and a method whose filters the paper shows."""

  name: str  # of the net, in a config
  lasso: bool = False  # whether by β-LASSO that cuts weights, else by SGD

  def __str__(self) -> str:
    """Returns the words for it."""
    title = models.NETS[self.name].title
    return f'{title} by {"β-LASSO" if self.lasso else "SGD"}'

  def fits(self, e: Experiment) -> bool:
    """Returns whether an experiment is of this kind."""
    trained = e.beta if self.lasso else e.method == 'SGD'
    return e.name == self.name and bool(trained)


S_FC_SGD = Kind('s_fc')
S_FC_LASSO = Kind('s_fc', lasso=True)
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

  Returns:
    What was drawn.

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
  shape = tuple(runs[0].done['image_shape'])
  rows, cols = (8, 8) if len(kinds) == 1 else (6, 3)
  columns, notes = [], []
  for (kind, e), run in zip(found.items(), runs, strict=True):
    which = f'α = {e.alpha}' + (f', β = {e.beta:g}' if e.beta else '')
    alone = f'{kind}, {which}'
    title = alone if len(found) == 1 else str(kind).replace(' by', '\nby')
    columns.append((title, filters(run)))
    words = ', '.join(mosaic.describe(filters(run), rows * cols))
    notes.append(f'{kind} ({which}): {words}.')
  fig = mosaic.draw_filters(
    columns,
    shape,
    rows=rows,
    cols=cols,
    seed=request.seed,
    width=style.COLUMN,
    notes=False,
  )
  zero = 'mid grey' if shape[-1] == 3 else 'white'
  return Drawn(
    functools.partial(style.save, fig),
    (
      f'First-layer filters of {", ".join(map(str, found))} ({number}).',
      f'Drawn at random (seed {request.seed}) among those with at least '
      f'{locality.MIN_NONZERO} non-zero values. Each filter is scaled by its '
      f'own largest |weight|; {zero} is zero.',
      'Filters of S-LOCAL stand at their place in the image, so that they '
      'compare with those of S-FC: around each window is zero by construction, '
      'and the part of a window outside of the image is not shown.'
      if S_LOCAL in found
      else '',
      'S-CONV: the kernels, larger than filters on the plane of the image.'
      if S_CONV in found
      else '',
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
