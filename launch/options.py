"""Command line that all launchers share."""

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Iterator, Sequence

import configs
from launch import sweep
from lconv_jax import errors


def parser(
  module: str, doc: str, of_grid: bool = True
) -> argparse.ArgumentParser:
  """Returns a parser of GRID, --root, --config, --seeds and --dry_run.

  Args:
    module: such as launch.local.
    doc: the module's docstring.
    of_grid: whether there are GRID and --seeds; if not, --config is required.
  """
  made = argparse.ArgumentParser(
    prog=f'python -m {module}',
    description=doc.splitlines()[0],
    epilog='--config.FIELD=VALUE overrides a field of every point; '
    f'configs/base.py explains all fields.\n{configs.listing()}',
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  if of_grid:
    made.add_argument(
      'grid', metavar='GRID', help='of configs/grids, or a .py file; :mini'
    )
    made.add_argument(
      '--seeds', type=_seeds, help='run every point with each, such as 0,1,2'
    )
  else:
    made.set_defaults(grid='single', seeds=None)
  made.add_argument(
    '--root',
    required=True,
    type=_root,
    help='the folder of all runs',
  )
  own = "; default: the grid's own" if of_grid else ''
  made.add_argument(
    '--config', required=not of_grid, help=f'a config file{own}'
  )
  made.add_argument(
    '--dry_run', action='store_true', help='print what would be done'
  )
  return made


def parse(
  made: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> tuple[argparse.Namespace, sweep.Sweep]:
  """Returns the arguments and the sweep that they ask for; exits on errors."""
  args, rest = made.parse_known_args(argv)
  overrides = {}
  for word in rest:
    field, is_set, value = word.removeprefix('--config.').partition('=')
    if not word.startswith('--config.') or not is_set:
      made.error(
        f'unknown argument {word}; fields are given as --config.FIELD=VALUE'
      )
    overrides[field] = value
  with one_sentence():
    return args, sweep.expand(args.grid, args.config, overrides, args.seeds)


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
  """Exits with the message of an error instead of a traceback."""
  try:
    yield
  except (ValueError, errors.UsageError) as e:
    sys.exit(f'error: {errors.one_line(e)}')


def _root(word: str) -> pathlib.Path:
  try:
    return errors.local_path('--root', word)
  except errors.UsageError as e:
    raise argparse.ArgumentTypeError(str(e)) from e


def _seeds(word: str) -> list[int]:
  parts = word.split(',')
  if not all(map(str.isdecimal, parts)):
    raise argparse.ArgumentTypeError(f'{word!r} is not a list such as 0,1,2')
  return [int(part) for part in parts]
