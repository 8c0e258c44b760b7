"""Number of weights against base channels and image size (figure 1)."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import figure, lines, ticker

from lconv_jax.figures import axis, style

_PRINTED = ' as printed'


class Net(NamedTuple):
  """How an architecture grows: points of (α, weights) and (size, weights)."""

  title: str  # 'S-CONV'
  by_alpha: Sequence[tuple[int, float]]
  by_size: Sequence[tuple[int, float]]  # pixels
  # Those of the net that the paper reports, among the points.
  alpha: int
  size: int
  # What the paper prints where that is another number, else empty.
  printed_by_alpha: Sequence[tuple[int, float]] = ()
  printed_by_size: Sequence[tuple[int, float]] = ()


def draw(
  nets: Sequence[Net], path: str | pathlib.Path, caption: str | None = None
) -> style.Paths:
  """Draws numbers of weights, a line for each architecture.

  A marker stands at the net that the paper reports; the paper's numbers are
  dotted where they differ from those of the nets as built.

  Args:
    nets: in the order of the legend.
    path: of the PNG; the others stand beside it.
    caption: as `style.save` takes it.

  Returns:
    The paths of what was written.
  """
  with style.look():
    fig = figure.Figure((style.COLUMN, 2.6), layout='constrained')
    left, right = fig.subplots(1, 2, sharey=True)
    for net in nets:
      look = style.net(net.title)
      for ax, drawn, printed, at in (
        (left, net.by_alpha, net.printed_by_alpha, net.alpha),
        (right, net.by_size, net.printed_by_size, net.size),
      ):
        mark = [x for x, _ in drawn].index(at)
        xs, ys = zip(*drawn, strict=True)
        ax.plot(xs, ys, label=net.title, markevery=[mark], **look)
        if printed:
          ax.plot(
            *zip(*printed, strict=True),
            color=look['color'],
            ls=(0, (1, 1.5)),
            lw=1,
            label=net.title + _PRINTED,
          )
    for ax, label in ((left, 'base channels α'), (right, 'image size (px)')):
      ax.set(xlabel=label, xscale='log', yscale='log')
      ax.set_xscale('log', base=2)
      ax.xaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
      ax.xaxis.set_minor_locator(ticker.NullLocator())
    left.set_ylabel('weights')
    axis.counts(left.yaxis)
    style.legend(fig, sorted(left.lines, key=_is_printed))
    return style.save(fig, path, caption)


def _is_printed(line: lines.Line2D) -> bool:
  return line.get_label().endswith(_PRINTED)
