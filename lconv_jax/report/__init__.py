"""Results of runs: names, tables, selection, and every figure with its caption.

`runs.read` returns the runs that `row`, `text`, `filters`, `draw` and others
here take; `paper` has the paper's figures and tables, which `python -m
lconv_jax.figures` makes of run folders; `command` is what all command lines
share. Names are imported when they are first used, so that a table does not
wait for matplotlib.
"""

import importlib
from typing import Any

_HOMES = {
  'bounds': ('Bounded', 'draw_bounds'),
  'captions': ('DATA', 'TORUS', 'Request', 'caption', 'data_title'),
  'contact_sheet': ('draw_contact_sheet',),
  'curves': ('draw_curves',),
  'first_layer': ('filters', 'is_periodic'),
  'layouts': ('Recovered', 'draw_images', 'draw_layouts'),
  'live': ('Live',),
  'mosaic': ('draw_filters',),
  'names': ('epochs', 'labels', 'machine', 'method'),
  'page': ('page',),
  'pictures': ('draw',),
  'style': ('save',),
  'table': (
    'Row',
    'aligned',
    'markdown',
    'over_seeds',
    'row',
    'text',
    'write_csv',
  ),
}
_MODULES = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
  """Imports a name of `__all__`, when it is first used."""
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
