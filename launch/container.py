"""Folders and variables that a run in a container needs. Imports no JAX."""

import pathlib

from launch import sweep


def folders(whole: sweep.Sweep, root: pathlib.Path) -> list[str]:
  """Returns the folders to mount, each at its own path.

  Args:
    whole: the sweep.
    root: absolute; the runs' folders in it outlive the container.

  Raises:
    ValueError: a folder cannot be mounted.
  """
  data = whole.overrides.get('data.dir')
  found = [str(root), *([data] if data else [])]
  for folder in found:
    if not folder.startswith('/') or set(folder) & set(' \t\n:'):
      raise ValueError(
        f'{folder!r} cannot be mounted in a container; choose a folder whose '
        'path is absolute and has neither spaces nor colons.'
      )
  return found


def environment(root: pathlib.Path) -> dict[str, str]:
  """Returns variables by which all points share one download and cache."""
  cache = root / '.cache'
  return {'XDG_CACHE_HOME': str(cache), 'TFDS_DATA_DIR': str(cache / 'tfds')}
