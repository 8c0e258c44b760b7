"""First-layer filters, from runs (figures 4 and 7-9)."""

import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from lconv_jax import errors, figures, locality, report
from lconv_jax.figures import style
from lconv_jax.figures.filters import describe
from lconv_jax.paper import captions, experiments
from lconv_jax.paper.experiments import Experiment
from lconv_jax.paper.item import Drawn


class Kind(NamedTuple):
  """A net and a method whose filters the paper shows."""

  net: str
  method: str  # 'SGD' or 'β-LASSO'

  def __str__(self) -> str:
    """Returns what to call it."""
    return f'{self.net} by {self.method}'


S_FC_SGD = Kind('S-FC', 'SGD')
S_FC_LASSO = Kind('S-FC', 'β-LASSO')
S_LOCAL = Kind('S-LOCAL', 'SGD')
S_CONV = Kind('S-CONV', 'SGD')


def draw(
  chosen: Sequence[Experiment],
  path: pathlib.Path,
  request: captions.Request,
  kinds: Sequence[Kind],
  number: str,
) -> Drawn:
  """Draws filters of a run of each kind; see `item.Item`.

  Args:
    chosen: of each kind, the largest β is drawn, the largest α, and the most
      epochs; seeds: the first one.
    path: of the PNG.
    request: what was asked for.
    kinds: a panel each.
    number: of the paper's figure.

  Returns:
    What came of it.

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
  runs = {kind: e.runs[0] for kind, e in found.items()}
  filters = {kind: report.filters(run) for kind, run in runs.items()}
  shape = tuple(next(iter(runs.values())).done['image_shape'])
  rows, cols = (8, 8) if len(kinds) == 1 else (6, 3)
  notes = [
    f'{kind} ({_which(e)}): {", ".join(describe(filters[kind], rows * cols))}.'
    for kind, e in found.items()
  ]
  zero = 'mid grey' if shape[-1] == 3 else 'white'
  text = captions.caption(
    (
      f'First-layer filters of {", ".join(map(str, found))} ({number}).',
      'Drawn at random (seed '
      f'{request.seed}) among those with at least {locality.MIN_NONZERO} '
      'non-zero values. Each filter is scaled by its own largest |weight|; '
      f'{zero} is zero.',
      'Filters of S-LOCAL stand at their place in the image, so that they '
      'compare with those of S-FC: around each window is zero by construction, '
      'and what of a window lies outside of the image is not shown.'
      if S_LOCAL in found
      else '',
      'S-CONV: the kernels, larger than filters on the plane of the image.'
      if S_CONV in found
      else '',
      *notes,
      f'Missing: {"; ".join(missing)}.' if missing else '',
    ),
    list(runs.values()),
    request,
  )
  paths = figures.first_layer_filters(
    [(_title(kind, e, len(found)), filters[kind]) for kind, e in found.items()],
    shape,
    path,
    rows=rows,
    cols=cols,
    seed=request.seed,
    width=style.COLUMN,
    notes=False,
    caption=text,
  )
  return Drawn(paths, missing)


def _title(kind: Kind, e: Experiment, panels: int) -> str:
  if panels == 1:
    return f'{kind}, {_which(e)}'
  return f'{kind.net}\nby {kind.method}'


def _which(e: Experiment) -> str:
  beta = e.fields.get('optim.beta')
  return f'α = {e.alpha}' + (f', β = {beta:g}' if beta else '')


def of(*kinds: Kind, number: str) -> functools.partial:
  """Returns `draw` for some kinds."""
  return functools.partial(draw, kinds=kinds, number=number)


def _best(chosen: Sequence[Experiment], kind: Kind) -> Experiment:
  own = [
    e
    for e in chosen
    if e.net == kind.net and e.method.split()[0] == kind.method and e.finished
    # β = 0 cuts nothing.
    if e.fields.get('optim.beta', 1) > 0
  ]
  if not own:
    raise errors.UsageError(f'no finished run of {kind}')
  own = experiments.largest(
    own,
    lambda e: e.fields.get('optim.beta', 0),
    lambda e: e.alpha,
    lambda e: e.epochs,
  )
  experiments.agree(own, (), str(kind))
  (e,) = own
  try:
    report.filters(e.runs[0])
  except errors.UsageError as error:
    raise errors.UsageError(f'{e.runs[0].path}: {error}') from error
  return e
