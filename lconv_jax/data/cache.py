"""Arrays that are slow to make, kept on disk for the next start."""

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


def fingerprint(folder: pathlib.Path) -> str:
  """Returns 16 hex digits that change when a file in `folder` does.

  Names, sizes and modification times, so that a start need not read the files.
  """
  files = sorted(p for p in folder.iterdir() if p.is_file())
  stats = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
  return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]


def cached(
  key: str, names: Sequence[str], build: Callable[[], Arrays]
) -> Arrays:
  """Returns the arrays of an earlier call with `key`, or builds and keeps them.

  Readers never see half a file, and damage is noticed by CRC-32; a cache that
  is damaged or cannot be written costs one logged line and time, never a run.

  Args:
    key: file name without suffix; names the content, see `fingerprint`.
    names: of the arrays.
    build: makes them; none is of dtype object.

  Returns:
    What `build` returned, now or then.
  """
  path = cache_dir() / f'{key}.npz'
  try:
    return _read(path, names)
  except FileNotFoundError:
    pass
  # A flipped bit can surface as nearly any exception of zipfile or NumPy.
  except Exception as e:
    logging.warning('Rebuilding the cache %s, which is damaged: %s', path, e)
  arrays = build()
  try:
    _write(path, arrays)
  except OSError as e:
    logging.warning('The next start decodes again, no cache written: %s', e)
  return arrays


def _read(path: pathlib.Path, names: Sequence[str]) -> Arrays:
  with zipfile.ZipFile(path) as archive:
    # np.load stops where an array's header says, so that damage to a header
    # can keep it from ever comparing the CRC.
    damaged = archive.testzip()
  if damaged:
    raise zipfile.BadZipFile(f'wrong CRC-32 of {damaged}')
  with np.load(path) as archive:
    # Not all that is there: damage to the directory can hide an array.
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
