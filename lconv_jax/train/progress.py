"""The line that a person reads while a run goes on, and its clock."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from lconv_jax import runs

CHUNK_SECONDS = 1.0  # how long the host leaves the devices alone
CLEAR = '\r\033[K'  # a terminal's line
SILENCE = 60.0  # seconds without a line, where the output is not a terminal


class Clock:
  """Clock of a run: how fast it trains, and how much time is left."""

  def __init__(self, seconds: float = 0.0) -> None:
    """Starts the clock of a run that has taken `seconds` before."""
    self._begin = time.perf_counter() - seconds
    self._chunks = 0
    self._chunk_begin = self._saved = time.perf_counter()
    self._epoch = [0, 0.0]  # steps and seconds of training since `lap`
    self._steps = [0, 0.0]  # the same, since the first chunk
    self._step_seconds = 0.0
    self._waited = time.perf_counter()  # until then
    # Seconds between chunks, such as for an evaluation, of each epoch so far.
    self._between = [0.0]

  @property
  def warm(self) -> bool:
    """True once the first chunk, which compiles, and the second are done."""
    return self._chunks >= 2

  def chunk(self) -> int:
    """Returns the number of steps until the host looks at the run again."""
    self._chunk_begin = time.perf_counter()
    self._wait(self._chunk_begin)
    if not self.warm:  # the first compiles, the second is measured
      return 1
    steps = max(1, round(CHUNK_SECONDS / self._step_seconds))
    return int(runs.hosts.gather([steps])[0, 0])  # the first process's

  def tick(self, first: int, stop: int) -> None:
    """Notes that steps `first` to `stop` have been taken since `chunk`."""
    now = time.perf_counter()
    self._chunks += 1
    self._waited = now
    if self._chunks == 1:
      return
    steps, seconds = stop - first, now - self._chunk_begin
    self._step_seconds = seconds / steps
    for total in (self._epoch, self._steps):
      total[0] += steps
      total[1] += seconds

  def lap(self) -> None:
    """Notes that an epoch has ended, and forgets its speed."""
    self._epoch = [0, 0.0]
    self._wait(time.perf_counter())
    self._between.append(0.0)

  def _wait(self, now: float) -> None:
    self._between[-1] += now - self._waited
    self._waited = now

  def steps_per_second(self) -> float:
    """Returns the speed of training in this epoch, without compilation."""
    steps, seconds = self._epoch
    return steps / seconds if steps else 0.0

  def left(self, steps: int, epochs: int) -> float | None:
    """Returns the seconds that the rest will take, None if that is unknown.

    The first epoch's evaluation does not count, as it compiles.

    Args:
      steps: how many are left.
      epochs: how many are left.
    """
    done, seconds = self._steps
    if not done:
      return None
    # The epoch that goes on is not known yet.
    between = self._between[1:-1]
    each = sum(between) / len(between) if between else 0.0
    return steps * seconds / done + epochs * each

  def save_is_due(self) -> bool:
    """Returns whether the last checkpoint is `runs.SAVE_SECONDS` old."""
    old = time.perf_counter() - self._saved >= runs.SAVE_SECONDS
    return bool(runs.hosts.gather([old])[0, 0])

  def saved(self) -> None:
    """Notes that a checkpoint has been saved."""
    self._saved = time.perf_counter()

  def seconds(self) -> float:
    """Returns the age of the run."""
    return time.perf_counter() - self._begin


class Display:
  """Display of lines that stay, and of a line that the next one replaces."""

  def __init__(self) -> None:
    """Shows nothing yet."""
    self._terminal = sys.stdout.isatty()
    self._printed = time.perf_counter()

  def line(self, text: str) -> None:
    """Prints a line that stays."""
    runs.hosts.say(f'{CLEAR}{text}' if self._terminal else text)
    self._printed = time.perf_counter()

  def passing(self, text: str) -> None:
    """Shows a line for now; in a file, prints it after a long silence only."""
    if self._terminal:
      # A line that is wrapped could not be replaced.
      width = shutil.get_terminal_size().columns - 1
      runs.hosts.say(f'{CLEAR}{text[:width]}', end='')
    elif time.perf_counter() - self._printed > SILENCE:
      self.line(text)


def line(
  rows: Sequence[dict[str, Any]], epochs: int, seconds_left: float | None
) -> str:
  """Returns the line that tells a person the metrics of runs.

  Of several runs, which are at the same step, it tells the range. How long the
  rest will take is left out while it is not known.
  """
  row = rows[0]
  parts = [f'epoch {round(row["epoch"], 2):g}/{epochs}']
  if rows[1:]:
    parts.append(f'{len(rows)} runs')
  parts.append(f'loss {_range([r["train/loss"] for r in rows], ".3f")}')
  for split in ('train', 'validation', 'test'):
    if f'{split}/accuracy' in row:
      values = [r[f'{split}/accuracy'] for r in rows]
      parts.append(f'{split} {_range(values, ".2%")}')
  kept = {
    key.removeprefix('nonzero/'): [r[key] for r in rows]
    for key in row
    if key.startswith('nonzero/')
  }
  if any(value < 1 for values in kept.values() for value in values):
    shares = (f'{layer} {_range(kept[layer])}' for layer in kept)
    parts.append(f'non-zero {" ".join(shares)}')
  speed = sum(r['images_per_second'] for r in rows)
  parts.append(f'{speed:,.0f} images/s')
  if seconds_left is not None:
    parts.append(f'{duration(seconds_left)} left')
  return '  '.join(parts)


def _range(values: Sequence[float], spec: str | None = None) -> str:
  ends = [
    format(x, spec) if spec else share(x) for x in (min(values), max(values))
  ]
  return ends[0] if ends[0] == ends[1] else '–'.join(ends)


def share(x: float) -> str:
  """Returns a share in per cent, with at most three significant digits."""
  return f'{100 * x:.3g}%'


def duration(seconds: float) -> str:
  """Returns e.g. 1h02m, 3m05s or 7s."""
  minutes, s = divmod(round(seconds), 60)
  hours, m = divmod(minutes, 60)
  if hours:
    return f'{hours}h{m:02}m'
  return f'{m}m{s:02}s' if m else f'{s}s'
