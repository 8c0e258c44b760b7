"""Keeps arrays that are slow to make on disk, for the next start."""

import hashlib
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

Arrays = dict[str, np.ndarray]


def cache_dir() -> pathlib.Path:
  """Returns $XDG_CACHE_HOME/lconv_jax, by default ~/.cache/lconv_jax."""
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'lconv_jax'


def fingerprint(path: pathlib.Path, pattern: str = '*') -> str:
  """Returns 16 hex digits that change when a file does.

  It depends on names, sizes and modification times alone, so that a start does
  not have to read the files.

  Args:
    path: a file, or a folder with files.
    pattern: of the files in a folder that count, as in `Path.glob`.
  """
  files = sorted(path.glob(pattern)) if path.is_dir() else [path]
  stats = [
    (f.relative_to(path).as_posix(), f.stat().st_size, f.stat().st_mtime_ns)
    for f in files
    if f.is_file()
  ]
  return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]


def cached(
  key: str, names: Sequence[str], build: Callable[[], Arrays]
) -> Arrays:
  """Returns the arrays of an earlier call with `key`, or builds and keeps them.

  Readers never see half a file, and CRC-32 detects damage. A cache that is
  damaged or cannot be written costs a warning and time, but never a run.

  Args:
    key: the file's name without suffix, which identifies the content; see
      `fingerprint`.
    names: the names of the arrays.
    build: returns the arrays, none of which has dtype object.

  Returns:
    What `build` returned, in this call or in an earlier one.
  """
  path = cache_dir() / f'{key}.npz'
  try:
    return _read(path, names)
  except FileNotFoundError:
    pass
  # A flipped bit can surface as nearly any exception of zipfile or NumPy.
  except Exception as e:
    logging.warning('The cache %s is damaged and is rebuilt: %s', path, e)
  arrays = build()
  try:
    _write(path, arrays)
  except OSError as e:
    logging.warning(
      'The cache cannot be written, so the next start decodes again: %s', e
    )
  return arrays


def _read(path: pathlib.Path, names: Sequence[str]) -> Arrays:
  with zipfile.ZipFile(path) as archive:
    # np.load stops where an array's header says, so damage to a header can
    # keep it from ever comparing the CRC.
    damaged = archive.testzip()
  if damaged:
    raise zipfile.BadZipFile(f'wrong CRC-32 of {damaged}')
  with np.load(path) as archive:
    # By name, since damage to the directory can hide an array.
    return {name: archive[name] for name in names}


def _write(path: pathlib.Path, arrays: Arrays) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.stem}-')
  try:
    with open(handle, 'wb') as f:
      np.savez(f, **arrays)  # not compressed: reading takes a third of the time
      f.flush()
      os.fsync(f.fileno())
    os.replace(temporary, path)
  except BaseException:
    os.unlink(temporary)
    raise
