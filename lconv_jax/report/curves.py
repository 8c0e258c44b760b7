"""Curves over a run: accuracy, and non-zero weights of each layer."""

from collections.abc import Sequence

from matplotlib import axes, figure, ticker

from lconv_jax.report import axis, style

# A label and the rows of metrics.jsonl for each run.
Runs = Sequence[tuple[str, axis.Metrics]]

_KEY = 'nonzero/'
_NAMED = 4  # layers in a legend, besides the last one
_INSIDE = 4  # runs whose legend has room in the panel


@style.look()
def draw_curves(runs: Runs, augmented: bool = False) -> figure.Figure:
  """Draws accuracy, and non-zero weights of each layer, against epochs.

  With more runs than colours, training accuracies are left out.

  Args:
    runs: all have their accuracies in the first panel; runs that have set
      weights to zero have a panel each.
    augmented: whether training accuracies are on augmented images.
  """
  sparse = [run for run in runs if _has_zeros(run[1])]
  columns = min(len(sparse) + 1, 3)
  lines = -(-(len(sparse) + 1) // columns)
  wide = max(1, columns - 1)  # columns of a legend above the panels
  entries = len(runs) + (1 if _many(runs) else 3)
  above = -(-entries // wide) if len(runs) > _INSIDE else 0  # its lines
  size = style.COLUMN * columns, 2.9 * lines + 0.15 * above
  fig = figure.Figure(size, layout='constrained')
  fig.get_layout_engine().set(wspace=0.06, hspace=0.06)
  first, *rest = (
    fig.add_subplot(lines, columns, i + 1) for i in range(len(sparse) + 1)
  )
  _accuracy(first, runs, augmented)
  handles, names = first.get_legend_handles_labels()
  if above:
    fig.legend(handles, names, loc='outside upper left', ncols=wide)
  else:
    first.legend()
  nonzero(fig, rest, sparse, title_width=34)
  breaks = rest[0].get_title(loc='left').count('\n') if rest else 0
  first.set_title('Accuracy' + '\n' * breaks)  # level with its neighbours
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
  titles = style.titles([label for label, _ in runs], title_width)
  for ax, title, (_, metrics) in zip(panels, titles, runs, strict=True):
    _layers(ax, metrics)
    ax.set_title(title)
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


def _has_zeros(metrics: axis.Metrics) -> bool:
  shares = (
    v for line in metrics for k, v in line.items() if k.startswith(_KEY)
  )
  return any(share < 1 for share in shares)


def _many(runs: Runs) -> bool:
  return len(runs) > len(style.COLORS)


def _accuracy(ax: axes.Axes, runs: Runs, augmented: bool) -> None:
  many = _many(runs)
  for i, (label, metrics) in enumerate(runs):
    look = {'color': style.COLORS[i % len(style.COLORS)]}
    more = {**style.distinct(i), 'markevery': 0.2} if many else {}
    axis.share(ax, metrics, 'test/accuracy', label=label, **(look | more))
    if not many:
      axis.share(ax, metrics, 'train/accuracy', ls='--', lw=0.9, **look)
  ax.set(ylabel='test accuracy (%)' if many else 'accuracy (%)')
  axis.epochs(ax, [line for _, metrics in runs for line in metrics])
  if not many:
    ax.plot([], [], '-', color='0.4', label='test')
    kind = 'train (augmented images)' if augmented else 'train'
    ax.plot([], [], '--', color='0.4', lw=0.9, label=kind)
  if any([_mark_best(ax, i, metrics) for i, (_, metrics) in enumerate(runs)]):
    ax.plot([], [], 'o', color='0.4', label='best in validation')


def _mark_best(ax: axes.Axes, i: int, metrics: axis.Metrics) -> bool:
  """Marks the epoch that is reported; returns whether it is known."""
  keys = 'validation/accuracy', 'test/accuracy'
  measured = [line for line in metrics if all(key in line for key in keys)]
  if not measured:
    return False
  best = max(measured, key=lambda line: line[keys[0]])
  color = style.COLORS[i % len(style.COLORS)]
  look = {'color': color, 'mec': 'white', 'mew': 0.5, 'ms': 5}
  ax.plot(best['epoch'], 100 * best[keys[1]], 'o', clip_on=False, **look)
  return True


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
