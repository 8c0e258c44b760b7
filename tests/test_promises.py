"""The parts work where only what setup.py names for them can be imported."""

import subprocess
import sys

import promises
import pytest

HEAVY = (
  'array_record', 'clu', 'constriction', 'matplotlib',
  'ml_collections', 'tensorboard', 'tensorflow', 'tensorflow_datasets',
)  # fmt: skip
# What is there beside the core, by extra.
ADDED = {'': (), 'mdl': ('constriction',)}


@pytest.mark.parametrize('extra', ADDED)
def test_a_part_needs_nothing_that_its_extra_does_not_name(extra):
  blocked = sorted(set(HEAVY) - set(ADDED[extra]))
  block = f'import sys; sys.modules.update(dict.fromkeys({blocked}))\n'
  subprocess.run(
    [sys.executable, '-c', block + promises.PROMISES[extra]],
    check=True,
    cwd=promises.ROOT,
  )


@pytest.mark.parametrize(
  'module', ['report', 'mdl', 'locality', 'augment', 'geometry', 'export']
)
def test_a_command_says_what_it_needs(module):
  blocked = "import sys; sys.modules['ml_collections'] = None\n"
  done = subprocess.run(
    [sys.executable, '-c', f'{blocked}import lconv_jax.{module}.__main__'],
    cwd=promises.ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1
  assert 'ml_collections is not installed; pip install' in done.stderr
  assert len(done.stderr.splitlines()) == 1
