"""Test accuracy of ResNet18 against the size of its kernels (figure 5)."""

import functools
from collections.abc import Sequence

from matplotlib import figure, ticker

from lconv_jax import errors
from lconv_jax.report import axis, captions, experiments, style
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.item import Drawn

_DEFAULT = 3  # pixels


def draw(chosen: Sequence[Experiment], request: captions.Request) -> Drawn:
  """Draws runs of ResNet18, a line for each method; see `item.Item`."""
  del request
  chosen = [e for e in chosen if e.name == 'resnet18']
  if not chosen:
    raise errors.UsageError(
      'No run of ResNet18; python -m launch.local resnet_kernel trains them.'
    )
  free = ('model.kernel_size', 'optim.name', 'optim.beta')
  experiments.agree(chosen, free, 'kernel_size')
  lines = {}
  for e in sorted(chosen, key=lambda e: (e.method != 'SGD', e.method)):
    size = e.fields['model.kernel_size'] or _DEFAULT
    lines.setdefault(e.method, {})[size] = e.point(size, 'test')
  sizes = sorted({size for points in lines.values() for size in points})
  fig = figure.Figure((style.COLUMN, 2.2), layout='constrained')
  ax = fig.add_subplot()
  for i, (method, points) in enumerate(lines.items()):
    axis.points(ax, points.values(), label=method, **style.distinct(i))
  ax.set(xlabel='kernel size (px)', ylabel='test accuracy (%)')
  ax.set_xticks(sizes)
  ax.yaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
  ax.legend()
  missing = [
    f'{method} with {size} px'
    for method, points in lines.items()
    for size in sizes
    if size not in points
  ]
  kinds = {e.method if e.beta is None else 'β-LASSO' for e in chosen}
  missing += [kind for kind in ('SGD', 'β-LASSO') if kind not in kinds]
  return Drawn(
    functools.partial(style.save, fig),
    (
      'Test accuracy of ResNet18 against the size of its kernels, by SGD and '
      'by β-LASSO (figure 5 of the paper).',
      f'α = {chosen[0].alpha}, {chosen[0].epochs} epochs. All convolutions but '
      'the 1 × 1 shortcuts have the same size. Each point is the winner by '
      'validation accuracy among the runs that differ in what is tuned, at its '
      'best epoch; bars are standard deviations over seeds. Hollow: not '
      'finished.',
    ),
    experiments.all_runs(chosen),
    missing,
  )
