"""The run folder: config.json, metrics.jsonl, checkpoints/, done.json."""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax
import ml_collections
from flax import traverse_util

from lconv_jax import errors
from lconv_jax.runs import checkpoint, interrupt, record
from lconv_jax.runs.record import done, read_json

LOCK = '.lock'
ERROR = 'error.txt'  # why a run stopped that did not reach its end
# These may change when a run is continued: they do not change its results.
FREE = (
  'data.dir',
  'train.checkpoint_every_epochs',
  'train.log_locality',
  'train.profile',
)
# And these when it is only evaluated.
FREE_IN_EVALUATION = (
  'train.',
  'precision',
  'seed',
  'data.augment',
  'data.policy',
  'data.crop',
  'data.flip',
  'data.cutout',
  'optim.lr',
  'optim.weight_decay',
  'optim.beta',
  'optim.l1_',
)


@contextlib.contextmanager
def open_folder(
  workdir: str | pathlib.Path, config: ml_collections.ConfigDict
) -> Iterator[pathlib.Path]:
  """Creates or reopens a run folder and keeps other processes out of it.

  Args:
    workdir: the folder.
    config: must agree with the folder's own, if it has one.

  Yields:
    The folder's path.

  Raises:
    UsageError: the folder holds a run of another config, cannot be written, or
      another process is training in it; or there is no run to evaluate.
  """
  folder = pathlib.Path(workdir).expanduser().absolute()
  if config.train.epochs == 0 and not _begun(folder):
    raise errors.UsageError(
      f'config.train.epochs=0 evaluates a run, but {folder} holds none.'
    )
  try:
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / LOCK).open('a')
  except OSError as e:
    raise errors.UsageError(
      f'--workdir={workdir} cannot be written ({e.strerror}); choose another.'
    ) from e
  with lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
      raise errors.UsageError(
        f'Another process is training in {folder}; wait for it, or choose '
        'another --workdir.'
      ) from e
    lock.truncate(0)  # for whoever asks whether the run goes on
    lock.write(f'{platform.node()} {os.getpid()}')
    lock.flush()
    agree(folder, config)
    (folder / ERROR).unlink(missing_ok=True)
    try:
      yield folder
    except Exception as e:
      known = (folder / ERROR).exists() or done(folder)
      if not (isinstance(e, interrupt.Interrupted) or known):
        write_error(folder, e)
      raise
    finally:
      with contextlib.suppress(OSError):
        lock.truncate(0)


def in_use(folder: pathlib.Path) -> bool:
  """Returns whether a process has opened a run folder.

  One that was killed on another machine counts as alive.
  """
  try:
    host, pid = (folder / LOCK).read_text(encoding='utf-8').split()
    if host == platform.node():
      os.kill(int(pid), 0)  # asks only
  except PermissionError:  # alive, of another user
    return True
  except (OSError, ValueError):
    return False
  return True


def write_error(folder: pathlib.Path, error: Exception) -> None:
  """Leaves word in a run folder of why the run has stopped."""
  with contextlib.suppress(OSError):  # as the disk may be what is full
    text = f'{errors.one_line(error) or type(error).__name__}\n'
    (folder / ERROR).write_text(text, encoding='utf-8')


def agree(folder: pathlib.Path, config: ml_collections.ConfigDict) -> None:
  """Writes a new run's config; compares it with that of one that has begun.

  Raises:
    UsageError: the folder holds a run of another config.
  """
  path = folder / 'config.json'
  new = json.loads(json.dumps(config.to_dict()))
  old = read_json(path)
  if not _begun(folder):
    write_json(path, {**new, 'environment': environment()})
    return
  if old is None:
    raise errors.UsageError(
      f'{folder} holds a run whose config.json is missing or damaged; put it '
      'back, or choose another --workdir.'
    )
  before, now = (traverse_util.flatten_dict(c, sep='.') for c in (old, new))
  free = FREE if config.train.epochs else (*FREE, *FREE_IN_EVALUATION)
  before = {**record.YOUNGER, **before}
  differ = [
    f'{k}={before[k]!r}, now {now.get(k)!r}'
    for k in sorted(before)
    if before[k] != now.get(k) and not k.startswith(('environment.', *free))
  ]
  if differ:
    raise errors.UsageError(
      f'{folder} holds a run of another config ({"; ".join(differ)}): choose '
      'another --workdir, or repeat its settings to continue it.'
    )


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
  """Writes a JSON file that is there whole or not at all."""
  partial = path.with_suffix('.partial')
  with partial.open('w', encoding='utf-8') as f:
    f.write(json.dumps(content, indent=2) + '\n')
    f.flush()
    os.fsync(f.fileno())  # or a power cut may leave an empty file
  os.replace(partial, path)


def environment() -> dict[str, Any]:
  """Returns what a figure needs beside it: command, commit, machine."""
  packages = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')
  return {
    'command': shlex.join(['python', *sys.argv]),
    'commit': _commit(),
    'device': jax.devices()[0].device_kind,
    'devices': jax.device_count(),
    'cpu': _cpu(),
    'cpus': os.cpu_count(),
    'python': platform.python_version(),
    **{name: importlib.metadata.version(name) for name in packages},
  }


def _begun(folder: pathlib.Path) -> bool:
  """Returns whether there is anything that another config would spoil."""
  rows = folder / 'metrics.jsonl'
  return (
    checkpoint.exists(folder)
    or (folder / 'done.json').exists()
    or (rows.exists() and rows.stat().st_size > 0)
  )


def _commit() -> str:
  """Returns the commit of the code, marked where files were changed."""
  try:
    return subprocess.run(
      ['git', 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return 'unknown'


def _cpu() -> str:
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()
