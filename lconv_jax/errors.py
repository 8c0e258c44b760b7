"""Errors that a user can mend, and the nearest valid name for a wrong one."""

import difflib
import pathlib
import re
from collections.abc import Iterable


class UsageError(Exception):
  """One sentence that says what is wrong and how to mend it.

  `main.py` prints it without a traceback.
  """


def one_line(error: Exception) -> str:
  """Returns the message of an error without its line breaks."""
  return printable(' '.join(str(error).split()))


def printable(text: str) -> str:
  """Returns text with its line breaks and control characters made visible.

  Names in a run folder may come from strangers, and a terminal obeys them.
  """
  return ''.join(
    c if c.isprintable() else c.encode('unicode_escape').decode() for c in text
  )


def local_path(name: str, path: str | pathlib.Path) -> pathlib.Path:
  """Returns the path of a file or folder, with the home in place of ~.

  Args:
    name: the flag or field, for messages.
    path: as a user wrote it.

  Raises:
    UsageError: it is an address such as gs://bucket/run, of which pathlib would
      make a local folder called gs:.
  """
  if re.match(r'[A-Za-z][\w+.-]+:/', str(path)):
    raise UsageError(
      f'{name}={path} is an address, and only folders can be read and written; '
      'mount it, and give the path where it is mounted.'
    )
  return pathlib.Path(path).expanduser()


def nearest(name: str, options: Iterable[str]) -> str:
  """Returns ' Did you mean a or b? ', or ' ' where nothing is near."""
  near = difflib.get_close_matches(name, list(options), n=2, cutoff=0.4)
  return f' Did you mean {" or ".join(near)}? ' if near else ' '


def unknown(field: str, name: str, options: Iterable[str]) -> UsageError:
  """Returns the error for a `field` whose value is not among `options`."""
  options = list(options)
  return UsageError(
    f'{field}={name!r} does not exist.{nearest(name, options)}'
    f'Valid: {", ".join(options)}.'
  )
