"""The architecture's first law: imports run one way."""

import ast
import pathlib
import subprocess
import sys

import pytest

import lconv_jax

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / 'lconv_jax'

# What each room may import; `errors` everybody may. The rooms above import more
# than the ones below, so there is no cycle.
ROOMS = {
  'errors': '',
  'backends': '',
  'lasso': '',
  'conv': '',
  'augment': '',
  'locality': '',
  'geometry': '',
  'data': 'backends',
  'models': 'conv',
  'runs': 'backends models',
  'mdl': 'data models runs',
  'export': 'conv data models runs',
  'train': 'augment backends data lasso locality models runs',
  'report': 'backends data geometry locality models runs',
  'figures': 'report',
  'predict': 'export report',
  '__init__': 'conv lasso',
}


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
    yield path.relative_to(PACKAGE).with_suffix('').parts[0], path


def test_imports_between_rooms_run_one_way():
  above = list(ROOMS)
  for room, path in modules():
    allowed = {room, 'errors', *ROOMS[room].split()}
    assert all(above.index(r) <= above.index(room) for r in allowed)
    if path.name == '__main__.py':  # a command line may import anything
      continue
    for full in imported(path):
      if full.startswith('lconv_jax.'):
        other = full.split('.')[1]
        assert other in allowed, f'{path} imports {other}'


def test_the_package_imports_no_configs_launch_or_flags():
  for _, path in modules():
    for full in imported(path):
      top = full.split('.')[0]
      assert top not in ('configs', 'launch', 'main'), f'{path}: {full}'
      assert not full.startswith('absl.flags'), f'{path}: {full}'


def test_configs_import_no_jax():
  for path in (ROOT / 'configs').rglob('*.py'):
    for full in imported(path) - {'lconv_jax.errors'}:
      top = full.split('.')[0]
      assert top not in ('jax', 'flax', 'optax', 'lconv_jax'), f'{path}: {full}'


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


def test_names_and_packages_are_imported_when_they_are_used():
  loaded = python('import sys, lconv_jax; print(*sys.modules)')
  assert not {'jax', 'flax', 'numpy'} & set(loaded)
  loaded = python('import sys, lconv_jax; lconv_jax.lasso; print(*sys.modules)')
  assert 'lconv_jax.lasso' in loaded and 'lconv_jax.conv' not in loaded
  assert {*lconv_jax.__all__, 'augment', 'mdl'} <= set(dir(lconv_jax))
  assert lconv_jax.beta_lasso is lconv_jax.lasso.beta_lasso
  assert lconv_jax.local_conv is lconv_jax.conv.local_conv
  with pytest.raises(AttributeError, match="no attribute 'gamma_lasso'"):
    _ = lconv_jax.gamma_lasso
