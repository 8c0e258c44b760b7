"""The one place that measures: calls in turn, medians, a JSON file, a table.

The machines this runs on drift by up to a factor of two within minutes, so
what is compared runs interleaved, round by round, and only the ratios within
one run count; a time by itself says little, and times of two runs say nothing.
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

from lconv_jax import runs

# A candidate that is too slow for all rounds still has a median.
_MIN_ROUNDS = 3

# What changes times from outside.
_SETTINGS = (
  'GLIBC_TUNABLES',
  'OMP_WAIT_POLICY',
  'XLA_FLAGS',
  'XLA_PYTHON_CLIENT_ALLOCATOR',
  'XLA_PYTHON_CLIENT_MEM_FRACTION',
  'XLA_PYTHON_CLIENT_PREALLOCATE',
)


class Timing(NamedTuple):
  """How long a call took, over its rounds."""

  median_s: float
  quartiles_s: tuple[float, float] | None  # first and third; a sum has none
  rounds: int  # of a sum: the fewest

  def divided_by(self, count: int) -> 'Timing':
    """Returns the time of one of `count` like steps that a call makes."""
    quartiles = self.quartiles_s and tuple(q / count for q in self.quartiles_s)
    return Timing(self.median_s / count, quartiles, self.rounds)


def parser(module: str, doc: str) -> argparse.ArgumentParser:
  """Returns the command line of a benchmark, with `--out`.

  Args:
    module: what follows `python -m`.
    doc: its docstring.
  """
  summary, _, description = doc.partition('\n\n')
  result = argparse.ArgumentParser(
    prog=f'python -m {module}',
    description=f'{summary}\n\n{description}',
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  result.add_argument('--out', help='the JSON file to write')
  return result


def measure(
  calls: Mapping[str, Callable[[], Any]], rounds: int, seconds: float = 5.0
) -> dict[str, Timing]:
  """Measures calls in turn.

  Args:
    calls: by name; each returns when its result is ready.
    rounds: how often each is measured, after one call to warm up.
    seconds: what each may take in all. A call that would take longer runs in
      fewer rounds, spread evenly, but at least in three.
  """
  wanted = {}
  for name, call in calls.items():
    fit = int(seconds / _seconds(call))
    wanted[name] = min(rounds, max(_MIN_ROUNDS, fit))
  times = {name: [] for name in calls}
  for i in range(rounds):
    # To and fro, so that nobody always follows the same one, whose memory and
    # threads the next one finds.
    for name, call in list(calls.items())[:: -1 if i % 2 else 1]:
      if i * wanted[name] % rounds < wanted[name]:
        times[name].append(_seconds(call))
  return {name: _timing(t) for name, t in times.items()}


def total(rows: Iterable[Mapping[str, Any]]) -> dict[str, Timing]:
  """Returns the sum of each candidate's medians."""
  sums = {}
  for row in rows:
    name, t, rounds = row['candidate'], row['median_s'], row['rounds']
    if name in sums:
      t, rounds = sums[name].median_s + t, min(sums[name].rounds, rounds)
    sums[name] = Timing(t, None, rounds)
  return sums


def rows(
  timings: Mapping[str, Timing], against: Sequence[str], **labels: Any
) -> list[dict[str, Any]]:
  """Returns a row for each candidate, for `write` and `table`.

  Args:
    timings: by candidate, of one run.
    against: the candidates whose time a row's ratios are its own time over.
    **labels: what the timings are of.
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


def command() -> str:
  """Returns how this process was started."""
  # sys.argv has lost the -m by which a module was started.
  return shlex.join(['python', *sys.orig_argv[1:]])


def environment() -> dict[str, Any]:
  """Returns the command, the machine, and what else decides on times."""
  found = runs.environment() | {'command': command()}
  torch = sys.modules.get('torch')
  if torch is not None:
    found['torch'] = str(torch.__version__)
    found['torch_threads'] = torch.get_num_threads()
  return found | {k: os.environ[k] for k in _SETTINGS if k in os.environ}


def write(path: str | pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
  """Writes a JSON file of command, environment and rows."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  found = environment()
  content = {
    'command': found.pop('command'),
    'environment': found,
    'rows': list(rows),
  }
  runs.write_json(path, content)


def milliseconds(against: str) -> Callable[[Mapping[str, Any]], str]:
  """Returns what `table` shows of a row: its median and a ratio."""
  share = ratio(against)
  return lambda row: f'{1e3 * row["median_s"]:.2f} ({share(row)})'


def ratio(against: str) -> Callable[[Mapping[str, Any]], str]:
  """Returns what `table` shows of a row: its time over that of `against`."""
  return lambda row: f'{row["ratios"][against]:.2f}'


def table(
  rows: Sequence[Mapping[str, Any]],
  labels: Sequence[str],
  cell: Callable[[Mapping[str, Any]], str],
) -> str:
  """Returns aligned text: a line for each case, a column for each candidate.

  Args:
    rows: of `rows`; a candidate that has none for a case is left blank.
    labels: the keys that tell cases apart.
    cell: what is shown of a row.
  """
  names = list(dict.fromkeys(row['candidate'] for row in rows))
  cases = {}
  for row in rows:
    case = tuple(str(row[label]) for label in labels)
    cases.setdefault(case, {})[row['candidate']] = cell(row)
  lines = [[*labels, *names]]
  for case, cells in cases.items():
    lines.append([*case, *(cells.get(name, '') for name in names)])
  widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
  return '\n'.join(
    '  '.join(s.rjust(w) for s, w in zip(line, widths, strict=True))
    for line in lines
  )


def _seconds(call: Callable[[], Any]) -> float:
  start = time.perf_counter()
  call()
  return time.perf_counter() - start


def _timing(times: Sequence[float]) -> Timing:
  first, median, third = map(float, np.quantile(times, [0.25, 0.5, 0.75]))
  return Timing(median, (first, third), len(times))
