"""Expands a grid, and keeps the root folder of its runs. Imports no JAX.

ROOT/grid.json holds the expanded grid, and ROOT/POINT is the run folder of a
point. All launchers start the same commands and read the same folders.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from configs import base, grids
from lconv_jax import errors

_FILE = 'grid.json'
_SEEDS = 2**32  # as `train.check` has it, which imports JAX


class Sweep(NamedTuple):
  """Grid, applied to a config."""

  grid: str  # as configs.grids.load takes it
  config: str  # main.py's --config
  overrides: dict[str, str]  # main.py's --config.FIELD=VALUE, of every point
  points: dict[str, grids.Point]  # by the name of the run folder


def expand(
  grid: str,
  config: str | None = None,
  overrides: Mapping[str, str] | None = None,
  seeds: Sequence[int] | None = None,
) -> Sweep:
  """Returns the points of a grid, with names.

  Args:
    grid: as `configs.grids.load` takes it.
    config: a file of configs/ with choices; None: the grid's own.
    overrides: fields and their values as written on a command line.
    seeds: every point is run with each seed; None: with the config's own.

  Raises:
    ValueError: an argument does not exist or contradicts another; the message
      is one sentence that says what to do.
  """
  own, points = grids.load(grid)
  config, overrides = config or own, dict(overrides or {})
  built = _config(config)
  if seeds is None:
    seed = overrides.get('seed', str(built.seed))
    if not seed.isdecimal():
      raise ValueError(f'--config.seed={seed} is not a whole number.')
    seeds = [int(seed)]
  elif 'seed' in overrides or any('seed' in point for point in points):
    raise ValueError(
      f'The seed is set more than once; leave out --config.seed, or --seeds '
      f'where {grid} sets it.'
    )
  if wrong := [seed for seed in seeds if not 0 <= seed < _SEEDS]:
    raise ValueError(
      f'The seed {wrong[0]} must be at least 0 and less than {_SEEDS}.'
    )
  fields = _flat(built)
  for i, point in enumerate(points):
    _check(grid, i, point, fields, config)
  _no_conflict(grid, points, overrides, fields)
  points = [{'seed': s, **point} for point in points for s in seeds]
  if not points:
    raise ValueError(f'{grid} has no points, or --seeds is empty.')
  names = _names(points, list(fields))
  if twice := {name for name in names if names.count(name) > 1}:
    raise ValueError(f'{grid} has {min(twice)} more than once.')
  return Sweep(grid, config, overrides, dict(zip(names, points, strict=True)))


def configs(sweep: Sweep) -> list[base.Config]:
  """Returns each point's config, without overrides, which main.py reads."""
  found = []
  for point in sweep.points.values():
    found.append(_config(sweep.config))
    found[-1].update_from_flattened_dict(point)
  return found


def flags(sweep: Sweep, name: str, root: str | pathlib.Path) -> list[str]:
  """Returns main.py's arguments for one point."""
  fields = {**sweep.overrides, **sweep.points[name]}
  return [
    f'--config={sweep.config}',
    *(f'--config.{field}={value}' for field, value in fields.items()),
    f'--workdir={pathlib.Path(root) / name}',
  ]


def command(sweep: Sweep, name: str, root: str | pathlib.Path) -> list[str]:
  """Returns the command that trains, or continues, one point."""
  return [sys.executable, str(_main()), *flags(sweep, name, root)]


def command_for_all(sweep: Sweep, root: str | pathlib.Path) -> list[str]:
  """Returns the command that trains or continues all points, without seeds."""
  return [
    sys.executable,
    str(_main()),
    f'--config={sweep.config}',
    *(f'--config.{k}={v}' for k, v in sweep.overrides.items()),
    f'--grid={sweep.grid}',
    f'--workdir={root}',
  ]


def read(root: str | pathlib.Path) -> Sweep:
  """Returns the sweep whose runs are in a folder.

  Raises:
    ValueError: the folder holds no grid.
    UsageError: the root is not a folder of this machine.
  """
  path = errors.local_path('--root', root) / _FILE
  try:
    found = Sweep(**json.loads(path.read_text(encoding='utf-8')))
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
  root: str | pathlib.Path, sweep: Sweep, free: Sequence[str] = ()
) -> Sweep:
  """Returns the sweep of a folder after `claim`, which adds to its points.

  Points may be added later, for example more seeds, but not changed.

  Args:
    root: a new folder, or one that holds runs of this sweep.
    sweep: the sweep to add.
    free: the fields whose overrides may be changed later.

  Raises:
    ValueError: the folder holds runs of another grid.
  """
  root = pathlib.Path(root).expanduser()
  if (root / _FILE).exists():
    old = read(root)
    _agree(root, old, sweep, free)
    return sweep._replace(points={**old.points, **sweep.points})
  stranger = next(root.glob('*/config.json'), None)
  if stranger or (root / 'config.json').exists():
    raise ValueError(
      f'{root} holds runs that were started without a grid; choose another '
      '--root.'
    )
  return sweep


def claim(
  root: str | pathlib.Path, sweep: Sweep, free: Sequence[str] = ()
) -> None:
  """Makes a folder the root of a sweep's runs, as `merge` says.

  Args:
    root: a new folder, or one that holds runs of this sweep.
    sweep: the sweep to add.
    free: the fields whose overrides may be changed later.

  Raises:
    ValueError: the folder holds runs of another grid, or cannot be written.
  """
  root = pathlib.Path(root).expanduser()
  sweep = merge(root, sweep, free)
  try:
    root.mkdir(parents=True, exist_ok=True)
    partial = root / f'{_FILE}.{os.getpid()}'
    partial.write_text(json.dumps(sweep._asdict(), indent=1), encoding='utf-8')
    os.replace(partial, root / _FILE)
  except OSError as e:
    raise ValueError(
      f'--root={root} cannot be written ({e.strerror}); choose another.'
    ) from e


def unfinished(root: str | pathlib.Path, sweep: Sweep) -> list[str]:
  """Returns the names of the points that are not finished."""
  return [name for name in sweep.points if not finished(root, name)]


def finished(root: str | pathlib.Path, name: str) -> bool:
  """Returns whether a point's run folder holds its final numbers."""
  path = pathlib.Path(root) / name / 'done.json'
  try:
    # As `lconv_jax.runs.done` does, which imports JAX.
    return bool(json.loads(path.read_text(encoding='utf-8')).get('best'))
  except (OSError, ValueError):
    return False


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


def _main() -> pathlib.Path:
  return pathlib.Path(__file__).parents[1] / 'main.py'


def _config(config: str) -> base.ml_collections.ConfigDict:
  path, _, choices = config.partition(':')
  if not pathlib.Path(path).is_file():
    raise ValueError(f'--config={path} does not exist; see configs/.')
  try:
    return runpy.run_path(path)['get_config'](choices or None)
  except Exception as e:  # a config file may raise any
    raise ValueError(f'{path}: {e}') from e


def _flat(
  config: base.ml_collections.ConfigDict, prefix: str = ''
) -> dict[str, object]:
  """Returns all fields with dots in their names."""
  flat = {}
  for name, value in config.items():
    if isinstance(value, base.ml_collections.ConfigDict):
      flat |= _flat(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = value
  return flat


def _check(
  grid: str,
  i: int,
  point: grids.Point,
  fields: Mapping[str, object],
  config: str,
) -> None:
  for field, value in point.items():
    if field not in fields:
      raise ValueError(
        f'Point {i} of {grid} sets {field}, which {config} does not have.'
        f'{errors.nearest(field, fields)}See configs/base.py.'
      )
    want = type(fields[field])
    if type(value) is not want and not (want is float and type(value) is int):
      raise ValueError(
        f'Point {i} of {grid} sets {field}={value!r}, but it must be '
        f'{want.__name__}.'
      )


def _no_conflict(
  grid: str,
  points: Sequence[grids.Point],
  overrides: Mapping[str, str],
  fields: Mapping[str, object],
) -> None:
  for field in overrides:
    if field not in fields:
      raise ValueError(
        f'The config has no field {field}.{errors.nearest(field, fields)}See '
        'configs/base.py.'
      )
    if any(field in point for point in points):
      raise ValueError(
        f'{grid} sets {field} itself; leave --config.{field} out, or write a '
        'grid of your own.'
      )


def _names(points: Sequence[grids.Point], fields: Sequence[str]) -> list[str]:
  """Returns a name for each point: the fields that differ, and the seed."""
  varied = [
    field
    for field in dict.fromkeys(f for p in points for f in p if f != 'seed')
    if len({repr(point.get(field)) for point in points}) > 1
  ]
  ends = [field.rpartition('.')[2] for field in fields]
  names = []
  for point in points:
    words = []
    for field in [*(f for f in varied if f in point), 'seed']:
      end = field.rpartition('.')[2]
      short = end if ends.count(end) == 1 or field == 'seed' else field
      words.append(f'{short}={_show(point[field])}')
    names.append(','.join(words))
  return names


def _show(value: object) -> str:
  text = f'{value:g}' if isinstance(value, float) else str(value)
  return re.sub(r'[^\w.+-]', '_', text)


def _agree(
  root: pathlib.Path, old: Sweep, new: Sweep, free: Sequence[str]
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
