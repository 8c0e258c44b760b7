"""Grids on this machine, by real processes on tiny nets."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from launch import point, roots, select, status, sweep, together
from launch.status import State
from lconv_jax import errors, runs
from tests import fake_runs

ROOT = pathlib.Path(__file__).parents[2]
GRID = """
CONFIG = 'configs/s_fc.py:nlgp,smoke'
TINY = {'data.limit': 640, 'data.nlgp.train': 750, 'data.nlgp.test': 150,
        'data.validation': 110, 'train.batch_size': 64}

def sweep():
  return [{**TINY, 'optim.lr': lr} for lr in (0.05, 0.1, %s)]
"""


@pytest.fixture
def grid(tmp_path):
  path = tmp_path / 'grid.py'
  path.write_text(GRID % '0.2')
  return path


def start(module, *args):
  return subprocess.Popen(
    [sys.executable, *module, *map(str, args)],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process):
  out, err = process.communicate(timeout=120)
  return process.returncode, out, err


def local(*args):
  return start(('-m', 'launch.local'), *args)


def names(root):
  return list(roots.read(root).points)


def test_a_grid_trains_in_one_process_and_its_winner_is_named(grid, tmp_path):
  root = tmp_path / 'root'
  code, out, err = finish(local(grid, f'--root={root}'))
  assert code == 0, err
  assert 'is finished, validation' in out and '(3 of 3)' in out
  for name in names(root):
    assert runs.done(root / name)['environment']['side_by_side'] == 3
  code, out, _ = finish(local(grid, f'--root={root}'))
  assert code == 0 and 'All 3 points are finished' in out

  select.main([str(root), f'--csv={tmp_path}/t.csv'])
  with (tmp_path / 't.csv').open() as f:
    (row,) = csv.DictReader(f)
  best = {n: runs.done(root / n)['best'] for n in names(root)}
  won = max(best, key=lambda n: best[n]['validation/accuracy'])
  assert row['run'] == won
  accuracy = 100 * best[won]['test/accuracy']
  assert float(row['test (%)']) == pytest.approx(accuracy, abs=1e-3)


@pytest.mark.parametrize('more', [(), ('--jobs=2',)])
def test_a_point_that_fails_is_named_and_the_others_finish(
  more, grid, tmp_path
):
  grid.write_text(GRID % '1e30')
  root = tmp_path / 'root'
  code, _, err = finish(local(grid, f'--root={root}', *more))
  assert code == 1
  assert 'failed: lr=1e+30,seed=0: The training loss is nan' in err
  assert '1 of 3 points failed, 2 are finished' in err
  assert 'Traceback' not in err
  found = {n: status.read(root / n) for n in names(root)}
  assert [s.state for s in found.values()] == [
    State.FINISHED, State.FINISHED, State.FAILED
  ]  # fmt: skip
  assert 'loss is nan' in found['lr=1e+30,seed=0'].error
  together = 'side_by_side' in runs.done(root / names(root)[0])['environment']
  assert together == (not more)


def wait_for(condition, process):
  end = time.monotonic() + 180
  while not condition():
    assert process.poll() is None, finish(process)
    assert time.monotonic() < end, 'nothing happened'
    time.sleep(0.05)


@pytest.mark.parametrize('more', [(), ('--jobs=1',)])
def test_a_signal_saves_and_the_same_command_continues(more, grid, tmp_path):
  root = tmp_path / 'root'
  text = grid.read_text()
  grid.write_text(text.replace("'optim.lr'", "'train.epochs': 400, 'optim.lr'"))
  process = local(grid, f'--root={root}', *more)
  first = root / 'lr=0.05,seed=0'
  wait_for(lambda: (first / 'checkpoints' / '10').exists(), process)
  assert status.read(first).state is State.RUNNING

  code, _, err = finish(local(grid, f'--root={root}'))
  assert code == 1 and 'Another launcher is at work' in err

  process.send_signal(signal.SIGTERM)
  code, out, err = finish(process)
  assert code == 128 + signal.SIGTERM, err
  assert 'the same command continues' in out
  assert status.read(first).state is State.WAITING
  log = root / 'logs' / ('lr=0.05,seed=0.log' if more else 'together.log')
  assert 'saved after step' in log.read_text()

  if more:  # as main.py does
    return
  process = local(grid, f'--root={root}', *more)
  wait_for(lambda: 'continues after step' in log.read_text(), process)
  process.send_signal(signal.SIGINT)
  assert finish(process)[0] == 128 + signal.SIGINT


def test_when_the_shared_process_dies_points_train_by_themselves(
  grid, tmp_path
):
  root = tmp_path / 'root'
  process = local(grid, f'--root={root}')
  lock = root / 'lr=0.05,seed=0' / '.lock'
  wait_for(lambda: lock.exists() and lock.read_text(), process)
  os.kill(int(lock.read_text().split()[1]), signal.SIGKILL)
  code, out, err = finish(process)
  assert code == 0, err
  assert 'ended with status -9' in out
  assert all(runs.done(root / name) for name in names(root))


def test_what_a_killed_launcher_left_behind_is_not_disturbed(grid, tmp_path):
  root = tmp_path / 'root'
  with roots.only(root, '.lock'):
    code, _, err = finish(local(grid, f'--root={root}'))
  assert code == 1 and 'Another launcher is at work' in err
  assert not (root / 'logs').exists() and not (root / 'grid.json').exists()


def test_a_dry_run_prints_commands_and_leaves_nothing(grid, tmp_path):
  root = tmp_path / 'root'
  code, out, _ = finish(local(grid, f'--root={root}', '--dry_run'))
  assert code == 0 and not root.exists()
  lines = out.splitlines()
  assert f'--grid={grid}' in lines[0]
  assert sum('--config.optim.lr=' in line for line in lines) == 3
  assert f'--workdir={root}/lr=0.2,seed=0' in lines[-1]


def test_main_says_what_is_wrong_with_a_grid(tmp_path):
  config = '--config=configs/s_fc.py:nlgp,smoke'
  for more, hint in (
    (['--grid=sgdd'], 'Did you mean sgd'),
    (['--grid=sgd', '--noconfig.data.flip'], 'by --config.FIELD=VALUE'),
    (['--seeds=0,1'], 'are for --grid'),
  ):
    words = (config, f'--workdir={tmp_path}/root', *more)
    code, _, err = finish(start(('main.py',), *words))
    assert code == 1 and hint in err and 'Traceback' not in err
  for seeds, hint in (
    (['a'], 'list such as 0,1,2'),
    ([], 'has no points'),
    (['0', '4294967296'], 'seed 4294967296 must be'),
    (['-1'], 'seed -1 must be at least 0'),
  ):
    with pytest.raises(errors.UsageError, match=hint):
      together.train_grid(
        None, 'sgd', 'configs/s_fc.py', {}, seeds, tmp_path / 'root'
      )
  assert not (tmp_path / 'root').exists()


def test_a_reason_that_points_share_is_said_once():
  failed = {'a': 'no data', 'b': 'no luck', 'c': 'no data', 'd': 'no data'}
  assert together.why(failed) == ['a and 2 more: no data', 'b: no luck']


def test_one_point_starts_from_the_root(tmp_path, monkeypatch):
  whole = sweep.expand('sgd', None, {'data.dir': 'd'})
  roots.claim(tmp_path, whole)
  started = []
  monkeypatch.setattr(os, 'execv', lambda path, words: started.append(words))
  point.main([str(tmp_path), '3', '--distributed'])
  name = list(whole.points)[3]
  assert started == [
    [*sweep.command(whole, name, str(tmp_path)), '--distributed']
  ]
  with pytest.raises(SystemExit, match=r'points 0 ... 19, not 20'):
    point.main([str(tmp_path), '20'])
  with pytest.raises(SystemExit, match='holds no grid'):
    point.main([str(tmp_path / 'x'), '0'])


def fake(root, name, validation, test):
  """Writes a run folder as a finished run leaves it."""
  folder = root / name
  folder.mkdir()
  best = {'epoch': 1.0, 'step': 1, 'test/accuracy': test}
  if validation is not None:
    best['validation/accuracy'] = validation
  runs.write_json(folder / 'done.json', {'best': best})


def test_winners_are_chosen_by_mean_validation_of_complete_points(tmp_path):
  whole = sweep.expand('table2:mini', seeds=[0, 1])
  path = tmp_path / 'g.py'
  path.write_text(
    'CONFIG = "configs/s_fc.py"\ndef sweep(): return ['
    '{"model.name": m, "optim.lr": lr} for m in ("s_fc", "s_conv", "fc3")'
    ' for lr in (0.1, 0.2, 0.3)]'
  )
  whole = sweep.expand(str(path), seeds=[0, 1])
  roots.claim(tmp_path, whole)
  scores = {  # validation and test of seeds 0, 1
    ('s_fc', 0.1): ((0.5, 0.9), (0.6, 0.9)),
    ('s_fc', 0.2): ((0.6, 0.1), (0.62, 0.2)),  # best mean, worst test
    ('s_fc', 0.3): ((0.99, 1.0),),  # a seed is missing
    ('s_conv', 0.1): ((0.7, 0.5), (0.7, 0.7)),
    ('s_conv', 0.2): ((0.7, 0.9), (0.7, 0.9)),  # equal: the first one wins
  }
  for (model, lr), seeds in scores.items():
    for seed, (validation, test) in enumerate(seeds):
      name = f'model.name={model},lr={lr:g},seed={seed}'
      fake(tmp_path, name, validation, test)
  rows = select.winners(select.candidates(tmp_path, roots.read(tmp_path)))
  s_fc, s_conv, fc3 = rows
  assert (s_fc['optim.lr'], s_fc['finished']) == (0.2, '2 of 3')
  assert s_fc['validation (%)'] == pytest.approx(61)
  assert s_fc['validation ± (%)'] == pytest.approx(2**0.5)
  assert s_fc['test (%)'] == pytest.approx(15)
  assert s_conv['optim.lr'] == 0.1
  assert s_conv['test ± (%)'] == pytest.approx(2**0.5 * 10)
  assert fc3['test (%)'] is None and fc3['optim.lr'] is None
  assert fc3['finished'] == '0 of 3' and fc3['model.name'] == 'fc3'
  select.main([str(tmp_path), f'--markdown={tmp_path}/t.md'])
  assert '| s_conv | 0.10 |' in (tmp_path / 't.md').read_text()

  fake(tmp_path, 'model.name=fc3,lr=0.1,seed=0', None, 0.5)
  fake(tmp_path, 'model.name=fc3,lr=0.1,seed=1', None, 0.5)
  with pytest.raises(SystemExit, match='nothing may be chosen by test'):
    select.main([str(tmp_path)])


def test_the_status_of_what_a_folder_holds(tmp_path, capsys):
  roots.claim(tmp_path, sweep.expand('learning_rate'))
  begun = tmp_path / names(tmp_path)[0]
  assert status.read(begun).state is State.WAITING
  fake_runs.write(begun, finished=False, measured=0, train__epochs=8)
  rows = [
    {'epoch': e, 'step': int(e), 'seconds': 10.0 * e, 'validation/accuracy': v}
    for e, v in ((1.0, 0.5), (2.0, 0.7), (3.0, 0.6))
  ]
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  (begun / 'metrics.jsonl').write_text(text)
  assert status.read(begun).state is State.WAITING
  (begun / '.lock').write_text(f'{os.uname().nodename} {os.getpid()}')
  found = status.read(begun)
  assert (found.state, found.epoch, found.epochs) == (State.RUNNING, 3, 8)
  assert found.best['epoch'] == 2 and found.left == pytest.approx(50)
  status.main([str(tmp_path)])
  out = capsys.readouterr().out
  assert '3/8' in out and '70.00' in out and '50s' in out
  assert '3 points: 1 running, 2 waiting' in out
  (begun / runs.ERROR).write_text('no luck\n')
  status.main([str(tmp_path)])
  assert 'lr=0.01,seed=0: no luck' in capsys.readouterr().out


def test_a_point_whose_config_is_damaged_has_failed(tmp_path):
  folder = fake_runs.write(tmp_path / 'a')
  (folder / 'config.json').write_text('{"seed": ')
  found = status.read(folder)
  assert found.state is State.FAILED and 'is damaged' in found.error
