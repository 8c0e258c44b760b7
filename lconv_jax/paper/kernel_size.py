"""ResNet18 with wide kernels, from runs (figure 5)."""

import pathlib
from collections.abc import Sequence

from lconv_jax import errors
from lconv_jax.figures import kernel_size
from lconv_jax.paper import captions, experiments
from lconv_jax.paper.experiments import Experiment
from lconv_jax.paper.item import Drawn

_DEFAULT = 3  # pixels


def draw(
  chosen: Sequence[Experiment], path: pathlib.Path, request: captions.Request
) -> Drawn:
  """Draws runs of ResNet18 by SGD and by β-LASSO; see `item.Item`."""
  chosen = [e for e in chosen if e.net == 'ResNet18']
  if not chosen:
    raise errors.UsageError(
      'No run of ResNet18; python -m launch.local resnet_kernel trains them.'
    )
  free = ('model.kernel_size', 'optim.name', 'optim.beta')
  experiments.agree(chosen, free, 'kernel_size')
  lines = {
    method: [e.point(_size(e), 'test') for e in chosen if e.method == method]
    for method in sorted(
      {e.method for e in chosen}, key=lambda m: (m != 'SGD', m)
    )
  }
  sizes = sorted({_size(e) for e in chosen})
  missing = [
    f'{method} with {size} px'
    for method, points in lines.items()
    for size in sizes
    if size not in {p.x for p in points}
  ]
  kinds = {method.split()[0] for method in lines}
  missing += [m for m in ('SGD', 'β-LASSO') if m not in kinds]
  text = captions.caption(
    (
      'Test accuracy of ResNet18 against the size of its kernels, by SGD and '
      'by β-LASSO (figure 5 of the paper).',
      f'α = {chosen[0].alpha}, {chosen[0].epochs} epochs. All convolutions but '
      'the 1 × 1 shortcuts have the same size. Each point is the winner by '
      'validation accuracy among the runs that differ in what is tuned, at its '
      'best epoch; bars are standard deviations over seeds. Hollow: not '
      'finished.',
      f'Missing: {", ".join(missing)}.' if missing else '',
    ),
    experiments.all_runs(chosen),
    request,
  )
  return Drawn(kernel_size.draw(lines, path, text), missing)


def _size(e: Experiment) -> int:
  return e.fields['model.kernel_size'] or _DEFAULT
