"""The gain of β-LASSO over SGD against width, for each length of training."""

import functools
import itertools
import math
import statistics
from collections.abc import Sequence

from matplotlib import axes, figure, ticker

from lconv_jax import errors
from lconv_jax.report import axis, captions, experiments, style, table
from lconv_jax.report.experiments import Experiment
from lconv_jax.report.item import Drawn

_SHARES = {
  'first layer (%)': 'first layer: non-zero weights (%)',
  'local (%)': 'first layer: local filters (%)',
}


def draw(chosen: Sequence[Experiment], request: captions.Request) -> Drawn:
  """Draws S-FC by β-LASSO minus S-FC by SGD; see `item.Item`.

  Args:
    chosen: the largest β is compared with the best SGD. Runs that are not
      finished do not count.
    request: what was asked for.

  Raises:
    UsageError: no width and length has finished runs of both.
  """
  del request
  own = experiments.from_scratch(e for e in chosen if e.name == 's_fc')
  own = [done for e in own if (done := _finished(e)).runs]
  sgd = {(e.epochs, e.alpha): e for e in own if e.method == 'SGD'}
  lasso = {
    (e.epochs, e.alpha): e
    for e in experiments.largest([e for e in own if e.beta], lambda e: e.beta)
  }
  both = sorted(sgd.keys() & lasso.keys())
  if not both:
    raise errors.UsageError(
      'No width and length of S-FC has finished runs by SGD and by β-LASSO; '
      'python -m launch.local scaling:a8_e400 trains them.'
    )
  shown = [e for at in both for e in (sgd[at], lasso[at])]
  experiments.agree(shown, experiments.COMPARED, 'scaling')
  fig = figure.Figure((2 * style.COLUMN, 2.4), layout='constrained')
  fig.get_layout_engine().set(wspace=0.06)
  gain, *panels = fig.subplots(1, 3)
  lengths = sorted({epochs for epochs, _ in both})
  for i, epochs in enumerate(lengths):
    look = {**style.distinct(i), 'label': f'{epochs} epochs'}
    at = [cell for cell in both if cell[0] == epochs]
    axis.points(gain, [_gain(lasso[cell], sgd[cell]) for cell in at], **look)
    for ax, name in zip(panels, _SHARES, strict=True):
      shares = [_share(lasso[cell], name) for cell in at]
      axis.points(ax, filter(None, shares), **look)
  gain.axhline(0, color='0.6', lw=0.8, zorder=1)
  gain.set_ylabel('β-LASSO − best SGD\n(points of test accuracy)')
  for ax, label in zip(panels, _SHARES.values(), strict=True):
    ax.set_ylabel(label)
  nonzero, local = panels
  nonzero.set_yscale('log')
  nonzero.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  local.set_ylim(0, 100)
  alphas = sorted({alpha for _, alpha in both})
  for ax in (gain, *panels):
    _widths(ax, alphas)
  handles, labels = gain.get_legend_handles_labels()
  fig.legend(handles, labels, loc='outside upper left', ncols=len(lengths))
  return Drawn(
    functools.partial(style.save, fig),
    (
      'Test accuracy of S-FC by β-LASSO minus that by SGD, against α, for each '
      'number of epochs; and of the nets by β-LASSO, the non-zero weights and '
      'the local filters of the first layer.',
      f'β = {shown[1].beta:g}. Both are the winners by validation accuracy '
      'among the finished runs that differ in learning rate, momentum, weight '
      'decay, λ or dropout. Bars are standard deviations over seeds (of the '
      'difference: of two runs), where there are several.',
    ),
    experiments.all_runs(shown),
    [
      f'{epochs} epochs with α = {alpha}'
      for epochs, alpha in itertools.product(lengths, alphas)
      if (epochs, alpha) not in both
    ],
  )


def _finished(e: Experiment) -> Experiment:
  return e._replace(runs=tuple(run for run in e.runs if run.done))


def _gain(lasso: Experiment, sgd: Experiment) -> axis.Point:
  (a, one), (b, two) = (e.accuracy('test') for e in (lasso, sgd))
  bar = None if one is None or two is None else math.hypot(one, two)
  return axis.Point(lasso.alpha, a - b, bar)


def _share(e: Experiment, name: str) -> axis.Point | None:
  values = [table.row(run)[name] for run in e.runs]
  if None in values:  # of a version that did not measure it
    return None
  bar = statistics.stdev(values) if len(values) > 1 else None
  return axis.Point(e.alpha, statistics.fmean(values), bar)


def _widths(ax: axes.Axes, alphas: Sequence[int]) -> None:
  ax.set_xscale('log', base=2)
  ax.set(xlabel='base channels α', xlim=(alphas[0] / 1.4, alphas[-1] * 1.4))
  ax.set_xticks(alphas)
  ax.xaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  ax.xaxis.set_minor_locator(ticker.NullLocator())
