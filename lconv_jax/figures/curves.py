"""Curves over a run: accuracy, and non-zero weights (figure 3)."""

import pathlib
import textwrap
from collections.abc import Sequence

from matplotlib import axes, figure, ticker

from lconv_jax.figures import axis, style

Runs = Sequence[tuple[str, axis.Metrics]]

_KEY = 'nonzero/'
_NAMED = 4  # layers in a legend, besides the last one


def curves(
  runs: Runs, path: str | pathlib.Path, caption: str | None = None
) -> style.Paths:
  """Draws accuracy, and non-zero weights of each layer, against epochs.

  Args:
    runs: a label and the lines of metrics.jsonl for each run; a line lacks
      what was not measured at that epoch.
    path: of the PNG; the others stand beside it.
    caption: as `style.save` takes it.

  Returns:
    The paths of what was written.
  """
  columns = min(len(runs) + 1, 3)
  lines = -(-(len(runs) + 1) // columns)
  with style.look():
    size = style.COLUMN * columns, 2.9 * lines
    fig = figure.Figure(size, layout='constrained')
    fig.get_layout_engine().set(wspace=0.06, hspace=0.06)
    first, *rest = (
      fig.add_subplot(lines, columns, i + 1) for i in range(len(runs) + 1)
    )
    _accuracy(first, runs)
    _panels(fig, rest, runs, title_width=34)
    return style.save(fig, path, caption)


def nonzero(
  runs: Runs,
  epochs: Sequence[int],
  path: str | pathlib.Path,
  caption: str | None = None,
) -> style.Paths:
  """Draws the non-zero weights of each layer against epochs (figure 3).

  Args:
    runs: as in `curves`.
    epochs: how many each run trains, so that one shows that is not finished.
    path: of the PNG; the others stand beside it.
    caption: as `style.save` takes it.

  Returns:
    The paths of what was written.
  """
  columns = 1 if len(runs) < 3 else 2
  lines = -(-len(runs) // columns)
  with style.look():
    fig = figure.Figure((style.COLUMN, 2.2 * lines), layout='constrained')
    panels = [fig.add_subplot(lines, columns, i + 1) for i in range(len(runs))]
    _panels(fig, panels, runs, title_width=36 // columns)
    for ax, last in zip(panels, epochs, strict=True):
      ax.set_xlim(0, last)
    for ax in panels:
      if not ax.get_subplotspec().is_first_col():
        ax.set_ylabel('')
    return style.save(fig, path, caption)


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


def _panels(
  fig: figure.Figure,
  panels: Sequence[axes.Axes],
  runs: Runs,
  title_width: int,
) -> None:
  """Draws a panel for each run, on one scale: runs compare at a glance."""
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


def _layers(ax: axes.Axes, metrics: axis.Metrics) -> None:
  names = dict.fromkeys(key for line in metrics for key in line)
  keys = [name for name in names if name.startswith(_KEY)]
  every = -(-len(keys) // _NAMED)
  for i, key in enumerate(keys):
    # From dark and wide to light and narrow: depth is an order, and lines
    # that lie on each other can still be told apart.
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
