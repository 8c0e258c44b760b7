"""Single runs, nearly all of which share one program."""

import json
import shutil
import signal
import threading

import jax
import numpy as np
import pytest

from lconv_jax import errors, runs, train
from lconv_jax.data import dataset as data
from lconv_jax.train import parallel, progress, trainer
from tests import small


@pytest.fixture
def config():
  return small.config()


@pytest.fixture
def short_chunks(monkeypatch):
  monkeypatch.setattr(progress, 'CHUNK_SECONDS', 0.0)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  folder = tmp_path_factory.mktemp('whole')
  train.train_and_evaluate(small.config(), folder)
  return folder


@pytest.fixture
def unfinished(whole, tmp_path):
  """A copy of the whole run, as if it had been killed at its very end."""
  folder = shutil.copytree(whole, tmp_path / 'unfinished')
  (folder / 'done.json').unlink()
  return folder


def test_a_run_leaves_everything_in_its_folder(config, whole, capsys):
  result = runs.done(whole)
  assert result['best']['test/accuracy'] >= 0.5
  assert result['last']['step'] == 4 * 10
  assert result['weights'] == {'conv1': 2**18, 'fc1': 6144, 'fc2': 48}
  assert 0 < result['last']['nonzero/conv1'] < 1
  assert result['environment']['commit']
  rows = runs.metrics.read(whole)
  assert [row['epoch'] for row in rows] == [1, 2, 3, 4]
  best = max(row['validation/accuracy'] for row in rows)
  assert result['best']['validation/accuracy'] == best

  again = train.train_and_evaluate(config, whole)
  assert again == result
  assert 'is finished' in capsys.readouterr().out


def test_damaged_metrics_of_a_finished_run_are_warned_about(
  config, whole, tmp_path, monkeypatch
):
  said = []
  monkeypatch.setattr(
    runs.metrics.logging, 'warning', lambda text, *args: said.append(args)
  )
  folder = shutil.copytree(whole, tmp_path / 'run')
  train.train_and_evaluate(config, folder)
  assert not said
  path = folder / runs.metrics.FILE
  content = bytearray(path.read_bytes())
  digit = content.index(b'.') + 1
  content[digit] ^= 1  # another digit
  path.write_bytes(content)
  train.train_and_evaluate(config, folder)
  ((where, what),) = said
  assert where == path and 'checksum' in what
  path.unlink()
  path.mkdir()
  done = train.train_and_evaluate(config, folder)
  assert done['best'] and 'cannot be read' in str(said[1])


@pytest.fixture
def heard():
  """Lets SIGHUP arrive, which nohup ignores."""
  before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
  yield
  signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures('heard', 'short_chunks')
def test_an_interrupted_run_continues_to_the_same_bits(
  config, whole, tmp_path, monkeypatch
):
  # In the first epoch, at the end of one, and in the middle of one.
  for step, number in (
    (2, signal.SIGINT), (10, signal.SIGTERM), (17, signal.SIGHUP)
  ):  # fmt: skip
    small.interrupt_at(monkeypatch, step, number)
    with pytest.raises(runs.Interrupted, match=f'step {step} .*continues') as e:
      train.train_and_evaluate(config, tmp_path)
    assert e.value.received == number
    assert not (tmp_path / runs.ERROR).exists()
  train.train_and_evaluate(config, tmp_path)
  small.assert_same_run(whole, tmp_path)


def test_a_killed_run_continues_from_its_last_checkpoint(
  config, whole, tmp_path, monkeypatch, short_chunks
):
  def kill(trainer):
    raise small.Killed

  small.before_step(monkeypatch, 35, kill)
  with pytest.raises(small.Killed):
    train.train_and_evaluate(config, tmp_path)
  # The checkpoint is of epoch 2; epoch 3 was written and one row cut short.
  assert [row['epoch'] for row in runs.metrics.read(tmp_path)] == [1, 2, 3]
  with (tmp_path / runs.metrics.FILE).open('a') as f:
    f.write('{"epoch": 4, "st')
  train.train_and_evaluate(config, tmp_path)
  small.assert_same_run(whole, tmp_path)


def test_evaluations_are_as_often_as_asked_and_speed_is_in_images(
  config, tmp_path, monkeypatch
):
  monkeypatch.setattr(progress.Clock, 'steps_per_second', lambda self: 2.0)
  config.train.update({'eval_every_epochs': 2, 'epochs': 3})
  train.train_and_evaluate(config, tmp_path)
  rows = runs.metrics.read(tmp_path)
  assert [row['epoch'] for row in rows] == [2, 3]  # and at the end
  assert {row['images_per_second'] for row in rows} == {2.0 * 64}


def test_old_work_is_saved_between_epochs(
  config, tmp_path, monkeypatch, short_chunks
):
  """A power cut costs `runs.SAVE_SECONDS` at most."""
  monkeypatch.setattr(runs, 'SAVE_SECONDS', 0.0)

  def kill(trainer):
    raise small.Killed

  small.before_step(monkeypatch, 4, kill)
  with pytest.raises(small.Killed):
    train.train_and_evaluate(config, tmp_path)
  assert runs.checkpoint.newest(tmp_path) == 4


def test_epochs_0_evaluates_the_checkpoint(config, whole, capsys):
  result = runs.done(whole)
  # Or a last net in the place of the best one would go unseen.
  assert result['best']['epoch'] < result['last']['epoch']
  config.train.epochs, config.train.batch_size = 0, 999
  evaluated = train.train_and_evaluate(config, whole)
  for which in ('best', 'last'):
    for key in ('validation/accuracy', 'test/accuracy', 'nonzero/fc1'):
      assert evaluated[which][key] == result[which][key]
  assert 'test/accuracy' in capsys.readouterr().out


def test_epochs_0_needs_a_run_with_a_checkpoint(config, tmp_path):
  with runs.Folder(tmp_path, config).open():
    pass
  config.train.epochs = 0
  for folder in (tmp_path / 'new', tmp_path):
    with pytest.raises(errors.UsageError, match='holds no checkpoint'):
      train.train_and_evaluate(config, folder)
  assert not (tmp_path / 'new').exists()
  # Killed in its first save, before and after orbax renamed the folder.
  (tmp_path / runs.metrics.FILE).write_text('{"step": 1}')
  for left in ('10.orbax-checkpoint-tmp', '10'):
    (tmp_path / 'checkpoints' / left).mkdir(parents=True)
    with pytest.raises(errors.UsageError, match=r'no checkpoint|can be read'):
      train.train_and_evaluate(config, tmp_path)


def test_nan_stops_the_run_and_keeps_what_was_saved(
  config, tmp_path, monkeypatch
):
  config.train.checkpoint_every_epochs = 1

  def poison(trainer):
    bad = {**trainer.state.params}
    bad['fc2'] = jax.tree.map(lambda x: x * np.nan, bad['fc2'])
    trainer.state = trainer.state._replace(params=bad)

  small.before_step(monkeypatch, 20, poison)
  with pytest.raises(errors.UsageError, match=r'loss is nan.*optim\.lr'):
    train.train_and_evaluate(config, tmp_path)
  assert 'loss is nan' in (tmp_path / runs.ERROR).read_text()
  assert [row['epoch'] for row in runs.metrics.read(tmp_path)] == [1, 2]
  params = runs.checkpoint.load_net(tmp_path, 'last')['params']
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))


def test_without_validation_the_last_epoch_counts(config, tmp_path, capsys):
  config.data.validation = 0
  config.data.nlgp.update({'train': 640, 'test': 260})  # as many as else
  result = train.train_and_evaluate(config, tmp_path)
  shown = capsys.readouterr().out
  assert 'epoch 4/4' in shown and 'Done: test accuracy' in shown
  assert 'validation/accuracy' not in result['best']
  assert result['best'] == result['last']


def test_16_bit_and_momentum_continue_to_the_same_bits(
  config, tmp_path, monkeypatch, short_chunks
):
  config.precision, config.train.epochs = 'float16', 2
  config.optim.update({'name': 'sgd', 'momentum': 0.9, 'weight_decay': 1e-3})
  result = train.train_and_evaluate(config, tmp_path / 'whole')
  assert np.isfinite(result['last']['train/loss'])
  small.interrupt_at(monkeypatch, 7)
  with pytest.raises(runs.Interrupted):
    train.train_and_evaluate(config, tmp_path / 'parts')
  train.train_and_evaluate(config, tmp_path / 'parts')
  small.assert_same_run(tmp_path / 'whole', tmp_path / 'parts')


def test_a_run_does_not_continue_in_another_precision(config, unfinished):
  config.precision = 'bfloat16'  # was auto: float32 on a CPU
  with pytest.raises(errors.UsageError, match="precision='float32', now 'bf"):
    train.train_and_evaluate(config, unfinished)


def test_a_run_that_continues_elsewhere_says_so(config, unfinished, capsys):
  path = unfinished / 'config.json'
  began = json.loads(path.read_text())
  began['environment']['cpus'] = 999
  path.write_text(json.dumps(began))
  train.train_and_evaluate(config, unfinished)
  assert 'began with cpus=999 (now ' in capsys.readouterr().out


def test_a_run_that_was_killed_at_its_end_has_nothing_left_to_train(
  config, whole, unfinished, monkeypatch
):
  small.before_step(monkeypatch, 0, lambda trainer: pytest.fail('trains'))
  result = train.train_and_evaluate(config, unfinished)
  before = runs.done(whole)
  assert (result['best'], result['last']) == (before['best'], before['last'])


def test_nothing_compiles_after_the_first_chunk_and_evaluation(
  config, tmp_path, monkeypatch, short_chunks
):
  compiled = []
  jax.monitoring.register_event_duration_secs_listener(
    lambda name, *_, **__: (
      compiled.append(name)
      if name == '/jax/core/compile/backend_compile_duration'
      else None
    )
  )
  counts, epochs = [], []

  def hear(event):
    counts.append(len(compiled))
    epochs.append((event.row['epoch'], event.finished))

  train.train_and_evaluate(config, tmp_path, [hear])
  best = runs.done(tmp_path)['best']['epoch']
  assert epochs == [*((e, False) for e in (1, 2, 3, 4)), (best, True)]
  assert counts[0] > 0
  # Between the rows of epochs 2 and 4 there are two evaluations and a save.
  assert counts[1] == counts[3]


def test_nothing_is_transferred_that_nobody_asked_for(config, monkeypatch):
  t = trainer.Trainer(trainer.setup(config, data.load(config.data)))
  t.train_until(1)
  monkeypatch.setattr(parallel, 'replicate', lambda x: x[None])
  with pytest.raises(Exception, match=r'[Dd]isallowed.*transfer'):
    t.train_until(2)


def test_a_profile_is_written_on_request(config, tmp_path, capsys):
  config.train.profile = 2
  train.train_and_evaluate(config, tmp_path)
  assert 'Profile in' in capsys.readouterr().out
  names = {p.name.partition('.')[2] for p in tmp_path.rglob('profile/**/*.*')}
  assert {'xplane.pb', 'trace.json.gz'} <= names


def test_a_thread_that_cannot_watch_signals_trains_all_the_same(
  config, tmp_path
):
  thread = threading.Thread(
    target=train.train_and_evaluate, args=(config, tmp_path)
  )
  thread.start()
  thread.join()
  assert runs.done(tmp_path)


def test_callbacks_hear_of_the_end_again(config, whole, unfinished):
  best = runs.done(whole)['best']
  for folder in (whole, unfinished):
    heard = []
    train.train_and_evaluate(config, folder, [heard.append])
    assert heard == [runs.Event(folder, best, finished=True)]
