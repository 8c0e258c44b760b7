"""Accuracy against epochs and weights, from runs (figures 2 and 6)."""

import collections
import pathlib
from collections.abc import Callable, Sequence

from lconv_jax import errors
from lconv_jax.figures import accuracy, axis
from lconv_jax.paper import captions, experiments
from lconv_jax.paper.experiments import Experiment
from lconv_jax.paper.item import Drawn

NETS = ('D-CONV', 'D-LOCAL', 'D-FC', 'S-CONV', 'S-LOCAL', 'S-FC', '3-FC')


def draw(
  chosen: Sequence[Experiment], path: pathlib.Path, request: captions.Request
) -> Drawn:
  """Draws runs of the S- and D-nets and 3-FC by SGD; see `item.Item`."""
  chosen = [e for e in chosen if e.net in NETS and e.method == 'SGD']
  chosen = experiments.from_scratch(chosen)
  if not chosen:
    raise errors.UsageError(
      f'No run by SGD of {", ".join(NETS)} from a random start; '
      'python -m launch.local width trains them.'
    )
  experiments.agree(chosen, experiments.COMPARED, 'accuracy')
  # Widths are compared after the same number of epochs: that of most runs.
  done = [e for e in chosen if e.finished]
  lengths = collections.Counter(e.epochs for e in done or chosen)
  common = max(lengths, key=lambda epochs: (lengths[epochs], epochs))
  nets, shown = [], []
  for title in NETS:
    own = [e for e in chosen if e.net == title]
    if own:
      widest = experiments.largest(own, lambda e: e.alpha)
      longest = experiments.largest(widest, lambda e: e.epochs)[0]
      same = [e for e in own if e.epochs == common and e.finished]
      nets.append(
        accuracy.Net(
          title,
          longest.runs[0].metrics,
          _points(widest, _reached),
          _points(same, lambda e: sum(e.runs[0].done['weights'].values())),
        )
      )
      shown += [e for e in own if e in widest or e in same]
  missing = [title for title in NETS if title not in {e.net for e in chosen}]
  text = captions.caption(
    (
      'Accuracy in training (above) and in the test (below) of nets trained '
      'by SGD (figures 2 and 6 of the paper).',
      'Left: against epochs, for the largest α of each net; lines are single '
      'runs, the longest ones, markers stand where runs of that many epochs '
      'end, or have come to. Right: against the number of weights (kernels, as '
      f'built), after {common} epochs, a marker for each α whose runs are '
      'finished.',
      'Each marker is the winner by validation accuracy among the runs that '
      'differ in learning rate, momentum, weight decay or dropout, at its best '
      'epoch; bars are standard deviations over seeds. Training accuracy is '
      'the mean over an epoch, on augmented images. Hollow: not finished.',
      f'Missing: {", ".join(missing)}.' if missing else '',
    ),
    experiments.all_runs(shown),
    request,
  )
  return Drawn(accuracy.draw(nets, path, text), missing)


def _points(
  chosen: Sequence[Experiment], x: Callable[[Experiment], int | float]
) -> dict[str, list[axis.Point]]:
  return {
    part: [e.point(x(e), part) for e in chosen] for part in accuracy.PARTS
  }


def _reached(e: Experiment) -> int | float:
  """Returns how many epochs it has trained."""
  return e.epochs if e.finished else e.runs[0].metrics[-1]['epoch']
