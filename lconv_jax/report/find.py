"""Search for run folders, and the choice among runs by config."""

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flax import traverse_util

from lconv_jax import errors, runs


def read(
  paths: Iterable[str | pathlib.Path],
) -> tuple[list[runs.Record], list[str]]:
  """Reads run folders.

  Returns:
    The runs that can be read, and a sentence for each of the others.

  Raises:
    UsageError: no run can be read.
  """
  found, left_out = _read(paths)
  if not found:
    raise errors.UsageError(' '.join(left_out))
  return found, left_out


def find(
  paths: Iterable[str | pathlib.Path],
) -> tuple[list[runs.Record], list[str]]:
  """Reads run folders, wherever they are below some paths.

  Args:
    paths: run folders, or folders that hold run folders.

  Returns:
    The runs in the order of `paths` and of their names, each run once; and a
    sentence for each run that cannot be read.

  Raises:
    UsageError: there is no run folder below a path.
  """
  found = {}
  for path in (errors.local_path('RUN', path) for path in paths):
    below = list(_below(path))
    if not below:
      raise errors.UsageError(
        f'{path} is not a run folder and holds none; give what main.py got as '
        '--workdir, or the --root of a launcher.'
      )
    found |= {folder.resolve(): folder for folder in below}
  return _read(found.values())


def only(
  shown: Sequence[runs.Record], conditions: Mapping[str, str]
) -> list[runs.Record]:
  """Returns the runs whose config has given values.

  Args:
    shown: the runs to choose from.
    conditions: values, as in a command line, by field: data.name, cifar10.

  Raises:
    UsageError: no run has such a field, or such a value.
  """
  shown = list(shown)
  for field, value in conditions.items() if shown else ():
    values = [str(flat(run).get(field)) for run in shown]
    if set(values) == {'None'}:
      fields = {field for run in shown for field in flat(run)}
      raise errors.unknown('--only', field, sorted(fields))
    if value not in values:
      raise errors.UsageError(
        f'No run has {field}={value}; there is {", ".join(sorted({*values}))}.'
      )
    shown = [run for run, v in zip(shown, values, strict=True) if v == value]
  return shown


def flat(run: runs.Record) -> dict[str, Any]:
  """Returns the fields of a run's config, named with dots."""
  return traverse_util.flatten_dict(run.config.to_dict(), sep='.')


def _read(
  paths: Iterable[str | pathlib.Path],
) -> tuple[list[runs.Record], list[str]]:
  found, left_out = [], []
  for path in paths:
    try:
      found.append(runs.read(path))
    except errors.UsageError as e:
      left_out.append(errors.one_line(e))
  return found, left_out


def _below(path: pathlib.Path) -> Iterable[pathlib.Path]:
  for folder, names, files in os.walk(path):
    if 'config.json' in files:
      names.clear()  # a run folder holds no other
      yield pathlib.Path(folder)
    names.sort()
