"""Command lines of the package's modules."""

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
    argv: the words behind the command; None: those of the process.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  args = parser.parse_args(argv)
  args.command = f'{parser.prog} {shlex.join(argv)}'.strip()
  try:
    with needs('train'):
      act(args)
  except (errors.UsageError, OSError) as e:
    print(f'error: {errors.one_line(e)}', file=sys.stderr)
    return 2
  return 0


def pairs(option: str, form: str, words: Sequence[str]) -> dict[str, str]:
  """Returns the names and values that a repeatable option was given.

  Args:
    option: '--only', for example.
    form: of a word, such as 'FIELD=VALUE'.
    words: what the command line has.

  Raises:
    UsageError: a word has another form.
  """
  for word in words:
    if '=' not in word:
      raise errors.UsageError(f'{option} {word} must be {form}.')
  return dict(word.split('=', 1) for word in words)
