"""Accuracy against epochs and against weights (figures 2 and 6)."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import axes, figure, lines, ticker

from lconv_jax.figures import axis, style

PARTS = ('train', 'test')


class Net(NamedTuple):
  """What is known of one architecture."""

  title: str  # 'S-CONV'
  metrics: axis.Metrics  # of one run: the line against epochs
  # By part: where runs of some number of epochs end, in epochs and per cent.
  ends: dict[str, Sequence[axis.Point]]
  # By part: runs of the same number of epochs, in weights and per cent.
  widths: dict[str, Sequence[axis.Point]]


def draw(
  nets: Sequence[Net], path: str | pathlib.Path, caption: str | None = None
) -> style.Paths:
  """Draws training above test accuracy, a line for each architecture.

  Args:
    nets: in the order of the legend.
    path: of the PNG; the others stand beside it.
    caption: as `style.save` takes it.

  Returns:
    The paths of what was written.
  """
  with style.look():
    fig = figure.Figure((style.COLUMN, 3.7), layout='constrained')
    # The last number of one axis and the first of the next keep apart.
    fig.get_layout_engine().set(wspace=0.05)
    panels = fig.subplots(2, 2, sharex='col', sharey='row')
    for part, (left, right) in zip(PARTS, panels, strict=True):
      for net in nets:
        look = style.net(net.title)
        line = {k: v for k, v in look.items() if k != 'marker'}
        axis.share(left, net.metrics, f'{part}/accuracy', lw=0.8, **line)
        axis.points(left, net.ends[part], **{**look, 'linestyle': ''})
        axis.points(right, net.widths[part], **look)
      left.set_ylabel(f'{part} accuracy (%)')
      left.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    left.set(xlabel='epochs')
    right.set(xlabel='weights', xscale='log')
    _epochs(left)
    axis.counts(right.xaxis)
    # Also of those that have no point on the right.
    titles = [net.title for net in nets]
    style.legend(
      fig, [lines.Line2D([], [], label=t, **style.net(t)) for t in titles]
    )
    return style.save(fig, path, caption)


def _epochs(ax: axes.Axes) -> None:
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
