"""The paper's hyperparameter grids (A.2), one file each, as plain data.

A grid's `sweep()` returns its points, each a dict from fields of
configs/base.py to values; `mini()` returns a small counterpart for one CPU.
`CONFIG` is the config that the points change, unless a command names another.
`PARTS`, where there is such a dict, has functions that return parts of the
grid, by name. A file of your own may define the same names.
"""

import importlib
import inspect
import pathlib
import runpy
from typing import Any

from lconv_jax import errors

Point = dict[str, Any]

NAMES = (
  'sgd',
  'beta_lasso',
  'learning_rate',
  'table1',
  'table2',
  'width',
  'resnet_kernel',
  'scaling',
  'single',
)


def load(grid: str) -> tuple[str, list[Point]]:
  """Returns a grid's config file and its points.

  Args:
    grid: one of `NAMES` or a .py file, and after a colon a variant: `mini`, a
      part of the grid, or `nested` for a grid whose points stand for the
      winners of other grids.

  Raises:
    ValueError: the grid does not exist; the message is one sentence.
  """
  name, _, variant = grid.partition(':')
  content = _content(name)
  variants = {'': content['sweep'], **content.get('PARTS', {})}
  if 'mini' in content:
    variants['mini'] = content['mini']
  if 'nested' in inspect.signature(content['sweep']).parameters:
    variants['nested'] = lambda: content['sweep'](nested=True)
  if variant not in variants:
    valid = ', '.join(f'{name}:{v}' if v else name for v in variants)
    raise ValueError(f'grid {grid!r} does not exist. Valid: {valid}.')
  try:
    points = list(variants[variant]())
  except Exception as e:  # of a user's own grid
    raise ValueError(f'grid {grid}: {e!r}') from e
  if not all(isinstance(point, dict) for point in points):
    raise ValueError(f'sweep() of {grid} must return a list of dicts.')
  return content['CONFIG'], points


def _content(name: str) -> dict[str, Any]:
  if name in NAMES:
    return vars(importlib.import_module(f'configs.grids.{name}'))
  if name.endswith('.py') and pathlib.Path(name).is_file():
    try:
      content = runpy.run_path(name)
    except Exception as e:  # a user's own file may raise any
      raise ValueError(f'{name}: {e!r}') from e
    if missing := {'CONFIG', 'sweep'} - content.keys():
      raise ValueError(
        f'{name} is not a grid, as it has no {" and no ".join(sorted(missing))}'
        '; see configs/grids/.'
      )
    return content
  raise ValueError(
    f'grid {name!r} does not exist.{errors.nearest(name, NAMES)}Valid: '
    f'{", ".join(NAMES)}, or a .py file.'
  )
