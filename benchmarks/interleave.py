"""Times calls in turn; writes and prints what they took.

The machines we have drift by up to a factor of two within minutes, so calls are
compared by interleaving them, round by round. Only the ratios within one run
count: a time by itself says little, and times of two runs cannot be compared.
"""

import argparse
import os
import pathlib
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import rich.console
import rich.table

from lconv_jax import runs

Row = dict[str, Any]

# A candidate that is too slow for all rounds still has a median.
_MIN_ROUNDS = 3

# Settings that change times from outside.
_SETTINGS = (
  'GLIBC_TUNABLES',
  'OMP_WAIT_POLICY',
  'XLA_FLAGS',
  'XLA_PYTHON_CLIENT_ALLOCATOR',
  'XLA_PYTHON_CLIENT_MEM_FRACTION',
  'XLA_PYTHON_CLIENT_PREALLOCATE',
)


class WrongResultError(Exception):
  """A candidate computes something else, so its time would mean nothing."""


class Timing(NamedTuple):
  """Time of a call, over its rounds."""

  median_s: float
  quartiles_s: tuple[float, float] | None  # first and third; None for a sum
  rounds: int  # of a sum: the smallest number of rounds


def parser(
  module: str, doc: str, rounds: int | None = None, out: bool = True
) -> argparse.ArgumentParser:
  """Returns the command line of a benchmark.

  Args:
    module: what follows `python -m`.
    doc: the module's docstring.
    rounds: the default of `--rounds`; None: there is no such option.
    out: whether there is the option `--out`.
  """
  result = argparse.ArgumentParser(
    prog=f'python -m {module}',
    description=doc,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  if out:
    result.add_argument('--out', help='the JSON file to write')
  if rounds:
    result.add_argument('--rounds', type=int, default=rounds)
  return result


def measure(
  calls: Mapping[str, Callable[[], Any]],
  rounds: int,
  seconds: float = 5.0,
  steps: int = 1,
) -> dict[str, Timing]:
  """Times calls in turn.

  Args:
    calls: by name; each returns when its result is ready.
    rounds: how often each call is timed, after one call to warm up.
    seconds: what each call may take in all. A call that would take longer runs
      in fewer rounds, spread evenly, but at least in three.
    steps: the number of equal steps in a call; times are those of one step.
  """
  wanted = {}
  for name, call in calls.items():
    fit = int(seconds / _seconds(call))
    wanted[name] = min(rounds, max(_MIN_ROUNDS, fit))
  times = {name: [] for name in calls}
  for i in range(rounds):
    # To and fro, so that a call does not always follow the same one, whose
    # memory and threads it finds.
    for name, call in list(calls.items())[:: -1 if i % 2 else 1]:
      if i * wanted[name] % rounds < wanted[name]:
        times[name].append(_seconds(call) / steps)
  return {name: _timing(t) for name, t in times.items()}


def compare(
  calls: Mapping[str, Callable[[], Any]],
  rounds: int,
  against: Sequence[str],
  labels: Mapping[str, Any],
  seconds: float = 5.0,
  steps: int = 1,
) -> list[Row]:
  """Times calls in turn and returns a row for each: `rows` of `measure`."""
  return rows(measure(calls, rounds, seconds, steps), against, **labels)


def rows(
  timings: Mapping[str, Timing], against: Sequence[str], **labels: Any
) -> list[Row]:
  """Returns a row for each candidate, for `write` and `show`.

  Args:
    timings: by candidate, of one run.
    against: the candidates whose times divide a row's own time in `ratios`.
    **labels: describe what was timed.
  """
  return [
    {
      **labels,
      'candidate': name,
      **timing._asdict(),
      'ratios': {a: timing.median_s / timings[a].median_s for a in against},
    }
    for name, timing in timings.items()
  ]


def total(rows: Iterable[Mapping[str, Any]]) -> dict[str, Timing]:
  """Returns the sum of each candidate's medians."""
  sums = {}
  for row in rows:
    name, t, rounds = row['candidate'], row['median_s'], row['rounds']
    if name in sums:
      t, rounds = sums[name].median_s + t, min(sums[name].rounds, rounds)
    sums[name] = Timing(t, None, rounds)
  return sums


def environment() -> dict[str, Any]:
  """Returns the machine, versions, commit and settings that times depend on."""
  found = runs.environment()
  del found['command']  # `command` knows it better
  torch = sys.modules.get('torch')
  if torch is not None:
    found['torch'] = str(torch.__version__)
    found['torch_threads'] = torch.get_num_threads()
  return found | {k: os.environ[k] for k in _SETTINGS if k in os.environ}


def content(
  rows: Sequence[Row], environment: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns rows with the command that made them and its environment."""
  # sys.argv lacks the -m by which a module was started.
  command = shlex.join(['python', *sys.orig_argv[1:]])
  return {'command': command, 'environment': environment, 'rows': rows}


def write(path: str | pathlib.Path | None, content: Mapping[str, Any]) -> None:
  """Writes a JSON file and the folder that it is in; None writes nothing."""
  if path:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(pathlib.Path(path), content)


def finish(path: str | None, rows: Sequence[Row]) -> None:
  """Writes the rows of a benchmark to the file that `--out` names, if any."""
  write(path, content(rows, environment()))


def milliseconds(against: str) -> Callable[[Row], str]:
  """Returns what `show` prints of a row: its median and a ratio."""
  share = ratio(against)
  return lambda row: f'{1e3 * row["median_s"]:.2f} ({share(row)})'


def ratio(against: str) -> Callable[[Row], str]:
  """Returns what `show` prints of a row: its time over that of `against`."""
  return lambda row: f'{row["ratios"][against]:.2f}'


def show(
  title: str,
  rows: Sequence[Row],
  labels: Sequence[str],
  cell: Callable[[Row], str],
) -> None:
  """Prints a line for each case, with a column for each candidate.

  Args:
    title: is printed above.
    rows: of `rows`; a candidate without a row for a case is left blank.
    labels: the keys that tell cases apart.
    cell: returns what is shown of a row.
  """
  names = list(dict.fromkeys(row['candidate'] for row in rows))
  cases = {}
  for row in rows:
    case = tuple(str(row[label]) for label in labels)
    cases.setdefault(case, {})[row['candidate']] = cell(row)
  print_table(
    title,
    [*labels, *names],
    [
      [*case, *(c.get(name, '') for name in names)] for case, c in cases.items()
    ],
  )


def print_table(
  title: str, columns: Sequence[str], lines: Iterable[Sequence[str]]
) -> None:
  """Prints a table, which a terminal that is too narrow wraps by itself."""
  table = rich.table.Table(box=None)
  for name in columns:
    table.add_column(name, justify='right', no_wrap=True)
  for line in lines:
    table.add_row(*line)
  console = rich.console.Console(width=1000, highlight=False)
  console.print(title, markup=False)
  console.print(table)


def _seconds(call: Callable[[], Any]) -> float:
  start = time.perf_counter()
  call()
  return time.perf_counter() - start


def _timing(times: Sequence[float]) -> Timing:
  first, median, third = map(float, np.quantile(times, [0.25, 0.5, 0.75]))
  return Timing(median, (first, third), len(times))
