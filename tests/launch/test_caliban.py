"""Needs Caliban for most: CALIBAN=/path/to/caliban, or on PATH."""

import ast
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from launch import caliban, roots, sweep

ROOT = pathlib.Path(__file__).parents[2]
CALIBAN = os.environ.get('CALIBAN') or shutil.which('caliban')
needs_caliban = pytest.mark.skipif(
  not CALIBAN, reason='no Caliban: neither $CALIBAN nor on PATH'
)
OVERRIDES = [
  '--config=configs/d_conv.py:cifar100,sgd',
  '--config.data.flip=False',
  '--config.data.nlgp.xi=(1.5, 3.0)',
  '--config.data.policy=',
]


def launch(capsys, root, *words):
  caliban.main(['sgd', f'--root={root}', *OVERRIDES, *words])
  lines = capsys.readouterr().out.splitlines()
  return [line for line in lines if line.startswith('caliban ')]


def joined(words):
  """Writes `--flag value` as --flag=value, which absl reads alike."""
  flags = []
  for word in words:
    if word.startswith('--'):
      flags.append(word)
    else:
      flags[-1] += f'={word}'
  return flags


def dry_run(command, tmp_path, **env):
  """Runs what is printed, by Caliban's own --dry_run."""
  words = shlex.split(command)
  at = words.index('--experiment_config')
  done = subprocess.run(
    [CALIBAN, *words[1:at], '--dry_run', *words[at:]],
    cwd=ROOT,
    # None of the user's credentials, and no history of jobs.
    env={'PATH': os.defpath, 'HOME': str(tmp_path), 'SHELL': '/bin/sh', **env},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  said = re.sub(r'\x1b\[[0-9;]*m', '', done.stderr)
  said = re.findall(r'Experiment (?:args|arguments): (\[.*\])', said)
  return [joined(ast.literal_eval(words)) for words in said], done.stderr


def same(passed, whole, root):
  # Caliban sorts flags; main.py wants --config before --config.FIELD.
  assert all(flags[0].startswith('--config=') for flags in passed)
  wanted = [sweep.flags(whole, name, root) for name in whole.points]
  assert [sorted(flags) for flags in passed] == [sorted(w) for w in wanted]


@needs_caliban
def test_caliban_run_passes_the_flags_of_every_point(tmp_path, capsys):
  root = tmp_path / 'root'
  (command,) = launch(capsys, root)
  passed, said = dry_run(command, tmp_path)
  same(passed, roots.read(root), root)
  assert said.count(f'-v {root}:{root} ') == 20
  assert '--runtime nvidia' in said
  (command,) = launch(capsys, root, '--nogpu')
  _, said = dry_run(command, tmp_path)
  assert '--runtime nvidia' not in said and 'NVIDIA' not in said


@needs_caliban
def test_caliban_cloud_passes_the_flags_of_every_point(tmp_path, capsys):
  root = tmp_path / 'root'
  cloud, cluster = launch(capsys, root, '--remote_root=/mnt/sgd')
  passed, _ = dry_run(cloud, tmp_path, PROJECT_ID='project')
  same(passed, roots.read(root), '/mnt/sgd')
  # Without credentials, not even its dry run does anything.
  assert cluster == cloud.replace('cloud', 'cluster job submit', 1)


def test_main_reads_the_flags_as_they_are_meant():
  whole = sweep.expand('sgd', OVERRIDES[0].partition('=')[2], {
    field.removeprefix('--config.'): value
    for field, _, value in (word.partition('=') for word in OVERRIDES[1:])
  })  # fmt: skip
  name = list(whole.points)[-1]
  words = sweep.flags(whole, name, 'root')
  as_caliban = []  # what its source says, and its dry run above
  for flag, value in sorted(caliban.experiment(words).items()):
    as_caliban += [f'--{flag}'] if value is True else [f'--{flag}', value]
  code = (
    'import sys, main\nleft = main.parse(sys.argv)\n'
    'print(left[1:], main.FLAGS.workdir, main.FLAGS.config.to_json())'
  )
  said = [
    subprocess.run(
      [sys.executable, '-c', code, *argv],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=True,
    ).stdout
    for argv in (words, as_caliban)
  ]
  assert said[0] == said[1]
  assert said[0].startswith(f'[] root/{name} ') and '"flip": false' in said[0]


def test_what_is_finished_is_left_out(tmp_path, capsys):
  def finish(name):
    (root / name).mkdir()
    (root / name / 'done.json').write_text('{"best": {"step": 1}}')

  root = tmp_path / 'root'
  launch(capsys, root)
  config = root / 'caliban.json'
  assert len(json.loads(config.read_text())) == 20
  first, *others = roots.read(root).points
  for name in others:
    finish(name)
  assert len(launch(capsys, root)) == 1
  (left,) = json.loads(config.read_text())
  assert left['workdir'] == str(root / first)
  finish(first)
  assert launch(capsys, root) == []


def test_a_dry_run_writes_nothing(tmp_path, capsys):
  assert len(launch(capsys, tmp_path / 'root', '--dry_run')) == 1
  assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize(
  ('words', 'hint'),
  [
    (['sgdd', '--root=r'], 'Did you mean sgd'),
    (['sgd', '--root=a b'], 'cannot be mounted in a container'),
    (['sgd', '--root=r', '--config.data.dir=data'], 'whose path is absolute'),
  ],
)
def test_bad_input_is_one_sentence(words, hint, capsys, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'configs').symlink_to(ROOT / 'configs')
  with pytest.raises(SystemExit) as e:
    caliban.main(words)
  said = str(e.value) + capsys.readouterr().err
  assert hint in said and 'Traceback' not in said
  assert not (tmp_path / 'r').exists()


def test_the_image_can_be_built_from_its_parts(tmp_path):
  # As Caliban's and XManager's recipes do: at first, setup.py is alone.
  shutil.copy(ROOT / 'setup.py', tmp_path)
  done = subprocess.run(
    [sys.executable, 'setup.py', '-q', 'egg_info'],
    cwd=tmp_path,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  needs = (tmp_path / 'lconv_jax.egg-info' / 'requires.txt').read_text()
  needs = dict(re.findall(r'\[(.+)\]\n((?:.+\n)+)', needs))
  for extra in ('cpu', 'gpu'):  # that Caliban asks for by itself
    assert {'clu', 'google-auth'} < set(needs[extra].split())
  base = json.loads((ROOT / '.calibanconfig.json').read_text())['base_image']
  assert f'base_image={base!r}' in (ROOT / 'launch/xm_launch.py').read_text()
