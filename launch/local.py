r"""Runs a grid on this machine.

  python -m launch.local beta_lasso:mini --root=runs/beta_lasso
  python -m launch.local table1:mini --root=runs/table1 --seeds=0,1,2

All points train in one process, those that differ in numbers alone side by side
(main.py --grid). With --jobs=N each has a process of its own, N at a time. The
same command continues, and skips finished points. ROOT/logs has the output of
the processes.
"""

import argparse
import contextlib
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

import rich.console
import rich.live

from launch import options, roots, status, sweep, together
from launch.status import State
from lconv_jax import runs
from lconv_jax.report import command

_LOOK = 0.5  # seconds between two looks at the processes
# The last is what closing a terminal sends.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SAME = 1.0  # SLURM sends SIGTERM twice within milliseconds
_SHOW = 2.0  # seconds between two looks at the run folders


class PointsFailed(SystemExit):
  """The end of a launcher some of whose points have failed."""


class Launcher:
  """Processes that train points, and their display."""

  def __init__(self, root: pathlib.Path, whole: sweep.Sweep) -> None:
    """Starts nothing yet."""
    self.root, self.whole = root, whole
    self.failed: dict[str, str] = {}  # why, by the point's name
    self.received: signal.Signals | None = None
    self._when = 0.0
    self._running: dict[subprocess.Popen, tuple[str, str | None]] = {}
    self._console = rich.console.Console()
    self._live: rich.live.Live | None = None
    self._shown = 0.0  # when
    self._told = set(self.finished())

  def finished(self) -> list[str]:
    """Returns the names of points that have reached their end."""
    return [n for n in self.whole.points if runs.done(self.root / n)]

  def left(self) -> list[str]:
    """Returns the names of points that are neither finished nor failed."""
    gone = {*self.finished(), *self.failed}
    return [name for name in self.whole.points if name not in gone]

  @contextlib.contextmanager
  def working(self) -> Iterator[None]:
    """Shows the table, and passes signals on, while processes run."""
    previous = {s: signal.signal(s, self._stop) for s in _SIGNALS}
    if self._console.is_terminal:
      self._live = rich.live.Live(console=self._console, auto_refresh=False)
      self._live.start()
    try:
      yield
    finally:
      self._show(last=True)
      if self._live:
        self._live.stop()
      for s, handler in previous.items():
        signal.signal(s, handler)

  def run(
    self, commands: Mapping[str, Sequence[str]], gpus: Sequence[str | None]
  ) -> None:
    """Runs commands, whose output goes to ROOT/logs/NAME.log.

    Args:
      commands: by name; those that fail are noted in `failed`.
      gpus: a GPU, or None for all, for each of the processes at a time.
    """
    (self.root / 'logs').mkdir(exist_ok=True)
    waiting, free = list(commands), list(gpus)
    while self._running or (waiting and not self.received):
      while waiting and free and not self.received:
        name = waiting.pop(0)
        self._start(name, commands[name], free.pop(0))
      time.sleep(_LOOK)
      if time.monotonic() - self._shown > _SHOW:
        self._show()
      for process in [p for p in self._running if p.poll() is not None]:
        name, gpu = self._running.pop(process)
        free.append(gpu)
        if process.returncode and not self.received:
          self.failed[name] = self._last_line(name, process.returncode)

  def _start(self, name: str, command: Sequence[str], gpu: str | None) -> None:
    environ = {'CUDA_VISIBLE_DEVICES': gpu} if gpu is not None else {}
    with (self.root / 'logs' / f'{name}.log').open('a') as log:
      process = subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=os.environ | environ,
        start_new_session=True,  # only this process gets Ctrl-C
      )
    self._running[process] = name, gpu
    if self.received:  # while the process started
      process.terminate()

  def _last_line(self, name: str, status: int) -> str:
    text = (self.root / 'logs' / f'{name}.log').read_text(errors='replace')
    last = (text.strip().splitlines() or ['it said nothing'])[-1]
    if last.startswith('error: '):
      return last.removeprefix('error: ')
    return f'the process ended with status {status}: {last}'

  def _stop(self, number: int, frame: FrameType | None) -> None:
    """Lets processes save; the second signal kills them."""
    now = time.monotonic()
    if self.received is None:
      self.received, self._when = signal.Signals(number), now
    again = now - self._when > _SAME
    for process in self._running:
      with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL if again else signal.SIGTERM)

  def _show(self, last: bool = False) -> None:
    self._shown = time.monotonic()
    statuses = {n: status.read(self.root / n) for n in self.whole.points}
    for name in self.failed.keys() & statuses.keys():
      if statuses[name].state is not State.FINISHED:
        statuses[name] = statuses[name]._replace(state=State.FAILED, left=None)
    if self._live:
      room = None if last else max(3, self._console.height - 4)
      self._live.update(status.table(statuses, room), refresh=True)
      return
    for name, s in statuses.items():
      if s.state is State.FINISHED and name not in self._told:
        self._told.add(name)
        accuracy = s.best.get('validation/accuracy')
        text = '' if accuracy is None else f', validation {accuracy:.2%}'
        count = f'{len(self._told)} of {len(statuses)}'
        print(f'{name} is finished{text} ({count}).', flush=True)


def train_together(launcher: Launcher, args: argparse.Namespace) -> None:
  """Trains all points in one process; after a crash, some are left."""
  (launcher.root / together.FAILED).unlink(missing_ok=True)
  launcher.run({'together': _together(launcher, args)}, [None])
  crashed = launcher.failed.pop('together', None)
  reasons = runs.read_json(launcher.root / together.FAILED)
  launcher.failed = reasons or {}
  if reasons is None and launcher.left() and not launcher.received:
    print(
      f'Training all points together has failed: {crashed}\n'
      'The points that are left train in processes of their own.',
      flush=True,
    )


def train_apart(launcher: Launcher, gpus: Sequence[str | None]) -> None:
  """Trains the points that are left, each in a process of its own."""
  commands = {
    name: sweep.command(launcher.whole, name, launcher.root)
    for name in launcher.left()
  }
  launcher.run(commands, gpus)


def main(argv: Sequence[str] | None = None) -> None:
  """Trains the points; raises PointsFailed, an exit with 1, if some fail."""
  parser = options.parser('launch.local', __doc__)
  parser.add_argument(
    '--jobs',
    type=command.positive,
    default=0,
    help='a process for each point, so many at a time; default: one for all',
  )
  parser.add_argument(
    '--gpus',
    type=lambda word: word.split(','),
    default=[],
    help='such as 0,1,2,3: a process for each, which sees no other GPU',
  )
  parser.add_argument(
    '--at_once',
    type=command.positive,
    default=0,
    help='points side by side in one process; default: as many as fit',
  )
  args, whole = options.parse(parser, argv)
  apart = args.jobs > 0 or args.gpus
  with contextlib.ExitStack() as stack:
    with options.one_sentence():
      launcher = Launcher(args.root, whole)
      roots.merge(args.root, whole, runs.FREE)
      if args.dry_run:
        _print_commands(launcher, args, apart)
        return
      stack.enter_context(roots.only(args.root, '.launcher.lock'))
      with roots.only(args.root, together.LOCK):
        pass  # a main.py --grid that a killed launcher left behind
      roots.claim(args.root, whole, runs.FREE)
    stack.enter_context(launcher.working())
    if not apart and len(launcher.left()) > 1:
      train_together(launcher, args)
    if launcher.left() and not launcher.received:
      train_apart(launcher, args.gpus or [None] * max(1, args.jobs))
  _conclude(launcher)


def _conclude(launcher: Launcher) -> None:
  finished, total = len(launcher.finished()), len(launcher.whole.points)
  if launcher.received:
    print(
      f'{launcher.received.name}: {finished} of {total} points are finished, '
      'the others are saved; the same command continues.'
    )
    sys.exit(128 + launcher.received)
  for line in together.why(launcher.failed):
    print(f'failed: {line}', file=sys.stderr)
  if launcher.failed:
    raise PointsFailed(
      f'error: {len(launcher.failed)} of {total} points failed, {finished} are '
      f'finished; see {launcher.root}/logs. The same command tries again.'
    )
  print(
    f'All {total} points are finished; python -m launch.select '
    f'{shlex.quote(str(launcher.root))} names the winner.'
  )


def _together(launcher: Launcher, args: argparse.Namespace) -> list[str]:
  command = sweep.command_for_all(launcher.whole, launcher.root)
  if args.seeds:
    command.append(f'--seeds={",".join(map(str, args.seeds))}')
  return [*command, f'--at_once={args.at_once}']


def _print_commands(
  launcher: Launcher, args: argparse.Namespace, apart: bool
) -> None:
  if not apart:
    print('# All in one process:', shlex.join(_together(launcher, args)))
    print('# or each in a process of its own (--jobs=1):')
  for name in launcher.left():
    command = sweep.command(launcher.whole, name, launcher.root)
    print(shlex.join(command))


if __name__ == '__main__':
  main()
