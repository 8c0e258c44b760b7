"""Errors that a user can mend, and the nearest valid name for a wrong one."""

import difflib
from collections.abc import Iterable


class UsageError(Exception):
  """One sentence that says what is wrong and how to mend it.

  `main.py` prints it without a traceback.
  """


def one_line(error: Exception) -> str:
  """Returns the message of an error without its line breaks."""
  return ' '.join(str(error).split())


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
