import os
import shutil
import signal
import threading

import jax
import numpy as np
import pytest

from lconv_jax import errors
from lconv_jax.data import dataset as data
from lconv_jax.runs import checkpoint, interrupt, metrics
from lconv_jax.train import run as train
from lconv_jax.train import trainer
from tests import small


@pytest.fixture
def config():
  return small.config()


def final(folder):
  params = checkpoint.load_params(folder, 'last')
  return jax.tree.map(np.asarray, params), metrics.read(folder)


def assert_same_run(a, b):
  jax.tree.map(np.testing.assert_array_equal, final(a)[0], final(b)[0])
  timing = {'images_per_second', 'seconds'}
  for x, y in zip(final(a)[1], final(b)[1], strict=True):
    assert {k: v for k, v in x.items() if k not in timing} == {
      k: v for k, v in y.items() if k not in timing
    }


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  folder = tmp_path_factory.mktemp('whole')
  train.train_and_evaluate(small.config(), folder)
  return folder


def test_a_run_leaves_everything_in_its_folder(config, whole, capsys):
  result = train.run.done(whole)
  assert result['best']['test/accuracy'] >= 0.5
  assert result['last']['step'] == 4 * 10
  assert result['weights'] == {'conv1': 2**18, 'fc1': 6144, 'fc2': 48}
  assert 0 < result['last']['nonzero/conv1'] < 1
  assert result['environment']['commit']
  rows = metrics.read(whole)
  assert [row['epoch'] for row in rows] == [1, 2, 3, 4]
  best = max(row['validation/accuracy'] for row in rows)
  assert result['best']['validation/accuracy'] == best

  again = train.train_and_evaluate(config, whole)
  assert again == result
  assert 'is finished' in capsys.readouterr().out


def interrupt_at(monkeypatch, step, number=signal.SIGTERM):
  """Sends a signal to this process when training reaches a step."""
  original = trainer.Trainer.train_until

  def spy(self, stop):
    totals = original(self, stop)
    if stop >= step:
      monkeypatch.setattr(trainer.Trainer, 'train_until', original)
      os.kill(os.getpid(), number)
    return totals

  monkeypatch.setattr(trainer.Trainer, 'train_until', spy)


@pytest.mark.parametrize(
  ('step', 'number'),
  [(2, signal.SIGINT), (10, signal.SIGTERM), (17, signal.SIGTERM)],
)
def test_an_interrupted_run_continues_to_the_same_bits(
  step, number, config, whole, tmp_path, monkeypatch
):
  folder = tmp_path / 'parts'
  # Short chunks: the signal comes in the middle of an epoch.
  monkeypatch.setattr(train.loop.progress, 'CHUNK_SECONDS', 0.0)
  interrupt_at(monkeypatch, step, number)
  with pytest.raises(interrupt.Interrupted, match='continues') as e:
    train.train_and_evaluate(config, folder)
  assert e.value.received == number
  train.train_and_evaluate(config, folder)
  assert_same_run(whole, folder)


class Killed(BaseException):
  """What no handler catches, as little as SIGKILL."""


def test_a_killed_run_continues_from_its_last_checkpoint(
  config, whole, tmp_path, monkeypatch
):
  folder = tmp_path / 'killed'
  original = trainer.Trainer.train_until

  def kill(self, stop):
    if stop > 35:
      raise Killed
    return original(self, stop)

  with monkeypatch.context() as m:
    m.setattr(trainer.Trainer, 'train_until', kill)
    with pytest.raises(Killed):
      train.train_and_evaluate(config, folder)
  # The checkpoint is of epoch 2; epoch 3 was written and one row cut short.
  assert [row['epoch'] for row in metrics.read(folder)] == [1, 2, 3]
  with (folder / metrics.FILE).open('a') as f:
    f.write('{"epoch": 4, "st')
  train.train_and_evaluate(config, folder)
  assert_same_run(whole, folder)


def test_epochs_0_evaluates_the_checkpoint(config, whole, capsys):
  result = train.run.done(whole)
  # Or a last net in the place of the best one would go unseen.
  assert result['best']['epoch'] < result['last']['epoch']
  config.train.epochs, config.train.batch_size = 0, 999
  evaluated = train.train_and_evaluate(config, whole)
  for which in ('best', 'last'):
    for key in ('validation/accuracy', 'test/accuracy', 'nonzero/fc1'):
      assert evaluated[which][key] == result[which][key]
  assert 'test/accuracy' in capsys.readouterr().out


def test_epochs_0_needs_a_run_with_a_checkpoint(config, tmp_path):
  with train.run.open_folder(tmp_path, config) as folder:
    pass
  config.train.epochs = 0
  for new in (tmp_path / 'new', folder):
    with pytest.raises(errors.UsageError, match='holds none'):
      train.train_and_evaluate(config, new)
  assert not (tmp_path / 'new').exists()
  (folder / metrics.FILE).write_text('{"step": 1}')
  # Killed in its first save, before and after orbax renamed the folder.
  for left in ('10.orbax-checkpoint-tmp', '10'):
    (folder / 'checkpoints' / left).mkdir(parents=True)
    with pytest.raises(errors.UsageError, match=r'no checkpoint|can be read'):
      train.train_and_evaluate(config, folder)


def test_nan_stops_the_run_and_keeps_what_was_saved(
  config, tmp_path, monkeypatch
):
  config.train.checkpoint_every_epochs = 1
  original = trainer.Trainer.train_until

  def poison(self, stop):
    if stop > 20:
      bad = {**self.state.params}
      bad['fc2'] = jax.tree.map(lambda x: x * np.nan, bad['fc2'])
      self.state = self.state._replace(params=bad)
    return original(self, stop)

  monkeypatch.setattr(trainer.Trainer, 'train_until', poison)
  with pytest.raises(errors.UsageError, match=r'loss is nan.*optim\.lr'):
    train.train_and_evaluate(config, tmp_path)
  assert [row['epoch'] for row in metrics.read(tmp_path)] == [1, 2]
  params, _ = final(tmp_path)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))


def test_without_validation_the_last_epoch_counts(config, tmp_path, capsys):
  config.data.validation = 0
  config.train.epochs = 2
  result = train.train_and_evaluate(config, tmp_path)
  shown = capsys.readouterr().out
  assert 'epoch 2/2' in shown and 'Done: test accuracy' in shown
  assert 'validation/accuracy' not in result['best']
  assert result['best'] == result['last']


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_16_bit_and_momentum_continue_to_the_same_bits(
  dtype, config, tmp_path, monkeypatch
):
  config.precision, config.train.epochs = dtype, 2
  config.optim.update({'name': 'sgd', 'momentum': 0.9, 'weight_decay': 1e-3})
  result = train.train_and_evaluate(config, tmp_path / 'whole')
  assert np.isfinite(result['last']['train/loss'])
  monkeypatch.setattr(train.loop.progress, 'CHUNK_SECONDS', 0.0)
  interrupt_at(monkeypatch, 7)
  with pytest.raises(interrupt.Interrupted):
    train.train_and_evaluate(config, tmp_path / 'parts')
  train.train_and_evaluate(config, tmp_path / 'parts')
  assert_same_run(tmp_path / 'whole', tmp_path / 'parts')


def test_a_run_does_not_continue_in_another_precision(config, tmp_path):
  config.train.epochs = 1
  train.train_and_evaluate(config, tmp_path)  # auto: float32 on a CPU
  (tmp_path / 'done.json').unlink()
  config.precision = 'bfloat16'
  with pytest.raises(errors.UsageError, match="precision='float32', now 'bf"):
    train.train_and_evaluate(config, tmp_path)


def test_nothing_compiles_after_the_first_chunk_and_evaluation(
  config, tmp_path, monkeypatch
):
  monkeypatch.setattr(train.loop.progress, 'CHUNK_SECONDS', 0.0)
  compiled = []
  jax.monitoring.register_event_duration_secs_listener(
    lambda name, *_, **__: (
      compiled.append(name)
      if name == '/jax/core/compile/backend_compile_duration'
      else None
    )
  )
  counts = []
  original = metrics.Writer.write

  def write(self, row):
    counts.append(len(compiled))
    original(self, row)

  monkeypatch.setattr(metrics.Writer, 'write', write)
  train.train_and_evaluate(config, tmp_path)
  assert counts[0] > 0
  # Between the rows of epochs 2 and 4 there are two evaluations and a save.
  assert counts[1] == counts[3]


def test_nothing_is_transferred_that_nobody_asked_for(config, monkeypatch):
  t = trainer.Trainer(trainer.setup(config, data.load(config.data)))
  t.train_until(1)
  monkeypatch.setattr(trainer.parallel, 'replicate', lambda x: x[None])
  with pytest.raises(Exception, match=r'[Dd]isallowed.*transfer'):
    t.train_until(2)


def test_a_profile_is_written_on_request(config, tmp_path, capsys):
  train.train_and_evaluate(config, tmp_path)
  (tmp_path / 'done.json').unlink()
  shutil.rmtree(tmp_path / checkpoint.FOLDER)
  config.train.profile = 2
  train.train_and_evaluate(config, tmp_path)
  assert 'Profile in' in capsys.readouterr().out
  names = {p.name.partition('.')[2] for p in tmp_path.rglob('profile/**/*.*')}
  assert {'xplane.pb', 'trace.json.gz'} <= names


def test_a_thread_that_cannot_watch_signals_trains_all_the_same(
  config, tmp_path
):
  config.train.epochs = 1
  thread = threading.Thread(
    target=train.train_and_evaluate, args=(config, tmp_path)
  )
  thread.start()
  thread.join()
  assert train.run.done(tmp_path)
