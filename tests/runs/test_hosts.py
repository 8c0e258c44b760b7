"""Two real processes on this machine, as on two hosts."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

from lconv_jax import errors
from lconv_jax.runs import checkpoint, hosts, metrics

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = (
  '--config=configs/s_fc.py:nlgp,smoke',
  '--config.data.nlgp.channels=3',
  '--config.data.augment=flip_crop',
  '--config.data.limit=1024',
  '--config.data.nlgp.train=2100',
  '--config.optim.l1_conv=1e-3',
)


def command(workdir, *args):
  return [sys.executable, 'main.py', *CONFIG, f'--workdir={workdir}', *args]


def start(workdir, *args, each=((), ())):
  """Starts two processes of one run, each with a file for what it says.

  A pipe would fill up while nobody reads: jax 0.10.0 writes 63 kB about the
  programs that it finds compiled.
  """
  with socket.socket() as s:
    s.bind(('localhost', 0))
    port = s.getsockname()[1]
  outputs = [tempfile.TemporaryFile('w+') for _ in range(2)]
  processes = [
    subprocess.Popen(
      command(
        workdir, *args, *each[i], '--distributed', '--num_processes=2',
        f'--coordinator_address=localhost:{port}', f'--process_id={i}',
      ),
      cwd=ROOT, stdout=outputs[i], stderr=subprocess.STDOUT,
    )
    for i in range(2)
  ]  # fmt: skip
  return processes, outputs


def finish(processes, outputs, seconds=240):
  """Returns exit statuses and outputs of all."""
  end = time.monotonic() + seconds
  try:
    for p in processes:
      p.wait(end - time.monotonic())
  finally:
    for p in processes:
      p.kill()
  said = []
  for output in outputs:
    with output:
      output.seek(0)
      said.append(output.read())
  return [p.returncode for p in processes], said


def on_one_process(workdir, *args):
  flags = '--xla_force_host_platform_device_count=2'
  return subprocess.run(
    command(workdir, *args),
    cwd=ROOT,
    env={**os.environ, 'XLA_FLAGS': flags},
    capture_output=True,
    text=True,
    check=True,
  ).stdout


def assert_same_run(a, b):
  rows = metrics.read(a), metrics.read(b)
  assert len(rows[0]) == len(rows[1])
  for x, y in zip(*rows, strict=True):
    for key in x.keys() - {'seconds', 'images_per_second'}:
      assert x[key] == pytest.approx(y[key], rel=1e-4), key
  for which in ('best', 'last'):
    one, other = (checkpoint.load_net(f, which)['params'] for f in (a, b))
    for layer in one:
      for x, y in zip(one[layer].values(), other[layer].values(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  folder = tmp_path_factory.mktemp('one') / 'run'
  on_one_process(folder, '--config.train.epochs=5')
  return folder


def test_two_processes_are_one_with_two_devices(tmp_path, uninterrupted):
  folder = tmp_path / 'run'
  status, outputs = finish(*start(folder, '--config.train.epochs=5'))
  assert status == [0, 0], outputs
  assert '2 × cpu, 2 processes' in outputs[0] and 'Done:' in outputs[0]
  assert 'epoch' not in outputs[1] and 'Done' not in outputs[1]
  assert_same_run(folder, uninterrupted)
  steps = [p.name for p in (folder / checkpoint.FOLDER).iterdir()]
  assert sorted(steps, key=int) == ['32', '40']
  done = json.loads((folder / 'done.json').read_text())
  assert done['environment']['devices'] == 2

  # The same command again: both say, or keep quiet, that it is finished.
  status, outputs = finish(*start(folder, '--config.train.epochs=5'))
  assert status == [0, 0] and 'is finished' in outputs[0]


@pytest.mark.parametrize('victim', [0, 1])
def test_a_death_ends_the_run_and_another_count_continues_it(
  victim, tmp_path, uninterrupted
):
  folder = tmp_path / 'run'
  processes, files = start(folder, '--config.train.epochs=5')
  first = folder / checkpoint.FOLDER / '8'
  end = time.monotonic() + 180
  while not first.exists():
    assert time.monotonic() < end, finish(processes, files)
    time.sleep(0.02)
  processes[victim].send_signal(signal.SIGKILL)
  killed = time.monotonic()
  status, outputs = finish(processes, files)
  assert time.monotonic() - killed < 120
  assert status[victim] == -signal.SIGKILL
  assert status[1 - victim] not in (0, -signal.SIGKILL)
  # Ours, or that of JAX where its service is the first to notice.
  said = ('another process of this run has died', 'another task died')
  assert any(s in outputs[1 - victim] for s in said), outputs
  assert not (folder / 'done.json').exists()

  if victim == 0:
    return
  output = on_one_process(folder, '--config.train.epochs=5')
  assert 'continues after step' in output
  assert_same_run(folder, uninterrupted)


def test_sigterm_to_one_stops_both_and_two_continue(tmp_path, uninterrupted):
  folder = tmp_path / 'run'
  processes, files = start(folder, '--config.train.epochs=5')
  while not (folder / checkpoint.FOLDER / '8').exists():
    assert processes[0].poll() is None, finish(processes, files)
    time.sleep(0.02)
  processes[1].send_signal(signal.SIGTERM)
  status, outputs = finish(processes, files)
  assert status == [128 + signal.SIGTERM] * 2, outputs
  assert all('the same command continues' in text for text in outputs)
  status, outputs = finish(*start(folder, '--config.train.epochs=5'))
  assert status == [0, 0] and 'continues after step' in outputs[0]
  assert_same_run(folder, uninterrupted)


@pytest.mark.parametrize(
  ('each', 'said'),
  [
    (
      ((), ('--config.seed=1',)),
      ('configs differ between the 2', 'configs differ between the 2'),
    ),
    (((), ('--config.optim.lr=-1',)), ('Process 1 of this', 'optim.lr=-1')),
  ],
)  # fmt: skip
def test_what_stops_one_stops_both(each, said, tmp_path):
  status, outputs = finish(*start(tmp_path / 'run', each=each))
  assert status == [1, 1]
  for text, want in zip(outputs, said, strict=True):
    assert want in text
    assert 'Traceback' not in text


def test_one_process_agrees_with_itself():
  with hosts.fail_together():
    assert hosts.is_first() and hosts.alone()
  assert hosts.gather([3, 4]).tolist() == [[3, 4]]
  value, array = {'a': [1, 'b']}, np.arange(3)
  assert hosts.in_first(lambda x: x)(value) is value
  assert hosts.arrays_in_first(lambda: array, like=array) is array
  hosts.check_same('Nothing', b'a', array)
  with pytest.raises(errors.UsageError, match='mine'), hosts.fail_together():
    raise errors.UsageError('mine')


def test_without_a_cluster_the_flags_are_named():
  result = subprocess.run(
    command('/tmp/unused', '--distributed'),
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 1
  assert '--coordinator_address=HOST:PORT' in result.stderr
  assert 'Traceback' not in result.stderr
