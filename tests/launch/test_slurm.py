"""Grids on SLURM: the script, and a real cluster of one node if it starts."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from launch import slurm

ROOT = pathlib.Path(__file__).parents[2]
CLUSTER = ROOT / 'launch' / 'one_node_slurm.sh'
TINY = (
  '--config=configs/s_fc.py:nlgp,smoke',
  '--config.data.limit=1024',
  '--config.data.nlgp.train=2100',
  '--config.data.nlgp.test=200',
)


def launch(*args, env=None):
  return subprocess.run(
    [sys.executable, '-m', 'launch.slurm', *map(str, args)],
    cwd=ROOT,
    env={**os.environ, **(env or {})},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture
def dry_run(capsys, monkeypatch):
  """Returns a function: what is printed, by lines, where there is no SLURM."""
  monkeypatch.setenv('PATH', '/nowhere')

  def lines(root, *args):
    slurm.main(['learning_rate', f'--root={root}', '--dry_run', *args])
    return capsys.readouterr().out.splitlines()

  return lines


def test_a_dry_run_prints_all_and_writes_nothing(tmp_path, dry_run):
  root = tmp_path / 'a %a "b"'
  lines = dry_run(root)
  assert lines[:2] == [
    '3 points: 0 finished, 0 submitted before, 3 left.',
    '#!/bin/bash',
  ]
  assert '#SBATCH --array=0-2' in lines
  assert f'#SBATCH --output=\'{tmp_path}/a %%a "b"/logs/%a.txt\'' in lines
  assert f'  \'{root}\' "$SLURM_ARRAY_TASK_ID"' in lines
  assert lines[-1] == f"sbatch '{root}/slurm.sh'"
  assert not root.exists()


def test_bash_understands_the_script(tmp_path, dry_run):
  text = '\n'.join(dry_run(tmp_path / 'a b', '--nodes=2', '--cpus=3')[1:-1])
  subprocess.run(['/bin/bash', '-n'], input=text, text=True, check=True)


def test_options_reach_the_script(tmp_path, dry_run):
  lines = dry_run(
    tmp_path,
    '--at_once=2',
    '--time=1-12',
    '--partition=p',
    '--gpus=a100:4',
    '--cpus=3',
    '--mem=8G',
    '--sbatch=--account=me',
    '--sbatch=--exclusive',
  )
  wanted = (
    'array=0-2%2', 'nodes=1', 'ntasks-per-node=1', 'time=1-12', 'partition=p',
    'gpus-per-node=a100:4', 'cpus-per-task=3', 'mem=8G', 'account=me',
    'exclusive', 'requeue', 'signal=TERM@120', 'open-mode=append',
  )  # fmt: skip
  assert {f'#SBATCH --{option}' for option in wanted} < set(lines)
  assert not any('--distributed' in line for line in lines)


@pytest.mark.parametrize(
  ('args', 'tasks'),
  [
    (('--nodes=2',), 1),
    (('--nodes=2', '--gpus=4'), 4),
    (('--nodes=2', '--gpus=a100:4'), 4),
    (('--ntasks_per_node=2',), 2),
  ],
)
def test_processes_of_one_run(args, tasks, tmp_path, dry_run):
  lines = dry_run(tmp_path, *args)
  assert f'#SBATCH --ntasks-per-node={tasks}' in lines
  assert f'  {tmp_path} "$SLURM_ARRAY_TASK_ID" --distributed' in lines


def test_what_is_finished_is_left_out(tmp_path, dry_run):
  (tmp_path / 'lr=0.1,seed=0').mkdir()
  done = tmp_path / 'lr=0.1,seed=0' / 'done.json'
  done.write_text(json.dumps({'best': {'step': 1}}))
  assert '#SBATCH --array=0,2' in dry_run(tmp_path)


@pytest.mark.parametrize(
  ('indices', 'short'),
  [([3], '3'), ([0, 1], '0-1'), ([0, 1, 2, 4, 6, 7], '0-2,4,6-7')],
)
def test_indices_are_compressed(indices, short):
  assert slurm.compress(indices) == short


@pytest.mark.parametrize(
  ('args', 'hint'),
  [
    (('--gpus=x',), "'x' is neither 4 nor a100:4"),
    (('--gpus=0',), "'0' is neither 4 nor a100:4"),
    (('--at_once=0',), 'not a whole number above 0'),
    (('--time=4',), "'4' is less than 5 minutes"),
    (('--time=0:30',), 'less than 5 minutes'),
    (('--time=0:04:59',), 'less than 5 minutes'),
    (('--sbatch=exclusive',), 'not an option such as --sbatch=--account=me'),
    (('--nodes=2', '--gpus=4', '--ntasks_per_node=1'), 'leave out --ntasks'),
    ((), 'sbatch is not found'),
  ],
)
def test_bad_input_is_one_sentence(args, hint, tmp_path, capsys, monkeypatch):
  monkeypatch.setenv('PATH', '/nowhere')
  # Without SLURM, what is wrong with the options shows in a dry run alone.
  words = [*args, '--dry_run'] if args else []
  with pytest.raises(SystemExit) as e:
    slurm.main(['learning_rate', f'--root={tmp_path}/new', *words])
  assert e.value.code != 0
  said = capsys.readouterr().err.splitlines()
  assert hint in (said or [e.value.code])[-1]
  assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize(
  'time', ['5', '5:00', '0:05:00', '4:00:00', '1-0', '90', '0:10:00']
)
def test_a_time_that_is_long_enough(time, tmp_path, dry_run):
  assert f'#SBATCH --time={time}' in dry_run(tmp_path, f'--time={time}')


# From here on with a real cluster.


def cluster_script(*args):
  return subprocess.run(
    [CLUSTER, *args], capture_output=True, text=True, check=False
  )


def test_the_cluster_script_takes_no_folder_of_others(tmp_path):
  (tmp_path / 'theirs').touch()
  for what in ('start', 'stop'):
    assert cluster_script(what, tmp_path).returncode == 1
  assert [path.name for path in tmp_path.iterdir()] == ['theirs']


@pytest.fixture(scope='module')
def cluster():
  """Starts SLURM on this machine; returns the environment of its clients."""
  # Munged wants a folder that all users can reach, which pytest's are not.
  folder = tempfile.mkdtemp(prefix='lconv_jax_slurm_')
  started = cluster_script('start', folder)
  try:
    if started.returncode:
      pytest.skip(started.stderr.strip())
    name, _, value = started.stdout.strip().partition('=')
    yield {name.removeprefix('export '): value}
  finally:
    stopped = cluster_script('stop', folder)
    shutil.rmtree(folder, ignore_errors=True)
  assert stopped.returncode == 0, stopped.stderr


def ask(cluster, *command):
  return subprocess.run(
    command,
    env={**os.environ, **cluster},
    capture_output=True,
    text=True,
    check=True,
  ).stdout.strip()


def submit(cluster, *args):
  """Returns the number of the job."""
  result = launch(*args, *TINY, env=cluster)
  assert result.returncode == 0, result.stderr
  return result.stdout.split()[-1]


def wait_for(cluster, root, what, seconds=60):
  end = time.monotonic() + seconds
  while not what():
    logs = [log.read_text() for log in root.glob('logs/*')]
    assert time.monotonic() < end, (logs, ask(cluster, 'squeue'))
    time.sleep(0.2)


def finish(cluster, root, job):
  """Waits until nothing of a job is left in the queue."""
  wait_for(cluster, root, lambda: job not in ask(cluster, 'squeue'))


def state(cluster, task):
  words = ask(cluster, 'scontrol', 'show', 'job', task).split()
  return next(w for w in words if w.startswith('JobState='))


def test_an_array_of_points_of_which_one_fails(cluster, tmp_path):
  grid = tmp_path / 'mine.py'
  grid.write_text(
    'CONFIG = "configs/s_fc.py"\n'
    'def sweep(): return [{"optim.lr": lr} for lr in (0.1, 0.2, -1.0, 0.3)]\n'
  )
  root = tmp_path / 'a root'
  args = (grid, f'--root={root}', '--config.train.epochs=1')
  job = submit(cluster, *args)
  again = launch(*args, *TINY, env=cluster)
  assert again.stdout.startswith('4 points: 0 finished, 4 submitted before, 0')
  assert 'Submitted' not in again.stdout
  finish(cluster, root, job)
  done = {path.parent.name for path in root.glob('*/done.json')}
  assert done == {f'lr={lr},seed=0' for lr in (0.1, 0.2, 0.3)}
  assert state(cluster, f'{job}_2') == 'JobState=FAILED'
  assert 'optim.lr=-1' in (root / 'logs' / '2.txt').read_text()
  again = launch(*args, '--dry_run', *TINY, env=cluster)
  assert '4 points: 3 finished, 0 submitted before, 1 left.' in again.stdout
  assert '#SBATCH --array=2\n' in again.stdout


def test_a_stopped_run_continues_by_itself_and_a_cancelled_one_does_not(
  cluster, tmp_path
):
  stopped, cancelled = tmp_path / 'stopped', tmp_path / 'cancelled'
  jobs = {}
  for root, epochs in ((stopped, 100), (cancelled, 1000)):
    args = (f'--root={root}', f'--config.train.epochs={epochs}')
    jobs[root] = submit(cluster, 'single', *args)

  def says(root, word, times=1):
    log = root / 'logs' / '0.txt'
    wait_for(
      cluster,
      root,
      lambda: log.exists() and log.read_text().count(word) >= times,
    )

  says(stopped, 'epoch 1')
  ask(cluster, 'scancel', '--signal=TERM', f'{jobs[stopped]}_0')
  says(cancelled, 'epoch 1')
  ask(cluster, 'scancel', jobs[cancelled])
  finish(cluster, cancelled, jobs[cancelled])
  assert state(cluster, jobs[cancelled]) == 'JobState=CANCELLED'
  says(cancelled, 'the same command continues')
  assert not (cancelled / 'seed=0' / 'done.json').exists()

  says(stopped, 'continues after step')
  ask(cluster, 'srun', '--partition=urgent', '--exclusive', 'true')
  finish(cluster, stopped, jobs[stopped])
  says(stopped, 'Task ', 3)
  says(stopped, 'continues after step', 2)
  says(stopped, 'SIGTERM: saved', 2)
  assert (stopped / 'seed=0' / 'done.json').exists()


def test_two_processes_train_one_run(cluster, tmp_path):
  args = (f'--root={tmp_path}', '--ntasks_per_node=2', '--cpus=1')
  job = submit(cluster, 'single', *args)
  finish(cluster, tmp_path, job)
  assert '2 processes' in (tmp_path / 'logs' / '0.txt').read_text()
  assert (tmp_path / 'seed=0' / 'done.json').exists()


def test_what_sbatch_says_is_shown(cluster, tmp_path):
  result = launch(
    'single', f'--root={tmp_path}', '--partition=none', env=cluster
  )
  assert result.returncode == 1
  assert 'Invalid partition name' in result.stderr
  assert result.stderr.count('\n') == 1
