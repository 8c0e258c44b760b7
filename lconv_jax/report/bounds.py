"""Bounds on the error of nets beside their test error (theorem 2)."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import axes, figure, ticker

from lconv_jax.report import style

_WIDTH = 44  # of a label, in letters
_LINE = 0.17  # inches


class Bounded(NamedTuple):
  """A net's error on test images, and the bounds on its error."""

  label: str
  test_error: float  # in [0, 1]
  in_nats: float
  as_stated: float


@style.look()
def draw_bounds(nets: Sequence[Bounded], guess: float = 1.0) -> figure.Figure:
  """Draws the bound of theorem 2 and the test error, a row for each net.

  Args:
    nets: one or more.
    guess: error of guessing, in [0, 1]; a bound above it says nothing.
  """
  labels = [textwrap.fill(net.label, _WIDTH) for net in nets]
  lines = [label.count('\n') + 1 for label in labels]
  # The middle of each row, in lines from the top.
  ys = [sum(lines[:i]) + n / 2 for i, n in enumerate(lines)]
  size = 2 * style.COLUMN, 0.95 + _LINE * sum(lines)
  fig = figure.Figure(size, layout='constrained')
  ax = fig.add_subplot()
  errors, nats, stated = (
    [100 * value for value in values]
    for values in zip(*(net[1:] for net in nets), strict=True)
  )
  ax.hlines(ys, nats, stated, color=style.VERMILION, lw=0.8)
  look = {'ls': '', 'ms': 5}
  ax.plot(
    errors, ys, marker='o', color='0.3', label='error on test images', **look
  )
  ax.plot(
    nats, ys, marker='D', color=style.VERMILION, label='bound, in nats', **look
  )
  ax.plot(
    stated, ys, marker='|', color=style.VERMILION, label='bound, as stated',
    **look,
  )  # fmt: skip
  _frame(ax, [*errors, *nats, *stated], 100 * guess)
  ax.set_yticks(ys, labels)
  ax.set_ylim(sum(lines), 0)
  ax.grid(visible=False, axis='y')
  fig.legend(*ax.get_legend_handles_labels(), loc='outside upper left', ncols=3)
  return fig


def _frame(ax: axes.Axes, values: Sequence[float], guess: float) -> None:
  """Sets a logarithmic axis of per cent that begins at 0 if need be."""
  low, right = min(guess, *values), 1.3 * max(guess, *values)
  left = 0.7 * low if low > 1 else 0
  ax.set_xscale('symlog', linthresh=1)
  ax.set(xlim=(left, right), xlabel='%')
  ax.axvspan(guess, right, color='0.94', zorder=0, lw=0)
  ax.axvline(guess, color='0.6', lw=0.8)
  ax.annotate(
    f'vacuous: guessing has {guess:g} %', (guess, 1), xytext=(2, 2),
    xycoords=('data', 'axes fraction'), textcoords='offset points',
    color=style.NOTE, fontsize=style.SMALL, va='bottom',
    ha='left',
  )  # fmt: skip
  powers = range(math.floor(math.log10(right)) + 1)
  ticks = [0, *(n * 10**p for p in powers for n in (1, 2, 3, 5))]
  ax.set_xticks([tick for tick in ticks if left <= tick <= right])
  ax.xaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  ax.xaxis.set_minor_locator(ticker.NullLocator())
