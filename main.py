"""Trains a net: python main.py --config=configs/s_fc.py --workdir=DIR."""

import os
import pathlib
import runpy
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from lconv_jax import errors

FLAGS = flags.FLAGS

config_flags.DEFINE_config_file(
  'config',
  None,
  'A file of configs/, and after a colon its comma-separated choices, for '
  'example configs/s_fc.py:cifar100,sgd. --config.FIELD=VALUE overrides.',
)
flags.DEFINE_string(
  'workdir',
  None,
  'The run folder: what a run leaves behind, and from where it continues.',
)


def main(argv: list[str]) -> None:
  """Runs what the flags ask for."""
  if len(argv) > 1:
    sys.exit(f'error: unknown arguments {" ".join(argv[1:])}; see --help.')
  if not FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)  # absl's default is chattier
  import jax  # not needed, and slow, for --help

  from lconv_jax import interrupt, train

  cache = os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache'))
  jax.config.update(
    'jax_compilation_cache_dir', os.path.join(cache, 'lconv_jax', 'xla')
  )
  try:
    train.train_and_evaluate(FLAGS.config, FLAGS.workdir)
  except errors.UsageError as e:
    sys.exit(f'error: {e}')
  except interrupt.Interrupted as e:
    print(e, flush=True)
    sys.exit(128 + e.received)


def parse(argv: list[str]) -> list[str]:
  """Parses flags; what is wrong with them is said in one sentence."""
  try:
    return FLAGS(argv)
  except (flags.Error, AttributeError, KeyError, TypeError, OSError) as e:
    sys.exit(f'error: {_explain(argv, e)}')


def _explain(argv: list[str], error: Exception) -> str:
  words = ' '.join(argv).replace('--config ', '--config=').split()
  config = next((w for w in words if w.startswith('--config=')), '--config=')
  path, _, choices = config.removeprefix('--config=').partition(':')
  if path and not os.path.exists(path):
    folder = pathlib.Path(__file__).parent / 'configs'
    files = [f'configs/{p.name}' for p in sorted(folder.glob('[!_]*.py'))]
    return f'{path} does not exist.{errors.nearest(path, files)}See configs/.'
  if path:
    try:
      fields = _fields(runpy.run_path(path)['get_config'](choices or None))
    except Exception as e:  # whatever a config file raises is its message
      return f'{config.removeprefix("--")}: {e}'
    for word in words:
      name = word.partition('=')[0].removeprefix('--config.')
      if word.startswith('--config.') and name not in fields:
        hint = errors.nearest(name, fields)
        return f'the config has no field {name}.{hint}See configs/base.py.'
  return str(error).strip().replace('\n', ' ')


def _fields(config: object, prefix: str = '') -> list[str]:
  names = []
  for name, value in config.items():
    if hasattr(value, 'items'):
      names += _fields(value, f'{prefix}{name}.')
    else:
      names.append(prefix + name)
  return names


if __name__ == '__main__':
  flags.mark_flags_as_required(['config', 'workdir'])
  app.run(main, flags_parser=parse)
