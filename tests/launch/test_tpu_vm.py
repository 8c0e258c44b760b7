import itertools
import json
import pathlib
import shlex
import signal
import subprocess
import sys

import pytest

from launch import roots, sweep, tpu_vm

HERE = pathlib.Path(__file__).parents[1]
POINTS = ['lr=0.01,seed=0', 'lr=0.1,seed=0', 'lr=1,seed=0']
# In place of a host's python3 and of the one that it installs: the latter
# "trains" where it is the first host, unless it is told to fail.
PYTHON3 = """#!/bin/bash
echo "python3 $@" >> ~/installed
if [ "$3" = venv ]; then
  mkdir -p venv/bin && cp {trainer} venv/bin/python
fi
"""
TRAINER = """#!/bin/bash
test -f main.py || exit 9
echo "$@" >> ~/trained
for last; do case $last in --workdir=*) dir=${last#--workdir=};; esac; done
case $HOME in *host0) ;; *) exit 0;; esac
dir=${dir/#\\~/$HOME}
mkdir -p "$dir"
case "$*" in *"$FAIL"*) exit $STATUS;; esac
echo '{"best": {"step": 1}}' > "$dir/done.json"
"""


@pytest.fixture
def cloud(tmp_path, monkeypatch):
  folder = tmp_path / 'cloud'
  (folder / 'bin').mkdir(parents=True)
  for name, text in {
    'gcloud': f'#!/bin/sh\nexec {sys.executable} -S {HERE}/fake_gcloud.py "$@"',
    'python3': PYTHON3.format(trainer=folder / 'bin' / 'trainer'),
    'trainer': TRAINER,
  }.items():
    (folder / 'bin' / name).write_text(text)
    (folder / 'bin' / name).chmod(0o755)
  monkeypatch.setenv('PATH', f'{folder / "bin"}:/usr/bin:/bin')
  monkeypatch.setenv('FAKE_GCLOUD', str(folder))
  monkeypatch.setenv('FAIL', 'nothing')
  return folder


def launch(root, *words, type='v4-8'):
  tpu_vm.main(
    [
      'learning_rate',
      f'--root={root}',
      '--name=vm',
      '--zone=zone',
      f'--accelerator_type={type}',
      *words,
    ]
  )


def calls(cloud):
  """Returns gcloud's calls since the last time."""
  log = cloud / 'log'
  lines = log.read_text().splitlines() if log.exists() else []
  log.unlink(missing_ok=True)
  return [json.loads(line) for line in lines]


def verbs(cloud):
  return ' '.join(call['verb'] for call in calls(cloud))


def test_a_grid_is_trained_and_comes_back(cloud, tmp_path):
  root = tmp_path / 'root'
  launch(root, '--config.data.name=svhn_cropped')
  made = calls(cloud)
  each = 'describe ssh scp'
  assert ' '.join(call['verb'] for call in made) == (
    f'describe create scp ssh ssh scp {each} {each}'
  )
  assert made[1]['version'] == 'tpu-ubuntu2204-base' and not made[1]['spot']
  installed = (cloud / 'host0' / 'installed').read_text()
  assert 'uv pip install -q --python venv/bin/python -e lconv_jax[all,tpu]' in (
    installed
  )
  # The hosts have the commit.
  show = ['git', 'rev-parse', 'HEAD']
  ours, theirs = (
    subprocess.run(show, cwd=folder, capture_output=True, check=True).stdout
    for folder in (HERE, cloud / 'host0' / 'lconv_jax')
  )
  assert ours == theirs
  whole = roots.read(root)
  assert list(whole.points) == POINTS
  trained = (cloud / 'host0' / 'trained').read_text().splitlines()
  assert [line.split() for line in trained] == [
    ['main.py', *sweep.flags(whole, name, '~/runs/root')] for name in POINTS
  ]
  assert all(roots.finished(root, name) for name in POINTS)
  assert not (root / '.incoming').exists()
  launch(root, '--config.data.name=svhn_cropped')
  assert verbs(cloud) == ''  # nothing is left to do
  launch(root, '--config.data.name=svhn_cropped', '--delete')
  assert verbs(cloud) == 'delete'


def test_all_hosts_of_a_slice_train_together(cloud, tmp_path):
  launch(tmp_path / 'root', '--spot', '--delete', type='v4-16')
  made = calls(cloud)
  assert made[1]['spot'] and made[1]['accelerator_type'] == 'v4-16'
  assert made[-1]['verb'] == 'delete'
  trains = [c for c in made if 'main.py --config' in str(c.get('command'))]
  assert len(trains) == 3
  for call in trains:
    assert call['worker'] == 'all'
    assert shlex.split(call['command'])[-1] == '--distributed'
  assert {c['worker'] for c in made if c.get('recurse')} == {'0'}


@pytest.mark.parametrize('status', ['1', '0'])  # 0: only some of it came back
def test_the_same_command_does_what_is_left(
  status, cloud, tmp_path, monkeypatch
):
  root = tmp_path / 'root'
  monkeypatch.setenv('STATUS', status)
  monkeypatch.setenv('FAIL', 'lr=0.1')
  with pytest.raises(SystemExit, match=r'1 points .* such as lr=0.1,seed=0'):
    launch(root, '--delete')
  assert [roots.finished(root, name) for name in POINTS] == [True, False, True]
  assert not (root / POINTS[1]).exists()
  assert 'delete' not in verbs(cloud)
  monkeypatch.setenv('FAIL', 'nothing')
  launch(root)
  assert verbs(cloud) == 'describe scp ssh ssh scp'
  trained = (cloud / 'host0' / 'trained').read_text()
  assert [trained.count(name) for name in POINTS] == [1, 2, 1]
  assert all(roots.finished(root, name) for name in POINTS)


def test_a_spot_vm_that_is_gone_is_made_again(cloud, tmp_path):
  root = tmp_path / 'root'
  (cloud / 'state').write_text('PREEMPTED')
  launch(root)
  assert verbs(cloud).startswith('describe delete create scp ssh ssh scp')
  assert all(roots.finished(root, name) for name in POINTS)


def test_what_a_lost_connection_left_is_stopped_first(cloud, tmp_path):
  (cloud / 'state').write_text('READY')
  runs = cloud / 'host0' / 'runs' / 'root'
  runs.mkdir(parents=True)
  left = subprocess.Popen(['bash', '-c', 'exec -a main.py sleep 60'])
  (runs / '.pid').write_text(str(left.pid))
  try:
    launch(tmp_path / 'root')
    assert left.wait(10) == -signal.SIGTERM
  finally:
    left.kill()


def test_a_dry_run_does_nothing(cloud, tmp_path, capsys):
  root = tmp_path / 'root'
  launch(root, '--dry_run', '--delete', '--project=p')
  assert verbs(cloud) == '' and not root.exists()
  out = capsys.readouterr().out
  commands = shlex.split(out, comments=True)
  each = ['describe', 'ssh', 'scp']
  shown = [b for a, b in itertools.pairwise(commands) if a == 'tpu-vm']
  assert shown == [
    'describe', 'create', 'scp', 'ssh', 'ssh', 'scp', *each, *each, 'delete',
  ]  # fmt: skip
  assert out.count('--project=p') == len(shown)


def test_bad_input_is_one_sentence(cloud, tmp_path, monkeypatch, capsys):
  root = tmp_path / 'root'

  def fails(match, *words, **kwargs):
    with pytest.raises(SystemExit) as e:
      launch(root, *words, **kwargs)
    said = str(e.value) + capsys.readouterr().err
    assert match in said, said

  fails('No runtime is known for v9-8', type='v9-8')
  fails("'v4' is not a type such as v4-8", type='v4')
  fails('no field optim.lrr. Did you mean optim.lr', '--config.optim.lrr=1')
  assert not root.exists()
  monkeypatch.setenv('FAKE_GCLOUD_SAYS', 'PERMISSION_DENIED: no')
  fails('PERMISSION_DENIED: no')
  (cloud / 'state').write_text('STOPPED')
  fails('vm is STOPPED; wait until it is READY')
  (root / POINTS[0]).mkdir()
  fails('holds a run that was begun elsewhere')
  assert set(verbs(cloud).split()) == {'describe'}
  monkeypatch.setenv('PATH', '/nowhere')
  fails('gcloud is not installed')


def test_launchers_import_no_jax():
  code = (
    'import sys, launch.caliban, launch.tpu_vm, launch.checkout\n'
    'print({"jax", "flax", "optax"} & set(sys.modules))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=HERE.parent,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout == 'set()\n'
