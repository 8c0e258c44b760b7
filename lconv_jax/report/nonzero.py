"""Non-zero weights of each layer under β-LASSO against epochs (figure 3)."""

import functools
from collections.abc import Sequence

from matplotlib import figure

from lconv_jax import errors
from lconv_jax.report import captions, curves, style
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.item import Drawn

_MOST = 8  # panels that fit on a page
_SHORT = 0.1  # of the longest run's epochs: below, a run only tries things out


def draw(chosen: Sequence[Experiment], request: captions.Request) -> Drawn:
  """Draws runs by β-LASSO that cut weights, β > 0; see `item.Item`."""
  del request
  chosen = [e for e in chosen if e.beta]
  if not chosen:
    raise errors.UsageError(
      'No run by β-LASSO with β > 0; python main.py '
      '--config=configs/s_fc_small.py trains one.'
    )
  least = _SHORT * max(e.epochs for e in chosen)
  short = sum(e.epochs < least for e in chosen)
  chosen = [e for e in chosen if e.epochs >= least]
  if len(chosen) > _MOST:
    raise errors.UsageError(
      f'{len(chosen)} experiments by β-LASSO are more than the {_MOST} that a '
      f'page can hold; choose, as by --only model.name={chosen[0].name}.'
    )
  labels, common = _labels(chosen)
  columns = 1 if len(chosen) < 3 else 2
  lines = -(-len(chosen) // columns)
  fig = figure.Figure((style.COLUMN, 2.2 * lines), layout='constrained')
  panels = [fig.add_subplot(lines, columns, i + 1) for i in range(len(chosen))]
  metrics = [e.runs[0].metrics for e in chosen]
  runs = list(zip(labels, metrics, strict=True))
  curves.nonzero(fig, panels, runs, title_width=36 // columns)
  for ax, e in zip(panels, chosen, strict=True):
    ax.set_xlim(0, e.epochs)  # so that a run shows that is not finished
    if not ax.get_subplotspec().is_first_col():
      ax.set_ylabel('')
  return Drawn(
    functools.partial(style.save, fig),
    (
      'Non-zero weights of each layer against epochs under β-LASSO (figure 3 '
      'of the paper).',
      'Each panel is a single run, the winner by validation accuracy among '
      'runs that differ in λ, learning rate or dropout. Layers go from dark '
      'and wide (the first) to light and narrow (the last); a line ends where '
      'a layer has no weight left.',
      f'All: {" ".join(common)}.' if common else '',
      f'Not shown: {short} with less than a tenth of the epochs of the '
      'longest run.'
      if short
      else '',
    ),
    [e.runs[0] for e in chosen],
  )


def _labels(chosen: Sequence[Experiment]) -> tuple[list[str], list[str]]:
  """Returns what tells each experiment from the others, and what does not."""
  words = [
    [*e.label.split(), f'α={e.alpha}', f'epochs={e.epochs}'] for e in chosen
  ]
  if len(chosen) == 1:
    return [' '.join(words[0])], []
  common = [w for w in words[0] if all(w in own for own in words)]
  return [' '.join(w for w in own if w not in common) for own in words], common
