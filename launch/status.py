"""Prints the state of every point of a grid.

  python -m launch.status ROOT

It reads the run folders, whether this machine trains them or a cluster.
"""

import contextlib
import enum
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import rich.console
import rich.markup
import rich.table

from launch import options, roots
from lconv_jax import errors, runs, train


class State(enum.Enum):
  """State of a point; a long table lists them in this order."""

  RUNNING = 'running'
  FAILED = 'failed'
  WAITING = 'waiting'  # to begin, or to be continued
  FINISHED = 'finished'


class Status(NamedTuple):
  """State and progress of a run, as its folder has them."""

  state: State
  epoch: float = 0.0  # of the last evaluation
  epochs: int | None = None  # None: not begun
  best: Mapping[str, Any] = {}  # metrics of the best epoch by validation so far
  left: float | None = None  # seconds to the end; None: not running
  error: str = ''  # why it failed


def read(folder: pathlib.Path) -> Status:
  """Returns the status of the run in a folder, which may not exist."""
  error = _error(folder)
  try:
    if not (folder / 'config.json').exists():
      return Status(State.FAILED if error else State.WAITING, error=error)
    run = runs.read(folder)
  except (OSError, errors.UsageError) as e:
    return Status(State.FAILED, error=error or errors.one_line(e))
  epochs, rows = run.config.train.epochs, run.metrics
  if run.done:
    return Status(State.FINISHED, epochs, epochs, run.done['best'])
  best = max(rows, key=lambda r: r.get('validation/accuracy', 0.0), default={})
  epoch = rows[-1]['epoch'] if rows else 0.0
  if error:
    return Status(State.FAILED, epoch, epochs, best, error=error)
  if not runs.in_use(folder):
    return Status(State.WAITING, epoch, epochs, best)
  left = None
  if epoch and 'seconds' in rows[-1]:
    left = rows[-1]['seconds'] / epoch * (epochs - epoch)
  return Status(State.RUNNING, epoch, epochs, best, left)


def table(
  statuses: Mapping[str, Status], lines: int | None = None
) -> rich.table.Table:
  """Returns a table of points for a terminal.

  Args:
    statuses: of all points, by name.
    lines: the number of points that there is room for; if that is too small,
      running points come first. None: there is room for all.
  """
  names = list(statuses)
  if lines is not None and len(names) > lines:
    order = list(State)
    names.sort(key=lambda name: order.index(statuses[name].state))
  shown = names[:lines]
  counts = [
    f'{n} {state.value}'
    for state in State
    if (n := sum(s.state is state for s in statuses.values()))
  ]
  if hidden := len(names) - len(shown):
    counts.append(f'{hidden} not shown')
  made = rich.table.Table(
    box=None,
    caption=f'{len(names)} points: {", ".join(counts)}',
    caption_justify='left',
  )
  made.add_column('point', overflow='fold')
  for column in ('state', 'epoch', 'validation (%)', 'left'):
    made.add_column(column, justify='right', no_wrap=True)
  for name in shown:
    s = statuses[name]
    validation = s.best.get('validation/accuracy')
    made.add_row(
      rich.markup.escape(name),
      s.state.value,
      f'{s.epoch:g}/{s.epochs}' if s.epochs else '–',
      '–' if validation is None else f'{100 * validation:.2f}',
      '–' if s.left is None else train.progress.duration(s.left),
    )
  return made


def _error(folder: pathlib.Path) -> str:
  with contextlib.suppress(OSError):
    text = (folder / runs.ERROR).read_text(encoding='utf-8', errors='replace')
    return errors.printable(text.strip())
  return ''


def main(argv: Sequence[str] | None = None) -> None:
  """Prints the table of a root, and the error of each point that failed.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  if len(argv) != 1 or argv[0].startswith('-'):
    sys.exit(__doc__)
  root = pathlib.Path(argv[0])
  with options.one_sentence():
    names = roots.read(root).points
  statuses = {name: read(root / name) for name in names}
  rich.console.Console().print(table(statuses))
  for name, s in statuses.items():
    if s.state is State.FAILED:
      print(f'{name}: {s.error}')


if __name__ == '__main__':
  main()
