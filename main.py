"""Trains a net: python main.py --config=configs/s_fc.py --workdir=DIR.

With --grid=GRID it trains all points of a grid, each in its own folder.
"""

import contextlib
import errno
import faulthandler
import functools
import os
import pathlib
import re
import runpy
import sys
from collections.abc import Callable
from types import TracebackType


def fresh(text: str) -> str:
  """Returns text that replaces what a terminal's line shows, such as ^C."""
  return f'\r\033[K{text}' if sys.stderr.isatty() else text


def excepthook(
  kind: type[BaseException],
  error: BaseException,
  traceback: TracebackType | None,
) -> None:
  """Says that Ctrl-C has stopped this, without a traceback."""
  if issubclass(kind, KeyboardInterrupt):
    print(fresh('Stopped before anything was done.'), file=sys.stderr)
  else:
    sys.__excepthook__(kind, error, traceback)


if __name__ == '__main__':  # also while the following is imported
  sys.excepthook = excepthook

import jax
from absl import app, flags, logging
from ml_collections import config_flags

import configs
from lconv_jax import errors

FLAGS = flags.FLAGS

flags.DEFINE_bool(
  'distributed',
  False,
  'Train together with other processes, started with the same config and '
  'workdir. On SLURM, GKE and TPUs they find each other; elsewhere give the '
  'next three flags.',
)
flags.DEFINE_string(
  'coordinator_address', None, 'HOST:PORT of the first process.'
)
flags.DEFINE_integer('num_processes', None, 'How many processes there are.')
flags.DEFINE_integer('process_id', None, 'Which one this is, from 0.')

config_flags.DEFINE_config_file(
  'config',
  None,
  'A file of configs/, and after a colon its comma-separated choices, for '
  'example configs/s_fc.py:cifar100,sgd. --config.FIELD=VALUE overrides a '
  'field of configs/base.py.',
)
flags.DEFINE_string(
  'workdir',
  None,
  'The run folder, in which a run leaves its results and from which it '
  'continues.',
)
flags.DEFINE_string(
  'grid',
  None,
  'Train all points of a grid, each in WORKDIR/POINT: a name of '
  'configs/grids/, such as sgd or sgd:mini, or a .py file. Points that differ '
  'only in numbers train side by side.',
)
flags.DEFINE_list(
  'seeds', None, 'Run every point of the grid with each seed, such as 0,1,2.'
)
flags.DEFINE_integer(
  'at_once',
  0,
  'How many points train side by side; 0 means as many as fit into memory.',
  lower_bound=0,
)


def main(argv: list[str]) -> None:
  """Runs what the flags ask for."""
  if len(argv) > 1:
    sys.exit(f'error: unknown arguments {" ".join(argv[1:])}; see --help.')
  if not FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)  # absl's default is chattier
  if not FLAGS.workdir:
    sys.exit('error: --workdir is empty; name the folder of the run.')
  if not FLAGS.grid and (FLAGS.seeds or FLAGS.at_once):
    sys.exit('error: --seeds and --at_once are for --grid.')
  from lconv_jax import runs  # slow for --help

  try:
    workdir = errors.local_path('--workdir', FLAGS.workdir)
    _train(workdir)
  except errors.UsageError as e:
    sys.exit(f'error: {errors.one_line(e)}')
  except runs.Interrupted as e:
    with contextlib.suppress(OSError):  # the terminal may be closed
      print(fresh(str(e)), flush=True)
    # Else what a closed terminal did not take would change the status.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + e.received)
  except KeyboardInterrupt as e:  # before the first step, or a second time
    if FLAGS.distributed:
      runs.hosts.leave(e, workdir)
    sys.exit(fresh(f'Stopped. What {workdir} holds is as it was saved last.'))
  except Exception as e:
    if FLAGS.distributed:
      runs.hosts.leave(e, workdir)
    if getattr(e, 'errno', None) in (errno.ENOSPC, errno.EDQUOT):
      sys.exit(f'error: {e}; make room and repeat the command: it continues.')
    raise


def _train(workdir: pathlib.Path) -> None:
  from lconv_jax import runs

  if FLAGS.distributed:
    faulthandler.disable()  # else a page follows JAX's word on who has died
    runs.hosts.start(
      FLAGS.coordinator_address, FLAGS.num_processes, FLAGS.process_id
    )
  from lconv_jax import train
  from lconv_jax.data import cache

  if jax.config.jax_compilation_cache_dir is None:  # else the user's own
    folder = str(cache.cache_dir() / 'xla')
    jax.config.update('jax_compilation_cache_dir', folder)
    # By default, programs that compile in less than a second are not kept.
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  if FLAGS.grid:
    from launch import together

    together.train_grid(
      FLAGS.config,
      FLAGS.grid,
      config_file=_value_of('--config', sys.argv),
      overrides=_overrides(sys.argv),
      seeds=FLAGS.seeds,
      root=workdir,
      at_once=FLAGS.at_once,
    )
    return

  @functools.cache
  def live() -> Callable[[runs.Event], None]:
    # Not before: matplotlib would keep the first step waiting.
    try:
      from lconv_jax import report

      return report.Live(workdir, FLAGS.config.train.epochs)
    except Exception as e:  # matplotlib may be missing, or broken
      print(f'There will be no pictures: {errors.one_line(e)}', flush=True)
      return lambda event: None

  train.train_and_evaluate(
    FLAGS.config, workdir, callbacks=[lambda event: live()(event)]
  )


def parse(argv: list[str]) -> list[str]:
  """Parses flags; what is wrong with them is said in one sentence."""
  asks = any(re.match(r'--?help', word) for word in argv)
  if asks:  # absl prints this module's docstring
    main_module = sys.modules['__main__']
    main_module.__doc__ = f'{main_module.__doc__}\n{configs.listing()}\n'
  missing = [f for f in ('--config', '--workdir') if not _names(f, argv)]
  if missing and not asks:
    sys.exit(
      f'error: {" and ".join(missing)} must be given, for example\n'
      '  python main.py --config=configs/s_fc.py:nlgp,smoke '
      f'--workdir=runs/smoke\n{configs.listing()}\n'
      'Fields are set by --config.FIELD=VALUE, and explained in '
      'configs/base.py; --help explains all flags.'
    )
  path, _, choices = _value_of('--config', argv).partition(':')
  if path and not os.path.exists(path):
    folder = pathlib.Path(__file__).parent / 'configs'
    files = [f'configs/{p.name}' for p in sorted(folder.glob('[!_]*.py'))]
    hint = errors.nearest(path, files)
    sys.exit(f'error: {path} does not exist.{hint}See configs/.')
  if path and not _is_config(path):
    sys.exit(f'error: {path} is not a config file; see configs/.')
  try:
    return FLAGS(argv)
  except (flags.Error, AttributeError, KeyError, TypeError, OSError) as e:
    sys.exit(f'error: {_explain(argv, path, choices) or errors.one_line(e)}')


def _explain(argv: list[str], path: str, choices: str) -> str | None:
  """Returns what is wrong with the config or its overrides, if anything is."""
  if not path:
    return None
  from flax import traverse_util  # slow for --help

  try:
    config = runpy.run_path(path)['get_config'](choices or None)
    fields = traverse_util.flatten_dict(config.to_dict(), sep='.')
  except Exception as e:  # whatever a config file raises is its message
    return f'{path}: {e}'
  for word in argv:
    name = word.partition('=')[0].removeprefix('--config.')
    if word.startswith('--config.') and name not in fields:
      inside = [f for f in fields if f.startswith(f'{name}.')]
      hint = errors.nearest(name, inside or fields)
      return f'the config has no field {name}.{hint}See configs/base.py.'
  return None


def _is_config(path: str) -> bool:
  file = pathlib.Path(path)
  return file.suffix == '.py' and 'def get_config(' in file.read_text('utf-8')


def _value_of(flag: str, argv: list[str]) -> str:
  """Returns the last value of a flag, as --flag=value or --flag value."""
  value = ''
  for word, following in zip(argv, [*argv[1:], ''], strict=True):
    if word == flag:
      value = following
    elif word.startswith(f'{flag}='):
      value = word.removeprefix(f'{flag}=')
  return value


def _names(flag: str, argv: list[str]) -> bool:
  """Returns whether a flag is in the command line, with or without a value."""
  return any(word.lstrip('-').split('=')[0] == flag[2:] for word in argv)


def _overrides(argv: list[str]) -> dict[str, str]:
  """Returns the fields that --config.FIELD=VALUE sets, and their values."""
  found = {}
  for word in argv:
    if re.match(r'--?(no)?config\.', word):
      field, is_set, value = word.removeprefix('--config.').partition('=')
      if not is_set or not word.startswith('--config.'):
        raise errors.UsageError(
          f'With --grid, fields are set by --config.FIELD=VALUE, not by {word}.'
        )
      found[field] = value
  return found


if __name__ == '__main__':
  app.run(main, flags_parser=parse)
