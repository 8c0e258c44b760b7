"""JSON files that are written as a whole or not at all, and files set aside."""

import errno
import json
import os
import pathlib
from typing import Any

from lconv_jax import errors

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ('RESOURCE_EXHAUSTED', 'No space left', 'quota exceeded')


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
  """Returns the object in a JSON file; None if it is missing or damaged."""
  try:
    content = json.loads(path.read_text(encoding='utf-8'))
  except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
    return None
  return content if isinstance(content, dict) else None


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
  """Writes a JSON file, which replaces the one before as a whole."""
  partial = path.with_suffix('.partial')
  with partial.open('w', encoding='utf-8') as f:
    f.write(json.dumps(content, indent=2) + '\n')
    f.flush()
    os.fsync(f.fileno())  # else a power cut may leave an empty file
  os.replace(partial, path)


def free_name(path: pathlib.Path) -> pathlib.Path:
  """Returns a path that does not exist: `path`, or one with a number."""
  free, number = path, 1
  while free.exists():
    number += 1
    free = path.with_name(f'{path.name}.{number}')
  return free


def not_written(what: str, error: Exception) -> errors.UsageError:
  """Returns the error for something that cannot be written.

  Args:
    what: the beginning of the sentence, such as 'Step 3 cannot be saved'.
    error: the error of the file system, or of a library.
  """
  text = errors.one_line(error)
  full = getattr(error, 'errno', None) in _FULL or any(
    word in text for word in _FULL_WORDS
  )
  return errors.UsageError(
    f'{what} ({text[:200]}); {"make room there" if full else "mend that"} and '
    'repeat the command: it continues from what was saved before.'
  )
