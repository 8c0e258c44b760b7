"""Non-zero weights per layer under β-LASSO, from runs (figure 3)."""

import pathlib
from collections.abc import Sequence

from lconv_jax import errors, figures
from lconv_jax.paper import captions
from lconv_jax.paper.experiments import Experiment
from lconv_jax.paper.item import Drawn

MOST = 8  # panels that fit on a page


def draw(
  chosen: Sequence[Experiment], path: pathlib.Path, request: captions.Request
) -> Drawn:
  """Draws runs by β-LASSO that cut weights, β > 0; see `item.Item`."""
  chosen = [
    e
    for e in chosen
    if e.method.startswith('β-LASSO') and e.fields['optim.beta'] > 0
  ]
  if not chosen:
    raise errors.UsageError(
      'No run by β-LASSO with β > 0; python main.py '
      '--config=configs/s_fc_small.py trains one.'
    )
  if len(chosen) > MOST:
    raise errors.UsageError(
      f'{len(chosen)} experiments by β-LASSO are more than the {MOST} that a '
      'page can hold; choose, as by '
      f'--only model.name={chosen[0].fields["model.name"]}.'
    )
  labels, common = _labels(chosen)
  text = captions.caption(
    (
      'Non-zero weights of each layer against epochs under β-LASSO (figure 3 '
      'of the paper).',
      'Each panel is a single run, the winner by validation accuracy among '
      'those that differ in λ, learning rate or dropout. Layers go from dark '
      'and wide (the first) to light and narrow (the last); a line ends where '
      'a layer has no weight left.',
      f'All: {" ".join(common)}.' if common else '',
    ),
    [e.runs[0] for e in chosen],
    request,
  )
  runs = [
    (label, e.runs[0].metrics) for label, e in zip(labels, chosen, strict=True)
  ]
  epochs = [e.epochs for e in chosen]
  return Drawn(figures.nonzero(runs, epochs, path, text))


def _labels(chosen: Sequence[Experiment]) -> tuple[list[str], list[str]]:
  """Returns what tells each experiment from the others, and what does not."""
  words = [_words(e) for e in chosen]
  first = words[0]
  common = [w for w in first if all(w in own for own in words)]
  if len(chosen) == 1:
    return [' '.join(first)], []
  return [' '.join(w for w in own if w not in common) for own in words], common


def _words(e: Experiment) -> list[str]:
  return [*e.label.split(), f'α={e.alpha}', f'epochs={e.epochs}']
