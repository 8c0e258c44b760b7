"""Curves over a run: accuracy, and non-zero weights of each layer."""

import textwrap
from collections.abc import Sequence

from matplotlib import axes, figure, ticker

from lconv_jax.report import axis, style

# A label and the rows of metrics.jsonl for each run.
Runs = Sequence[tuple[str, axis.Metrics]]

_KEY = 'nonzero/'
_NAMED = 4  # layers in a legend, besides the last one


@style.look()
def draw_curves(runs: Runs) -> figure.Figure:
  """Draws accuracy, and non-zero weights of each layer, against epochs.

  Args:
    runs: a panel each, besides the one with all accuracies.
  """
  columns = min(len(runs) + 1, 3)
  lines = -(-(len(runs) + 1) // columns)
  size = style.COLUMN * columns, 2.9 * lines
  fig = figure.Figure(size, layout='constrained')
  fig.get_layout_engine().set(wspace=0.06, hspace=0.06)
  first, *rest = (
    fig.add_subplot(lines, columns, i + 1) for i in range(len(runs) + 1)
  )
  _accuracy(first, runs)
  nonzero(fig, rest, runs, title_width=34)
  return fig


def nonzero(
  fig: figure.Figure,
  panels: Sequence[axes.Axes],
  runs: Runs,
  title_width: int,
) -> None:
  """Draws the non-zero weights of runs into panels with the same scale.

  Args:
    fig: has a constrained layout; gets the legend if all panels share one.
    panels: one for each run.
    runs: as in `draw_curves`.
    title_width: of a panel's title, in letters.
  """
  legends = {}
  for ax, (label, metrics) in zip(panels, runs, strict=True):
    _layers(ax, metrics)
    ax.set_title(textwrap.fill(label, title_width))
    names = tuple(line.get_label() for line in ax.lines)
    if names:
      legends.setdefault(names, ax)
  if len(legends) == 1:  # of all panels, where no line is in its way
    (ax,) = legends.values()
    handles, names = ax.get_legend_handles_labels()
    fig.legend(handles, names, loc='outside lower right', ncols=len(names))
  else:
    for ax in legends.values():
      ax.legend()
  low = min([10, *(ax.get_ylim()[0] for ax in panels)])
  for ax in panels:
    ax.set_ylim(low, 130)


def _accuracy(ax: axes.Axes, runs: Runs) -> None:
  for i, (label, metrics) in enumerate(runs):
    look = {'color': style.COLORS[i % len(style.COLORS)]}
    axis.share(ax, metrics, 'test/accuracy', label=label, **look)
    axis.share(ax, metrics, 'train/accuracy', ls='--', lw=0.9, **look)
  ax.set(title='Accuracy', ylabel='accuracy (%)')
  axis.epochs(ax, [line for _, metrics in runs for line in metrics])
  ax.plot([], [], '-', color='0.4', label='test')
  ax.plot([], [], '--', color='0.4', lw=0.9, label='train (augmented batches)')
  ax.legend()


def _layers(ax: axes.Axes, metrics: axis.Metrics) -> None:
  names = dict.fromkeys(key for line in metrics for key in line)
  keys = [name for name in names if name.startswith(_KEY)]
  every = -(-len(keys) // _NAMED)
  for i, key in enumerate(keys):
    # From dark and wide to light and narrow: depth is an order, and lines that
    # coincide can still be told apart.
    depth = i / max(1, len(keys) - 1)
    look = {'color': style.LAYERS(0.9 * depth), 'lw': 2.6 - 1.8 * depth}
    named = i % every == 0 or i == len(keys) - 1
    label = key.removeprefix(_KEY) if named else '_'
    axis.share(ax, metrics, key, label=label, **look)
  ax.set_ylabel('non-zero weights (%)')
  axis.epochs(ax, metrics)
  ax.set_yscale('log')
  ax.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  ax.yaxis.set_minor_formatter(ticker.NullFormatter())
