"""Learning convolutions from scratch, in JAX.

The names of `__all__` and the packages, such as `lconv_jax.augment`, are
imported when they are first used, so that each costs what it needs itself.
"""

import importlib
import pkgutil
import typing
from typing import Any

if typing.TYPE_CHECKING:
  from lconv_jax.conv import LocalConv, from_conv_local, local_conv
  from lconv_jax.lasso import add_l1, beta_lasso, kernel_mask, threshold

__version__ = '0.1.0'

__all__ = [
  'LocalConv',
  'add_l1',
  'beta_lasso',
  'from_conv_local',
  'kernel_mask',
  'local_conv',
  'threshold',
]
_OF_CONV = ('LocalConv', 'from_conv_local', 'local_conv')
_MODULES = {module.name for module in pkgutil.iter_modules(__path__)}


def __getattr__(name: str) -> Any:
  """Imports a name or a package of this one, when it is first used."""
  if name in _MODULES:
    return importlib.import_module(f'{__name__}.{name}')
  if name not in __all__:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  home = 'conv' if name in _OF_CONV else 'lasso'
  return getattr(importlib.import_module(f'{__name__}.{home}'), name)


def __dir__() -> list[str]:
  """Lists what can be imported as well as what has been."""
  return sorted({*globals(), *__all__, *_MODULES})
