r"""Runs a grid on this machine.

  python -m launch.local beta_lasso:mini --root=runs/beta_lasso
  python -m launch.local table1:mini --root=runs/table1 --seeds=0,1,2

All points train in one process, those that differ in numbers alone side by side
(main.py --grid); with --jobs=N each has a process of its own, N at a time. The
same command continues: finished points are skipped. What processes print is in
ROOT/logs.
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
from collections.abc import Iterator, Sequence
from types import FrameType

import rich.console
import rich.live

from launch import options, status, sweep, together
from launch.status import State
from lconv_jax import errors, runs

_LOOK = 0.5  # seconds between two looks at the processes
# A terminal that is closed sends the last one.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SAME = 1.0  # SLURM sends SIGTERM twice within milliseconds
_SHOW = 2.0  # seconds between two looks at the run folders


class Launcher:
  """Processes that train points, and what a person sees of them."""

  def __init__(self, root: pathlib.Path, whole: sweep.Sweep) -> None:
    """Nothing runs yet."""
    self.root, self.whole = root, whole
    self.failed: dict[str, str] = {}  # why, by the point's name
    self.received: signal.Signals | None = None
    self._when = 0.0
    self._processes: dict[subprocess.Popen, str] = {}  # and their names
    self._console = rich.console.Console()
    self._live: rich.live.Live | None = None
    self._shown = 0.0  # when
    self._told = set(self.finished())

  def finished(self) -> list[str]:
    """Returns the names of points that have got to their end."""
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

  def start(
    self, name: str, command: Sequence[str], gpu: str | None = None
  ) -> subprocess.Popen:
    """Starts a process whose output goes to ROOT/logs/NAME.log."""
    environ = dict(os.environ)
    if gpu is not None:
      environ['CUDA_VISIBLE_DEVICES'] = gpu
    logs = self.root / 'logs'
    logs.mkdir(exist_ok=True)
    with (logs / f'{name}.log').open('a') as log:
      process = subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environ,
        start_new_session=True,  # Ctrl-C is for us alone, who pass it on
      )
    self._processes[process] = name
    if self.received:  # between the two lines above
      process.terminate()
    return process

  def look(self) -> list[subprocess.Popen]:
    """Waits a moment, and returns the processes that have ended since."""
    time.sleep(_LOOK)
    if time.monotonic() - self._shown > _SHOW:
      self._show()
    ended = [p for p in self._processes if p.poll() is not None]
    for process in ended:
      del self._processes[process]
    return ended

  def last_line(self, name: str) -> str:
    """Returns what a process said last."""
    text = (self.root / 'logs' / f'{name}.log').read_text(errors='replace')
    return (text.strip().splitlines() or ['it said nothing'])[-1]

  def _stop(self, number: int, frame: FrameType | None) -> None:
    """Lets processes save; the second signal kills them."""
    now = time.monotonic()
    if self.received is None:
      self.received, self._when = signal.Signals(number), now
    again = now - self._when > _SAME
    for process in self._processes:
      with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL if again else signal.SIGTERM)

  def _show(self, last: bool = False) -> None:
    self._shown = time.monotonic()
    statuses = {n: status.read(self.root / n) for n in self.whole.points}
    for name in self.failed:
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
  """Trains all points in one process; crashed is what it leaves unexplained."""
  (launcher.root / together.FAILED).unlink(missing_ok=True)
  process = launcher.start('together', _together(launcher, args))
  while not launcher.look():
    pass
  reasons = runs.read_json(launcher.root / together.FAILED)
  if reasons is not None:
    launcher.failed = reasons
  elif launcher.left() and not launcher.received:
    print(
      f'The process that trained all points ended with status '
      f'{process.returncode}: {launcher.last_line("together")}\n'
      'What is left trains in processes of its own.',
      flush=True,
    )


def train_apart(launcher: Launcher, jobs: int, gpus: Sequence[str]) -> None:
  """Trains what is left, each point in a process of its own."""
  waiting, running = launcher.left(), {}
  free = list(gpus) or [None] * jobs
  while running or (waiting and not launcher.received):
    while waiting and free and not launcher.received:
      name, gpu = waiting.pop(0), free.pop(0)
      command = sweep.command(launcher.whole, name, launcher.root)
      running[launcher.start(name, command, gpu)] = name, gpu
    for process in launcher.look():
      name, gpu = running.pop(process)
      free.append(gpu)
      if process.returncode and not launcher.received:
        why = launcher.last_line(name)
        launcher.failed[name] = why.removeprefix('error: ')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; exits with 1 if points have failed.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = options.parser('launch.local', __doc__)
  parser.add_argument(
    '--jobs',
    type=errors.positive,
    default=0,
    help='a process for each point, as many at a time; default: one for all',
  )
  parser.add_argument(
    '--gpus',
    type=lambda word: word.split(','),
    default=[],
    help='such as 0,1,2,3: a job for each, which sees no other',
  )
  parser.add_argument(
    '--at_once',
    type=errors.positive,
    default=0,
    help='points side by side in one process; default: as many as fit',
  )
  args, whole = options.parse(parser, argv)
  root = pathlib.Path(args.root).expanduser()
  launcher = Launcher(root, whole)
  apart = args.jobs > 0 or args.gpus
  with contextlib.ExitStack() as stack:
    try:
      sweep.merge(root, whole, runs.FREE)
      if args.dry_run:
        _print_commands(launcher, args, apart)
        return
      stack.enter_context(sweep.only(root, '.launcher.lock'))
      with sweep.only(root, together.LOCK):
        pass  # nor is there a main.py --grid, which a launcher left behind
      sweep.claim(root, whole, runs.FREE)
    except ValueError as e:
      sys.exit(f'error: {e}')
    stack.enter_context(launcher.working())
    if not apart and len(launcher.left()) > 1:
      train_together(launcher, args)
    if launcher.left() and not launcher.received:
      train_apart(launcher, max(1, args.jobs), args.gpus)
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
    sys.exit(
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
