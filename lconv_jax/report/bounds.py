"""Bounds on the error of nets against their test error (theorem 2)."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import axes, figure, ticker

from lconv_jax.report import style

_WIDTH = 48  # of a column, in letters


class Bounded(NamedTuple):
  """A net's error on test images, and the bounds on its error."""

  label: str
  test_error: float  # in [0, 1]
  in_nats: float
  as_stated: float


@style.look()
def draw_bounds(nets: Sequence[Bounded], guess: float = 1.0) -> figure.Figure:
  """Draws the bound of theorem 2 against the test error, for each net.

  Args:
    nets: one or more.
    guess: error of guessing, in [0, 1]; a bound above it says nothing.
  """
  labels = [textwrap.fill(net.label, _WIDTH) for net in nets]
  lines = sum(label.count('\n') + 1 for label in labels)
  # The legend may need more room than the axes.
  size = style.COLUMN, 2.5 + 0.14 * lines
  fig = figure.Figure(size, layout='constrained')
  ax = fig.add_subplot()
  for i, (net, label) in enumerate(zip(nets, labels, strict=True)):
    color, marker = (style.distinct(i)[k] for k in ('color', 'marker'))
    x, ys = 100 * net.test_error, (100 * net.in_nats, 100 * net.as_stated)
    ax.plot([x, x], ys, color=color, lw=0.8)
    ax.plot(x, ys[0], color=color, marker=marker, ls='', ms=5, label=label)
    ax.plot(x, ys[1], color=color, marker='_', ls='', ms=7)
  _frame(ax, nets, 100 * guess)
  ax.plot([], [], color='0.4', marker='_', ls='', ms=7, label='as stated')
  fig.legend(*ax.get_legend_handles_labels(), loc='outside lower left')
  return fig


def _frame(ax: axes.Axes, nets: Sequence[Bounded], guess: float) -> None:
  right = 1.2 * max(100 * net.test_error for net in nets) + 1
  values = [100 * b for net in nets for b in (net.in_nats, net.as_stated)]
  bottom, top = 0.7 * min(guess, *values), 1.5 * max(guess, *values)
  ax.set_yscale('log')
  ax.set(xlim=(0, right), ylim=(bottom, top))
  ax.axhspan(guess, top, color='0.94', zorder=0, lw=0)
  ax.annotate(
    'vacuous', (0.02, guess), xycoords=('axes fraction', 'data'), xytext=(0, 3),
    textcoords='offset points', color=style.NOTE, fontsize=style.SMALL,
  )  # fmt: skip
  xs = [right * i / 200 for i in range(1, 201)]
  ax.plot(xs, xs, color='0.6', lw=0.8, ls=(0, (4, 2)))
  ax.set(xlabel='test error (%)', ylabel='bound on the error (%)')
  ax.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=8))
  ax.yaxis.set_minor_formatter(ticker.NullFormatter())
