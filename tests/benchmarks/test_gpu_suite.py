import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import hidden
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import floor, pictures
from benchmarks.gpu import __main__ as suite
from benchmarks.gpu import (
  cases,
  correctness,
  device,
  nets,
  pieces,
  speed,
  training,
  worker,
)
from lconv_jax import augment, data, errors, models
from lconv_jax.augment import policy
from lconv_jax.conv import batch_minor, matmul

ROOT = pathlib.Path(__file__).parents[2]
GROUPS = ('trajectories float32', 'convolutions float16', 'augmentation')


@pytest.fixture
def here(monkeypatch):
  """Lets workers' work be done in this process; returns what was asked for."""
  asked = []

  def call(fn, *args, timeout_s=None, **environ):
    asked.append((fn.__name__, environ.get('JAX_PLATFORMS'), timeout_s))
    try:
      return fn(*args)
    except errors.UsageError as e:
      raise worker.WorkError(str(e)) from e

  monkeypatch.setattr(worker, 'call', call)
  return asked


def quick(tmp_path, *args):
  out = tmp_path / 'new' / 'gpu.json'
  status = suite.main([
    '--any_device', '--quick', '--precision=float32', f'--out={out}', *args
  ])  # fmt: skip
  return status, json.loads(out.read_text())


def test_without_a_gpu_one_sentence_says_so(here, tmp_path, capsys):
  assert suite.main(['--out', str(tmp_path / 'gpu.json')]) == 0
  out = capsys.readouterr().out
  assert out.startswith('JAX sees no GPU, only cpu') and out.count('\n') == 1
  assert not list(tmp_path.iterdir())


def test_without_any_device_as_well():
  # The real command, in processes of its own.
  found = subprocess.run(
    [sys.executable, '-m', 'benchmarks.gpu'],
    env=os.environ | {'JAX_PLATFORMS': 'cuda'},
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert found.returncode == 0, found.stderr
  assert found.stdout.count('\n') == 1 and 'nothing is measured' in found.stdout


def test_speed_is_measured_and_written(here, monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(device, '_SECONDS', 0.01)
  status, content = quick(tmp_path, '--only', 's_fc_sgd')
  assert status == 0
  peaks = content['peaks']['rows'][0]
  assert peaks['tflops'] > 0 and peaks['bandwidth'] > 0
  (row,) = content['speed']['rows']
  assert row['name'] == 's_fc_sgd' and row['compile_s'] > 0
  assert row['steps_per_epoch'] == 4 and row['epoch_s'] > row['step_s']
  assert row['memory_gib'] is None  # CPUs do not count
  share = 1 - row['plain_step_s'] / row['step_s']
  assert row['augmentation_share'] == pytest.approx(share)
  minutes = row['minutes_of_4000_epochs']
  assert minutes == pytest.approx(4000 * row['epoch_s'] / 60)
  for least in row['floors'].values():
    assert least['share'] == pytest.approx(least['fused_s'] / row['step_s'])
  assert list(row['floors']) == ['paper', 'measured']
  goals = row['goals']
  assert goals['augmentation'] == (share <= 0.1)
  assert goals['floor'] == (row['floors']['measured']['share'] >= 0.7)
  assert row['passed'] == all(goals.values())
  assert {'commit', 'device'} <= content['speed']['environment'].keys()
  out = capsys.readouterr().out
  assert 'ms a step' in out and 'of the paper floor' in out


def test_a_failure_is_recorded_and_the_rest_goes_on(
  here, monkeypatch, tmp_path, capsys
):
  def measure(c, *_):
    if c.optim.name == 'beta_lasso':
      raise errors.UsageError('out of memory')
    return {'step_s': 1.0}

  monkeypatch.setattr(device, '_SECONDS', 0.01)
  monkeypatch.setattr(speed, 'measure', measure)
  monkeypatch.setattr(speed, 'line', str)
  names = ('s_fc_beta_lasso', 's_fc_sgd')
  status, content = quick(tmp_path, '--only', *names)
  assert status == 1
  assert content['speed']['rows'] == [
    {'name': 's_fc_beta_lasso', 'passed': False, 'error': 'out of memory'},
    {'name': 's_fc_sgd', 'step_s': 1.0},
  ]
  assert 'FAIL  s_fc_beta_lasso' in capsys.readouterr().out
  # The next command keeps the other parts.
  monkeypatch.setattr(correctness, 'check', lambda *_: iter(()))
  status, after = quick(tmp_path, '--only', 'augmentation')
  assert status == 0
  assert after.pop('correctness')['rows'] == [] and after == content


def test_every_group_agrees_with_itself(here, monkeypatch, tmp_path):
  monkeypatch.setattr(nets, '_TRAJECTORIES', (('s_fc', 'beta_lasso'),))
  monkeypatch.setattr(pieces, '_KINDS', ('conv', 'local_conv filters_last'))
  monkeypatch.setattr(policy, 'NAMES', policy.NAMES[:1])
  monkeypatch.setattr(augment, 'OPS', ('Rotate', 'Equalize'))
  status, content = quick(tmp_path, '--only', *GROUPS)
  rows = content['correctness']['rows']
  assert status == 0 and all(row['passed'] for row in rows), rows
  names = [row['name'] for row in rows]
  assert len(names) == 1 + 4 + 4
  assert 'trajectories float32: s_fc beta_lasso' in names
  assert 'augmentation: switch by select' in names
  # What is right in float32, and in 16 bits, is computed by the CPU once.
  on_cpu = [fn for fn, platform, _ in here if platform == 'cpu']
  assert len(on_cpu) == 1 + 2 + 1


def test_a_net_that_is_wrong_is_found(monkeypatch):
  monkeypatch.setattr(models, 'NETS', {'s_fc': models.NETS['s_fc']})
  right = nets.first_steps('float32', cases.QUICK)
  assert set(right['s_fc'][0]) >= {'output/logits', 'output/loss'}
  dot = matmul._dot

  def rounded(a, b):
    return dot(a, b.astype(jnp.bfloat16).astype(a.dtype))

  monkeypatch.setattr(matmul, '_dot', rounded)
  jax.clear_caches()
  wrong = nets.first_steps('float32', cases.QUICK)
  jax.clear_caches()
  row = correctness._compare(
    wrong['s_fc'], right['s_fc'], right['s_fc'], {'gradient': 2e-3}
  )
  assert not row['passed']


@pytest.mark.parametrize(
  ('spoil', 'tolerance', 'passed'),
  [
    (lambda a: a, 0.0, True),
    (lambda a: a * (1 + 1e-3), 1e-2, True),
    (lambda a: a * (1 + 1e-1), 1e-2, False),
    (lambda a: a + np.nan, 1e-2, False),
    (lambda a: a + 1, 0.0, False),
  ],
)
def test_arrays_are_compared(spoil, tolerance, passed):
  a = {'one': np.arange(1.0, 4.0), 'two': np.ones(2)}
  spoilt = a | {'two': spoil(a['two'])}
  args = (spoilt, ''), (a, ''), (a, ''), {'two': tolerance}
  row = correctness._compare(*args)
  assert row['passed'] is passed
  assert passed or row['worst'] == 'two'


def test_16_bits_may_be_as_wrong_as_on_the_cpu():
  # One number was right by luck; another one of its kind was not.
  right, cpu = ({'y/a': np.ones(9), 'y/b': np.full(9, v)} for v in (1.0, 1.01))
  for value, passed in ((0.98, True), (1.02, True), (1.1, False)):
    got = {'y/a': np.full(9, value), 'y/b': np.ones(9)}
    row = correctness._compare((got, ''), (right, ''), (cpu, ''), {})
    assert row['passed'] is passed


def test_a_case_that_fails_is_named(monkeypatch):
  monkeypatch.setattr(batch_minor, 'conv', None)
  monkeypatch.setattr(pieces, '_KINDS', ('conv', 'local_conv'))
  found = pieces.convolutions('float32', cases.QUICK)
  arrays, error = found['conv, loop']
  assert arrays is None and error.startswith('TypeError')
  assert found['local_conv, loop'][1] == ''
  right = {'y': np.ones(1)}, ''
  row = correctness._compare((None, error), right, right, {})
  assert row == {'passed': False, 'error': f'device: {error}'}


def test_a_group_that_dies_is_recorded(monkeypatch):
  def call(*_, **environ):
    raise worker.WorkError('The process ended by -9; Killed')

  monkeypatch.setattr(worker, 'call', call)
  (row,) = correctness.check(['augmentation'], cases.QUICK)
  assert row == {
    'name': 'augmentation', 'passed': False,
    'error': 'The process ended by -9; Killed',
  }  # fmt: skip


def test_a_worker_has_a_process_of_its_own():
  assert worker.call(os.getpid) != os.getpid()
  assert worker.call(os.getenv, 'JAX_PLATFORMS', JAX_PLATFORMS='x') == 'x'
  assert worker.call(os.getenv, 'CUDA_VISIBLE_DEVICES') == '0'
  with pytest.raises(worker.WorkError, match='ZeroDivisionError:'):
    worker.call(divmod, 1, 0)
  with pytest.raises(worker.WorkError, match='ended by 7'):
    worker.call(os._exit, 7)
  with pytest.raises(worker.WorkError, match='longer than 1 s'):
    worker.call(time.sleep, 60, timeout_s=1.0)
  # SIGTERM is what a run saves after, whose error then says so.
  with pytest.raises(worker.WorkError, match='RuntimeError: saved'):
    worker.call(exec, SAVES, timeout_s=2.0)


SAVES = """
import signal, time
def save(*_): raise RuntimeError('saved')
signal.signal(signal.SIGTERM, save)
time.sleep(60)
"""


def test_sigterm_ends_the_worker_as_well():
  script = (
    'import time\nfrom benchmarks.gpu import worker\n'
    'worker.stop_on_sigterm()\nprint(flush=True)\nworker.call(time.sleep, 60)'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', script], cwd=ROOT, stdout=subprocess.PIPE
  )
  process.stdout.readline()
  time.sleep(0.5)
  process.send_signal(signal.SIGTERM)
  assert process.wait(30) == 128 + signal.SIGTERM


def test_the_suite_itself_leaves_devices_alone():
  script = (
    'from benchmarks.gpu import __main__, worker\n'
    'worker.call = lambda *a, **k: {"platform": "gpu", "device": "", '
    '"jax": "", "commit": "", "tflops": 1.0, "bandwidth": 1.0}\n'
    '__main__.speed.line = str\n'
    '__main__.correctness.check = lambda *a: []\n'
    '__main__.main([])\n'
    'from jax._src import xla_bridge\n'
    'assert not xla_bridge.backends_are_initialized()'
  )
  subprocess.run([sys.executable, '-c', script], cwd=ROOT, check=True)


TRAIN = """
from benchmarks.gpu import __main__ as suite, worker
worker.call = lambda fn, *args, **_: fn(*args)
for _ in range(2):
  assert suite.main({args}) == 0
"""


def test_training_needs_decoded_images_alone_and_continues(
  tmp_path, monkeypatch
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  folder = tmp_path / 'tfds' / 'cifar10' / '3.0.2'
  folder.mkdir(parents=True)
  (folder / 'dataset_info.json').write_text(
    '{"name": "cifar10", "version": "3.0.2"}'
  )
  rng, arrays = np.random.default_rng(0), {}
  for part, count in (('train', 1064), ('test', 16)):
    shape = count, *pictures.SHAPE
    arrays[f'{part}_images'] = rng.integers(0, 256, shape, np.uint8)
    arrays[f'{part}_labels'] = np.arange(count, dtype=np.int32) % 10
  key = f'cifar10-{data.cache.fingerprint(folder)}'
  data.cache.cached(key, tuple(arrays), lambda: arrays)
  args = [
    *('--train', '--any_device', '--quick', '--epochs=1', '--only=s_fc_sgd'),
    *(f'--root={tmp_path}/runs', f'--out={tmp_path}/gpu.json'),
    f'--data_dir={tmp_path}/tfds',
  ]
  missing = ('array_record', 'clu', 'tensorflow', 'tensorflow_datasets')
  said = hidden.run(missing, TRAIN.format(args=args), quiet=False)
  (row,) = json.loads((tmp_path / 'gpu.json').read_text())['training']['rows']
  assert 0 <= row['best']['test/accuracy'] <= 1 and row['seconds'] > 0
  assert (tmp_path / 'runs' / 's_fc_sgd' / 'done.json').exists()
  assert said.count('test accuracy') == 4 and said.count('epoch 1/1') == 1


def test_training_without_data_says_so(here, tmp_path, capsys):
  missing = str(tmp_path / 'nowhere')
  args = ['--any_device', '--train', '--data_dir', missing]
  assert suite.main(args) == 1
  assert 'Nothing is trained: data.dir=' in capsys.readouterr().out


def test_what_cannot_finish_in_time_is_not_begun(
  here, monkeypatch, tmp_path, capsys
):
  """Three runs of equal floors, the second of which is half done."""
  now = 0.0

  def run(c, folder):
    nonlocal now
    now += 40
    best = {'test/accuracy': 0.5, 'epoch': 1}
    return {'best': best, 'last': best, 'epochs': 1, 'seconds': 30.0}

  monkeypatch.setattr(suite, 'time', type('', (), {'monotonic': lambda: now}))
  monkeypatch.setattr(suite, '_SAVE_S', 10.0)
  monkeypatch.setattr(training, 'prepare', lambda _: None)
  monkeypatch.setattr(training, 'run', run)
  monkeypatch.setattr(training, 'floors', lambda cs, *_: [15.0] * len(cs))
  half = tmp_path / 's_fc_sgd'
  half.mkdir()
  (half / 'metrics.jsonl').write_text('{"epoch": 200, "step": 1}\n')
  names = ('s_fc_beta_lasso', 's_fc_sgd', 's_local')
  args = ['--train', f'--root={tmp_path}', '--only', *names, '--seconds']
  status, content = quick(tmp_path, *args, '66')
  first, second, third = content['training']['rows']
  # Twice the floor are 30 s, and half of it 15 s, of the 16 that are left.
  assert first['seconds'] == second['seconds'] == 30 and status == 1
  assert third['error'] == 'not begun: needs 30 s, -24 s are left'
  assert [limit for fn, _, limit in here if fn == 'run'] == [56.0, 16.0]
  now = 0.0
  _, content = quick(tmp_path, *args, '24')
  rows = content['training']['rows']
  assert rows[0]['error'] == 'not begun: needs 15 s, 14 s are left'
  assert ['error' in row for row in rows] == [True, False, True]


def test_the_runs_are_the_papers():
  sgd = {
    's_fc_sgd': ('s_fc', 150), 's_local': ('s_local', 150),
    's_conv': ('s_conv', 150), 'd_local': ('d_local', 15),
    'd_conv': ('d_conv', 15), 'fc3': ('fc3', 150), 'd_fc': ('d_fc', 15),
  }  # fmt: skip
  lasso = {
    's_fc_beta_lasso': 50.0, 's_fc_beta_1': 1.0, 's_fc_beta_0': 0.0
  }  # fmt: skip
  assert list(training.RUNS)[:2] == ['s_fc_beta_lasso', 's_fc_sgd']
  assert training.RUNS.keys() == sgd.keys() | lasso.keys()
  for name in training.RUNS:
    c = training.config(name, 400, '', quick=False)
    net = sgd.get(name, ('s_fc', 150))
    assert (c.model.name, c.model.base_channels) == net
    if name in sgd:
      assert (c.optim.name, c.optim.momentum) == ('sgd', 0.9)
    else:
      assert (c.optim.name, c.optim.beta) == ('beta_lasso', lasso[name])
      assert c.optim.momentum == c.optim.weight_decay == 0
    assert (c.data.name, c.data.augment) == ('cifar10', 'fast_autoaugment')
    assert c.train.epochs == 400
  assert all(f > 0 for f in training.floors([c], floor.Device()))


def test_unknown_names_are_refused(capsys):
  with pytest.raises(SystemExit):
    suite.main(['--only', 's_cf'])
  assert 's_cf not among' in capsys.readouterr().err
