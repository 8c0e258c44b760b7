"""What docs/extending.md says is done to a copy of the code, and works."""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'extending.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'^```(\w*)\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
  line for kind, text in BLOCKS if not kind for line in text.splitlines()
]
# What trains is made smaller yet, where the page does not say how large it is.
SMALL = {
  '=configs/s_fc.py': ['data.limit=256', 'train.epochs=1'],
  '=configs/demo.py:smoke': ['data.limit=256', 'train.epochs=1'],
  '=configs/demo.py:sgd': ['train.epochs=20'],
}
# Each starts a process and compiles a net; those that show the least are left
# to EXTENDING=all make test.
ALL = os.environ.get('EXTENDING') == 'all'
SLOW = ('runs/m_fc', 'runs/policy')


@pytest.fixture(scope='module')
def copy(tmp_path_factory):
  """The code with all diffs of the page, and its files."""
  folder = tmp_path_factory.mktemp('extended')
  for name in ('lconv_jax', 'configs', 'launch'):
    ignore = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOT / name, folder / name, ignore=ignore)
  shutil.copy(ROOT / 'main.py', folder)
  for kind, text in BLOCKS:
    if kind == 'diff':
      # Git searches for no repository above, and wants all lines to agree.
      subprocess.run(
        ['git', 'apply', '--whitespace=nowarn', '-'],
        cwd=folder,
        input=text.encode(),
        env={**os.environ, 'GIT_CEILING_DIRECTORIES': str(folder.parent)},
        check=True,
      )
    elif kind == 'json':
      (folder / 'mine.json').write_text(text, encoding='utf-8')
    elif kind == 'python':
      name = text.split()[1]
      (folder / name).write_text(text, encoding='utf-8')
  return folder


@pytest.fixture(scope='module')
def said(copy):
  """What each command printed; two at a time, as starting takes one core."""
  chosen = [c for c in COMMANDS if ALL or not any(w in c for w in SLOW)]
  digits, *several, last = chosen
  assert 'digits.py' in digits  # writes what another one reads
  assert 'launch.select' in last  # reads what the others have trained
  outputs = [run(copy, digits)]
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    outputs += pool.map(lambda c: run(copy, c), several)
  return dict(zip(chosen, [*outputs, run(copy, last)], strict=True))


def run(copy, command):
  words = shlex.split(command)
  for start, fields in SMALL.items():
    if any(start in word for word in words):
      words += [f'--config.{field}' for field in fields]
  assert words[0] == 'python'
  result = subprocess.run(
    [sys.executable, *words[1:]],
    cwd=copy,
    env={**os.environ, 'PYTHONPATH': str(copy)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stdout + result.stderr
  return result.stdout


def done(copy, workdir):
  if workdir in SLOW and not ALL:
    pytest.skip('EXTENDING=all trains it')
  return json.loads((copy / workdir / 'done.json').read_text(encoding='utf-8'))


def command(word):
  (found,) = (c for c in COMMANDS if word in c)
  return found


def test_the_page_has_commands_for_each_part():
  assert len(COMMANDS) == 9
  assert [kind for kind, _ in BLOCKS].count('diff') == 4


def test_links_lead_somewhere():
  links = re.findall(r'\]\(([^)#]+)', PAGE)
  assert links
  for link in links:
    assert (ROOT / 'docs' / link).exists(), link


def test_a_family_is_three_nets(said):
  table = said[command('--table')]
  for title in ('M-CONV', 'M-LOCAL', 'M-FC'):
    assert f'{title}, α = 4' in table
  # 5 × 5 × 3 × 4, and 16 × 16 positions of it.
  assert ' 300 ' in table and f' {300 * 256:,} ' in table


@pytest.mark.parametrize('net', ['m_fc', 'patches'])
@pytest.mark.usefixtures('said')
def test_nets_train(copy, net):
  weights = done(copy, f'runs/{net}')['weights']
  assert weights == {
    # 32 × 32 grey pixels, two classes.
    'm_fc': {
      'conv1': 1024 * 256, 'conv2': 256 * 128, 'fc1': 128 * 32, 'fc2': 64,
    },
    'patches': {'patches': 16 * 64, 'logits': 128},
  }[net]  # fmt: skip


@pytest.mark.usefixtures('said')
def test_arrays_of_ones_own_are_learned(copy):
  found = done(copy, 'runs/digits')
  assert found['image_shape'] == [8, 8, 1]
  assert found['best']['test/accuracy'] > 0.8


def test_a_name_of_tfds_is_looked_for(copy):
  result = subprocess.run(
    [
      sys.executable, 'main.py', '--config=configs/demo.py', '--workdir=runs/f',
      '--config.data.name=fashion_mnist', '--config.data.dir=none',
    ],
    cwd=copy, capture_output=True, text=True, check=False,
    env={**os.environ, 'PYTHONPATH': str(copy)},
  )  # fmt: skip
  assert 'so that fashion_mnist can be downloaded to it' in result.stderr


@pytest.mark.parametrize('name', ['policy', 'sign_sgd'])
@pytest.mark.usefixtures('said')
def test_a_policy_and_an_optimiser_train(copy, name):
  assert done(copy, f'runs/{name}')['last']['epoch'] == 1


def test_a_grid_of_ones_own(copy, said):
  assert len(list((copy / 'runs/mine').glob('*/done.json'))) == 4
  table = said[command('launch.select')]
  assert re.findall(r'beta=(\d).*2 of 2', table) == ['0', '3']
