"""Lines and axes that several figures share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from matplotlib import axes, ticker

# Rows of metrics.jsonl: a row lacks what was not measured at that epoch.
Metrics = Sequence[Mapping[str, Any]]


class _Counts(ticker.EngFormatter):
  """Numbers of weights: a billion is B, as usual, where units have G."""

  ENG_PREFIXES: ClassVar = {**ticker.EngFormatter.ENG_PREFIXES, 9: 'B'}


class Point(NamedTuple):
  """A result, or the mean of results that differ in the seed."""

  x: float
  y: float
  deviation: float | None = None  # standard deviation over seeds
  finished: bool = True  # an unfinished result is drawn hollow


def share(ax: axes.Axes, metrics: Metrics, key: str, **look: Any) -> None:
  """Draws a share in [0, 1] as per cent against epochs, where it is known."""
  # A logarithmic axis has no place for 0.
  points = [
    (line['epoch'], 100 * line[key]) for line in metrics if line.get(key)
  ]
  if points:
    if len(points) == 1:
      look |= {'marker': 'o', 'ms': 4, 'clip_on': False}
    ax.plot(*zip(*points, strict=True), **look)


def points(ax: axes.Axes, results: Iterable[Point], **look: Any) -> None:
  """Draws a line through results, with hollow markers if unfinished."""
  results = sorted(results)
  if not results:
    return
  ax.plot([p.x for p in results], [p.y for p in results], **look)
  bars = [p for p in results if p.deviation is not None]
  if bars:
    xs, ys, errors, _ = zip(*bars, strict=True)
    ax.errorbar(
      xs, ys, errors, fmt='none', ecolor=look['color'], elinewidth=0.8,
      capsize=1.5,
    )  # fmt: skip
  open_ = [p for p in results if not p.finished]
  ax.plot(
    [p.x for p in open_],
    [p.y for p in open_],
    ls='',
    color=look['color'],
    marker=look['marker'],
    mfc='white',
  )


def epochs(ax: axes.Axes, metrics: Metrics) -> None:
  """Labels an axis of epochs that begins at 0."""
  last = max([1, *(line['epoch'] for line in metrics)])
  ax.set(xlabel='epoch', xlim=(0, last))
  ax.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))


def counts(axis: Any) -> None:
  """Writes numbers on a logarithmic axis as 1 k, 1 M, 1 B, 1 T."""
  axis.set_major_formatter(_Counts(places=0, sep=' '))
  axis.set_minor_formatter(ticker.NullFormatter())
