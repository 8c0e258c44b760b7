"""Keeps the root folder of a grid's runs. Imports no JAX.

ROOT/grid.json holds the expanded grid, and ROOT/POINT is the run folder of a
point. All launchers read and write the same folders.
"""

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator, Sequence

from launch import sweep
from lconv_jax import errors

_FILE = 'grid.json'


def read(root: str | pathlib.Path) -> sweep.Sweep:
  """Returns the sweep whose runs are in a folder.

  Raises:
    ValueError: the folder holds no grid.
    UsageError: the root is not a folder of this machine.
  """
  path = errors.local_path('--root', root) / _FILE
  try:
    found = sweep.Sweep(**json.loads(path.read_text(encoding='utf-8')))
    points = {  # JSON has no tuples
      name: {k: tuple(v) if isinstance(v, list) else v for k, v in p.items()}
      for name, p in found.points.items()
    }
  except (OSError, ValueError, TypeError, AttributeError, RecursionError) as e:
    raise ValueError(
      f'{root} holds no grid, as it has no readable {_FILE}; give the --root '
      'of a launcher.'
    ) from e
  for name in points:
    if name in ('', '.', '..') or '/' in name or not name.isprintable():
      raise ValueError(
        f'{path} has a point {name!r}, which cannot be the name of a folder in '
        f'{root}; put back the {_FILE} that the launcher wrote.'
      )
  return found._replace(points=points)


def merge(
  root: str | pathlib.Path, whole: sweep.Sweep, free: Sequence[str] = ()
) -> sweep.Sweep:
  """Returns the sweep of a folder after `claim`, which adds to its points.

  Points may be added later, for example more seeds, but not changed.

  Args:
    root: a new folder, or one that holds runs of this sweep.
    whole: the sweep to add.
    free: the fields whose overrides may be changed later.

  Raises:
    ValueError: the folder holds runs of another grid.
  """
  root = pathlib.Path(root).expanduser()
  if (root / _FILE).exists():
    old = read(root)
    _agree(root, old, whole, free)
    return whole._replace(points={**old.points, **whole.points})
  stranger = next(root.glob('*/config.json'), None)
  if stranger or (root / 'config.json').exists():
    raise ValueError(
      f'{root} holds runs that were started without a grid; choose another '
      '--root.'
    )
  return whole


def claim(
  root: str | pathlib.Path, whole: sweep.Sweep, free: Sequence[str] = ()
) -> None:
  """Makes a folder the root of a sweep's runs, as `merge` says.

  Args:
    root: a new folder, or one that holds runs of this sweep.
    whole: the sweep to add.
    free: the fields whose overrides may be changed later.

  Raises:
    ValueError: the folder holds runs of another grid, or cannot be written.
  """
  root = pathlib.Path(root).expanduser()
  whole = merge(root, whole, free)
  try:
    root.mkdir(parents=True, exist_ok=True)
    partial = root / f'{_FILE}.{os.getpid()}'
    partial.write_text(json.dumps(whole._asdict(), indent=1), encoding='utf-8')
    os.replace(partial, root / _FILE)
  except OSError as e:
    raise ValueError(
      f'--root={root} cannot be written ({e.strerror}); choose another.'
    ) from e


def unfinished(root: str | pathlib.Path, whole: sweep.Sweep) -> list[str]:
  """Returns the names of the points that are not finished."""
  return [name for name in whole.points if not finished(root, name)]


def finished(root: str | pathlib.Path, name: str) -> bool:
  """Returns whether a point's run folder holds its final numbers."""
  path = pathlib.Path(root) / name / 'done.json'
  try:
    # As `lconv_jax.runs.done` does, which imports JAX.
    found = json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError, RecursionError):
    return False
  return isinstance(found, dict) and bool(found.get('best'))


@contextlib.contextmanager
def only(root: str | pathlib.Path, lock: str) -> Iterator[None]:
  """Keeps a second process of the same kind away from a root.

  Args:
    root: the folder of all runs.
    lock: the lock's file name.

  Raises:
    ValueError: there is a second process, or the folder cannot be written.
  """
  path = pathlib.Path(root).expanduser() / lock
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    f = path.open('w')
  except OSError as e:
    raise ValueError(
      f'--root={root} cannot be written ({e.strerror}); choose another.'
    ) from e
  with f:
    try:
      fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
      raise ValueError(
        f'Another launcher is at work in {root}; wait for it, or choose '
        'another --root.'
      ) from e
    yield


def _agree(
  root: pathlib.Path, old: sweep.Sweep, new: sweep.Sweep, free: Sequence[str]
) -> None:
  a, b = (
    {k: v for k, v in s.overrides.items() if k not in free} for s in (old, new)
  )
  if (old.config, a) != (new.config, b):
    where = [
      ' '.join([s.config, *(f'--config.{k}={v}' for k, v in o.items())])
      for s, o in ((old, a), (new, b))
    ]
    raise ValueError(
      f'{root} holds runs of {where[0]}, and this is {where[1]}: choose '
      'another --root, or repeat its settings to continue it.'
    )
  changed = [n for n, p in old.points.items() if new.points.get(n, p) != p]
  if changed or not old.points.keys() & new.points.keys():
    raise ValueError(
      f'{root} holds runs of another grid, {old.grid}; choose another --root.'
    )
