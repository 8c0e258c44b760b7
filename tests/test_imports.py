"""The architecture's first law: imports run one way."""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / 'lconv_jax'

# Errors are the one thing that everybody may name.
ANYONE = {'errors'}
LEAVES = {
  'augment', 'cache', 'errors', 'host_tensorflow', 'hosts', 'interrupt',
  'lasso', 'locality', 'mdl', 'parallel', 'precision', 'synthetic', 'windows',
}  # fmt: skip
MAY_IMPORT = {
  '__init__': {'lasso', 'local'},
  'batch_minor': {'windows'},
  'local': {'batch_minor', 'windows'},
  'models': {'batch_minor', 'precision', 'windows'},
  'optim': {'lasso'},
  'prepared': {'host_tensorflow'},
  'data': {'cache', 'prepared', 'synthetic'},
  'program': {'augment', 'models', 'optim', 'parallel', 'precision'},
  'checkpoint': set(),
  'metrics': {'host_tensorflow'},
  'progress': set(),
  'run': {'checkpoint', 'interrupt'},
  'side_by_side': {'optim', 'program'},
  'embed': {'checkpoint', 'models', 'windows'},
  'warm_start': {'checkpoint', 'embed', 'models', 'run'},
  'check': {'augment', 'data', 'models', 'optim', 'precision'},
  'classifier': {
    'checkpoint', 'data', 'embed', 'mdl', 'models', 'run',
  },
  'guarantee': {'classifier', 'mdl'},
  'figures': {'locality'},
  'trainer': {
    'augment', 'check', 'checkpoint', 'data', 'hosts', 'models', 'optim',
    'parallel', 'precision', 'program', 'side_by_side',
  },
  'loop': {
    'checkpoint', 'hosts', 'interrupt', 'locality', 'metrics', 'progress',
    'run', 'trainer',
  },
  'train': {
    'check', 'checkpoint', 'data', 'hosts', 'loop', 'parallel', 'precision',
    'run', 'trainer', 'warm_start',
  },
  'grid': {
    'checkpoint', 'data', 'hosts', 'interrupt', 'loop', 'optim', 'run', 'train',
    'trainer',
  },
  'report': {
    'checkpoint', 'embed', 'figures', 'locality', 'metrics', 'models', 'run',
    'windows',
  },
  'selection': set(),
  'paper': {
    'data', 'figures', 'locality', 'models', 'report', 'run', 'selection',
  },
}  # fmt: skip


def imported(path):
  """Full names of all modules that a file imports, wherever it does."""
  names = set()
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: relative import'
      names |= {f'{node.module}.{alias.name}' for alias in node.names}
  return names


def modules():
  for path in sorted(PACKAGE.rglob('*.py')):
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    yield parts[0], path


def test_siblings_are_imported_one_way():
  known = {name for name, _ in modules()}
  assert known == LEAVES | MAY_IMPORT.keys(), 'a new module needs its place'
  for name, path in modules():
    if path.name == '__main__.py':  # a command line may import anything
      continue
    allowed = MAY_IMPORT.get(name, set()) | ANYONE | {name}
    for full in imported(path):
      if full.startswith('lconv_jax.'):
        sibling = full.split('.')[1]
        assert sibling in allowed, f'{path} imports {sibling}'


def test_there_is_no_cycle():
  def depth(name, above=()):
    assert name not in above, f'cycle: {above}'
    below = MAY_IMPORT.get(name, set())
    return 1 + max((depth(b, (*above, name)) for b in below), default=0)

  assert depth('train') < 10


def test_the_package_imports_no_configs_launch_or_flags():
  for _, path in modules():
    for full in imported(path):
      top = full.split('.')[0]
      assert top not in ('configs', 'launch', 'main'), f'{path}: {full}'
      assert not full.startswith('absl.flags'), f'{path}: {full}'


def test_configs_import_no_jax():
  for path in (ROOT / 'configs').rglob('*.py'):
    tops = {full.split('.')[0] for full in imported(path)}
    assert not tops & {'jax', 'flax', 'optax', 'lconv_jax'}, path


def python(code):
  result = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
  )
  assert result.returncode == 0, result.stderr
  return result.stdout.split()


def test_importing_the_package_or_the_loop_loads_no_tensorflow():
  loaded = python('import sys, lconv_jax, lconv_jax.train; print(*sys.modules)')
  assert 'jax' in loaded
  assert not {'tensorflow', 'tensorflow_datasets', 'clu'} & set(loaded)


def test_help_loads_what_is_quick_to_load():
  loaded = python('import sys, main; print(*sys.modules)')
  assert not {'orbax', 'tensorflow'} & set(loaded)
