"""Number of weights of the paper's nets, without any run (figure 1)."""

import functools
from collections.abc import Sequence

from matplotlib import axes, figure, ticker

from lconv_jax import models
from lconv_jax.models import table
from lconv_jax.report import axis, captions, style
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.item import Drawn

_ALPHAS = (1, 4, 15, 50, 150, 256)
# The formulas of tables 3 and 4 take multiples of 16.
_SIZES = (16, 32, 64, 128, 256)
_SIZE, _CLASSES = 32, 10
_CONTRADICTED = 'd_local'  # the strides do not give its column as printed


def draw(chosen: Sequence[Experiment], request: captions.Request) -> Drawn:
  """Draws the S- and D-nets as built, whatever is chosen; see `item.Item`."""
  del chosen, request
  fig = figure.Figure((style.COLUMN, 2.6), layout='constrained')
  left, right = fig.subplots(1, 2, sharey=True)
  alphas = {name: models.FAMILIES[name].base_channels for name in ('d', 's')}
  drawn = []
  for family, alpha in alphas.items():
    for name in [n for n, net in models.NETS.items() if net.family == family]:
      by_alpha = [_total(name, a, _SIZE) for a in _ALPHAS]
      by_size = [_total(name, alpha, s) for s in _SIZES]
      lines = _plot(left, name, _ALPHAS, by_alpha, alpha)
      _plot(right, name, _SIZES, by_size, _SIZE)
      drawn.append((name, lines[0]))
  for ax, label in ((left, 'base channels α'), (right, 'image size (px)')):
    ax.set(xlabel=label, xscale='log', yscale='log')
    ax.set_xscale('log', base=2)
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
    ax.xaxis.set_minor_locator(ticker.NullLocator())
  left.set_ylabel('weights')
  axis.counts(left.yaxis)
  left.yaxis.set_minor_locator(ticker.NullLocator())
  style.legend(fig, drawn)
  # Beside its line: in the legend it would tear the columns apart.
  right.annotate(
    f'dotted: {models.NETS[_CONTRADICTED].title}\nas printed', (0.97, 0.03),
    xycoords='axes fraction', ha='right', va='bottom', color=style.NOTE,
    fontsize=style.SMALL,
  )  # fmt: skip
  return Drawn(
    functools.partial(style.save, fig),
    (
      'Number of weights against base channels α and image size (figure 1 of '
      'the paper): kernels as built, without batch norm and biases, for '
      f'{_CLASSES} classes.',
      f'Left: images of {_SIZE} × {_SIZE} pixels. Right: the α of the paper, '
      f'{alphas["d"]} for D-nets and {alphas["s"]} for S-nets. Markers: the '
      'nets that the paper reports.',
      'On the left D-CONV and S-CONV nearly coincide, on the right S-CONV and '
      'S-LOCAL, whose layer fc1 holds most of their weights.',
      f'Dotted: the total of the column {models.NETS[_CONTRADICTED].title} as '
      'printed in table 3, which contradicts the strides in the same table; '
      'the line follows the strides. All other columns agree with what is '
      'built.',
    ),
  )


def _plot(
  ax: axes.Axes,
  name: str,
  xs: Sequence[int],
  totals: Sequence[table.Line],
  reported: int,
) -> list[style.Line]:
  """Draws a net's line, marked where the paper reports it; returns lines."""
  look, title = style.net(name), models.NETS[name].title
  mark = [xs.index(reported)]
  weights = [total.weights for total in totals]
  result = ax.plot(xs, weights, label=title, markevery=mark, **look)
  if name == _CONTRADICTED:
    result += ax.plot(
      xs,
      [total.paper_weights for total in totals],
      color=look['color'],
      ls=(0, (1, 1.5)),
      lw=1,
      label=f'{title} as printed',
    )
  return result


@functools.cache
def _total(name: str, alpha: int, size: int) -> table.Line:
  return table.lines(name, alpha, (size, size, 3), _CLASSES)[-1]
