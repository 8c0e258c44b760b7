"""Parts that the command lines of all modules share."""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence

from lconv_jax import errors


@contextlib.contextmanager
def needs(extra: str) -> Iterator[None]:
  """Ends a command that imports what is not installed, with one sentence.

  Args:
    extra: of setup.py, which installs what is imported here.
  """
  try:
    yield
  except ModuleNotFoundError as e:
    sys.exit(
      f'error: {e.name} is not installed; pip install '
      f"'lconv_jax[{extra}]' brings it."
    )


def run(
  parser: argparse.ArgumentParser,
  act: Callable[[argparse.Namespace], None],
  argv: Sequence[str] | None = None,
) -> int:
  """Runs a command line and returns its exit status.

  Args:
    parser: has the command as `prog`.
    act: is given the arguments, and as `command` all that was typed. A
      UsageError or OSError that it raises is printed as one sentence.
    argv: the words behind the command; None: the command line of the process.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  args = parser.parse_args(argv)
  args.command = f'{parser.prog} {shlex.join(argv)}'.strip()
  from lconv_jax import backends  # slow for --help

  try:
    try:
      with needs('train'), backends.pinned():
        act(args)
    except (RuntimeError, AssertionError):
      backends.check_backend()  # which may be why
      raise
  except (errors.UsageError, OSError) as e:
    print(f'error: {errors.one_line(e)}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('\nStopped.', file=sys.stderr)  # behind the terminal's ^C
    return 130
  return 0


def tell_left_out(reasons: Sequence[str]) -> None:
  """Says which runs are left out, and why."""
  for why in reasons:
    print(f'left out: {why}', file=sys.stderr)


def natural(word: str) -> int:
  """Returns an argument that must be 0 or more."""
  if not word.isdecimal():
    raise argparse.ArgumentTypeError(
      f'{word!r} is not a whole number, 0 or more'
    )
  return int(word)


def positive(word: str) -> int:
  """Returns an argument that must be 1 or more."""
  if not word.isdecimal() or int(word) < 1:
    raise argparse.ArgumentTypeError(f'{word!r} is not a whole number above 0')
  return int(word)


def pair(word: str) -> tuple[str, str]:
  """Returns name and value of an argument NAME=VALUE."""
  name, is_set, value = word.partition('=')
  if not is_set:
    raise argparse.ArgumentTypeError(f'{word!r} is not of the form NAME=VALUE')
  return name, value
