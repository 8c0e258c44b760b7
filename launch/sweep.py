"""Expands a grid into named points, and the commands that train them.

All launchers start the same commands. Imports no JAX.
"""

import pathlib
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from configs import base, grids
from lconv_jax import errors

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
