"""Accuracy against epochs and against weights (figures 2 and 6)."""

import collections
import functools
from collections.abc import Sequence

from matplotlib import axes, figure, lines, ticker

from lconv_jax import errors, models
from lconv_jax.report import axis, captions, experiments, style
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.item import Drawn

# Of the paper, in the order of the legend.
_NETS = 'd_conv', 'd_local', 'd_fc', 's_conv', 's_local', 's_fc', 'fc3'
_PARTS = 'train', 'test'
# Of markers, so that they can be told apart where they overlap.
_EDGE = {'markeredgecolor': 'white', 'markeredgewidth': 0.5}


def draw(chosen: Sequence[Experiment], request: captions.Request) -> Drawn:
  """Draws runs by SGD, a line for each net but ResNet18; see `item.Item`."""
  del request
  names = [*_NETS, *(n for n in models.NETS if n not in (*_NETS, 'resnet18'))]
  chosen = [e for e in chosen if e.name in names and e.method == 'SGD']
  chosen = experiments.from_scratch(chosen)
  titles = {name: models.NETS[name].title for name in _NETS}
  if not chosen:
    raise errors.UsageError(
      f'No run by SGD of {", ".join(titles.values())} from a random start; '
      'python -m launch.local width trains them.'
    )
  experiments.agree(chosen, experiments.COMPARED, 'accuracy')
  # Widths are compared after the same number of epochs: that of most runs.
  done = [e for e in chosen if e.finished] or chosen
  lengths = collections.Counter(e.epochs for e in done)
  common = max(lengths, key=lambda epochs: (lengths[epochs], epochs))
  fig = figure.Figure((style.COLUMN, 4.6), layout='constrained')
  # The last number of one axis and the first of the next keep apart.
  fig.get_layout_engine().set(wspace=0.05)
  panels = fig.subplots(2, 2, sharex='col', sharey=True)
  legend, shown = [], []
  for name in names:
    if own := [e for e in chosen if e.name == name]:
      widest = experiments.largest(own, lambda e: e.alpha)
      same = [e for e in own if e.epochs == common and e.finished]
      look = style.net(name)
      for part, (left, right) in zip(_PARTS, panels, strict=True):
        _against_epochs(left, widest, part, look)
        points = [
          e.point(sum(e.runs[0].done['weights'].values()), part) for e in same
        ]
        axis.points(right, points, **look, **_EDGE)
      # Also of a net that has no point on the right.
      line = lines.Line2D([], [], label=own[0].net, **look)
      legend.append((name, line))
      shown += [e for e in own if e in widest or e in same]
  for part, (left, _) in zip(_PARTS, panels, strict=True):
    left.set_ylabel(f'{part} accuracy (%)')
    left.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
  left, right = panels[-1]
  left.set(xlabel='epochs')
  right.set(xlabel='weights', xscale='log')
  _number(left)
  axis.counts(right.xaxis)
  style.legend(fig, legend)
  return Drawn(
    functools.partial(style.save, fig),
    (
      'Accuracy in training (above) and on test images (below) of nets trained '
      'by SGD (figures 2 and 6 of the paper).',
      'Left: against epochs, for the largest α of each net. A line is a single '
      'run, the longest one; a marker stands where runs of that many epochs '
      'end, or have come to. Right: against the number of weights (kernels, as '
      f'built), after {common} epochs, with a marker for each α whose runs are '
      'finished.',
      'Each marker is the winner by validation accuracy among the runs that '
      'differ in learning rate, momentum, weight decay or dropout, at its best '
      'epoch; bars are standard deviations over seeds. Training accuracy is '
      'the mean over an epoch, on augmented images. Hollow: not finished.',
    ),
    experiments.all_runs(shown),
    [t for name, t in titles.items() if name not in {e.name for e in chosen}],
  )


def _against_epochs(
  ax: axes.Axes, widest: Sequence[Experiment], part: str, look: style.Look
) -> None:
  longest = experiments.largest(widest, lambda e: e.epochs)[0].runs[0]
  line = {**look, 'marker': '', 'lw': 0.8}
  axis.share(ax, longest.metrics, f'{part}/accuracy', **line)
  ends = [
    e.point(e.epochs if e.finished else e.runs[0].metrics[-1]['epoch'], part)
    for e in widest
  ]
  axis.points(ax, ends, **{**look, **_EDGE, 'linestyle': ''})


def _number(ax: axes.Axes) -> None:
  """Numbers an axis of epochs, however few there are."""
  last = max((x for line in ax.lines for x in line.get_xdata()), default=1)
  if last <= 10:
    ax.set_xlim(0, 1.1 * last)
    ax.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    return
  ax.set_xscale('log')
  subs = (1, 3) if last < 300 else (1,)  # as many as there is room for
  ax.xaxis.set_major_locator(ticker.LogLocator(subs=subs))
  ax.xaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  ax.xaxis.set_minor_formatter(ticker.NullFormatter())
