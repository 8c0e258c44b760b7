import json
import os
import signal

import jax
import numpy as np
import pytest

from lconv_jax import errors
from lconv_jax.data import dataset as data
from lconv_jax.runs import checkpoint, interrupt, metrics
from lconv_jax.runs import folder as run
from lconv_jax.train import grid, trainer
from lconv_jax.train import run as train
from tests import small


def small_config(**fields):
  fields = {'train.epochs': 3, 'train.checkpoint_every_epochs': 1, **fields}
  return small.config(**fields)


def points(**fields):
  """Runs that differ in what a grid varies; the last has another seed."""
  return {
    'plain': small_config(**fields),
    'sparse': small_config(**{'optim.l1_conv': 1e-2, **fields}),
    'dropout': small_config(**{'model.dropout': 0.5, **fields}),
    'seed': small_config(seed=3, **{'optim.lr': 0.02, **fields}),
  }


def params(folder, which='last'):
  return checkpoint.load_params(folder, which)


def assert_close(a, b, **tolerance):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def assert_same_files(a, b):
  """Two folders hold the same run, to the bit."""
  for which in ('best', 'last'):
    assert_close(params(a, which), params(b, which), rtol=0)
  timing = {'images_per_second', 'seconds'}
  for x, y in zip(metrics.read(a), metrics.read(b), strict=True):
    assert {k: x[k] for k in x.keys() - timing} == {
      k: y[k] for k in y.keys() - timing
    }


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  root = tmp_path_factory.mktemp('whole')
  assert grid.train_all(points(), root) == {}
  return root


def five_steps(configs, together):
  """Returns states after five steps, losses and evaluations of each run."""
  dataset = data.load(configs[0].data)
  if together:
    hypers = [trainer.optim.Hyper.from_config(c) for c in configs]
    t = trainer.Trainer(trainer.setup(configs[0], dataset), hypers=hypers)
    totals, rows = t.train_until(5), t.evaluate(t.net())
    states = [state for state, _ in t.saved()]
    return list(zip(states, totals, rows, strict=True))
  found = []
  for config in configs:
    t = trainer.Trainer(trainer.setup(config, dataset))
    totals, rows = t.train_until(5), t.evaluate(t.net())
    found.append((t.saved()[0][0], totals[0], rows[0]))
  return found


def assert_close_but_for_cuts(one, other, tolerance, level):
  """A weight at the threshold β λ may fall on either side of it."""
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    assert np.shape(a) == np.shape(b)
    near = tolerance * (np.abs(b).max() + 1e-3)
    off = np.abs(a - b) > near
    cut = (a == 0) ^ (b == 0)
    kept = np.maximum(np.abs(a), np.abs(b))
    assert not (off & ~(cut & (kept - level < near))).any()
    assert np.sum(off) <= 3


@pytest.mark.parametrize(
  ('fields', 'tolerance'),
  [
    ({}, 1e-4),
    (
      {
        'model.name': 's_local',
        'optim.name': 'sgd',
        'optim.momentum': 0.9,
        'optim.weight_decay': 1e-3,
      },
      1e-4,
    ),
    ({'precision': 'float16'}, 5e-3),
    (
      {'data.augment': 'fast_autoaugment', 'data.nlgp.channels': 3},
      1e-4,
    ),
  ],
)
def test_five_steps_side_by_side_are_those_of_single_runs(fields, tolerance):
  configs = list(points(**fields).values())
  runs = five_steps(configs, True), five_steps(configs, False)
  for config, one, other in zip(configs, *runs, strict=True):
    o = config.optim
    for layer, p in one[0].params.items():
      level = o.beta * (o.l1_conv if layer.startswith('conv') else o.l1_fc)
      level = level if o.name == 'beta_lasso' else 0.0
      assert_close_but_for_cuts(p, other[0].params[layer], tolerance, level)
    a, b = ((r[0].batch_stats, r[1], r[2]) for r in (one, other))
    assert_close_but_for_cuts(a, b, 10 * tolerance, 0.0)
    assert one[0].step == other[0].step == 5


def test_each_point_has_a_run_folder_of_its_own(whole, tmp_path, capsys):
  for name in points():
    done = run.done(whole / name)
    assert done['last']['epoch'] == 3
    assert done['environment']['side_by_side'] == 4
    rows = metrics.read(whole / name)
    assert [row['epoch'] for row in rows] == [1, 2, 3]
    best = max(row['validation/accuracy'] for row in rows)
    assert done['best']['validation/accuracy'] == best
  assert run.done(whole / 'sparse')['last']['nonzero/conv1'] < 0.3
  assert run.done(whole / 'plain')['last']['nonzero/conv1'] > 0.7
  # Finished points are left alone.
  before = (whole / 'plain' / 'done.json').stat().st_mtime_ns
  assert grid.train_all(points(), whole) == {}
  assert '4 of them finished; 0 to train' in capsys.readouterr().out
  assert (whole / 'plain' / 'done.json').stat().st_mtime_ns == before
  # The best net is the one that was evaluated.
  config = points()['seed']
  config.train.epochs = 0
  evaluated = train.train_and_evaluate(config, whole / 'seed')
  done = run.done(whole / 'seed')
  for which in ('best', 'last'):
    assert evaluated[which]['test/accuracy'] == done[which]['test/accuracy']


def interrupt_at(monkeypatch, step):
  original = trainer.Trainer.train_until

  def spy(self, stop):
    totals = original(self, stop)
    if stop >= step:
      monkeypatch.setattr(trainer.Trainer, 'train_until', original)
      os.kill(os.getpid(), signal.SIGTERM)
    return totals

  monkeypatch.setattr(trainer.Trainer, 'train_until', spy)


def test_an_interrupted_grid_continues_to_the_same_bits(
  whole, tmp_path, monkeypatch
):
  monkeypatch.setattr(grid.loop.progress, 'CHUNK_SECONDS', 0.0)
  interrupt_at(monkeypatch, 13)
  with pytest.raises(interrupt.Interrupted, match='saved after step 13'):
    grid.train_all(points(), tmp_path)
  assert grid.train_all(points(), tmp_path) == {}
  for name in points():
    assert_same_files(whole / name, tmp_path / name)


def test_a_signal_at_the_end_of_a_group_stops_the_next(tmp_path, monkeypatch):
  configs = {
    'first': small_config(**{'train.epochs': 1}),
    'second': small_config(**{'train.epochs': 1, 'model.dropout': 0.0}),
  }
  interrupt_at(monkeypatch, 10)
  with pytest.raises(interrupt.Interrupted, match='continues with the rest'):
    grid.train_all(configs, tmp_path)
  assert run.done(tmp_path / 'first') and not run.done(tmp_path / 'second')
  configs['first'].optim.lr = 0.5
  failed = grid.train_all(configs, tmp_path)
  assert failed.keys() == {'first'} and 'another config' in str(failed['first'])
  assert run.done(tmp_path / 'second')


class Killed(BaseException):
  """What no handler catches, as little as SIGKILL."""


def test_points_that_were_saved_at_different_steps_continue(
  whole, tmp_path, monkeypatch, capsys
):
  """As after a power cut in the middle of saving."""
  original = checkpoint.Checkpoints.save
  saved = []

  def save(self, step, content):
    if len(saved) == 6:  # of the second round of four
      raise Killed
    saved.append(step)
    original(self, step, content)

  with monkeypatch.context() as m:
    m.setattr(checkpoint.Checkpoints, 'save', save)
    with pytest.raises(Killed):
      grid.train_all(points(), tmp_path)
  assert grid.train_all(points(), tmp_path) == {}
  out = capsys.readouterr().out
  assert out.count('2 runs side by side') == 2
  assert 'after step 20' in out and 'after step 10' in out
  # Other sizes round otherwise, in this and in that.
  for name in points():
    assert len(metrics.read(tmp_path / name)) == 3
    assert_close(
      params(whole / name), params(tmp_path / name), rtol=1e-2, atol=2e-3
    )


def test_a_damaged_checkpoint_holds_up_nobody_else(
  tmp_path, monkeypatch, capsys
):
  configs = {name: points()[name] for name in ('plain', 'sparse', 'dropout')}
  interrupt_at(monkeypatch, 20)
  with pytest.raises(interrupt.Interrupted):
    grid.train_all(configs, tmp_path)
  newest = tmp_path / 'plain' / checkpoint.FOLDER / '20'
  for path in newest.rglob('manifest.ocdbt'):
    path.write_bytes(b'')
  assert grid.train_all(configs, tmp_path) == {}
  out = capsys.readouterr().out
  assert '2 runs side by side' in out and 'continues after step 20' in out
  assert 'plain: continues after step 10' in out
  # None left: the point fails, and the others go on.
  for name in ('plain', 'sparse'):
    (tmp_path / name / 'done.json').unlink()
  for path in (tmp_path / 'plain').rglob('manifest.ocdbt'):
    path.write_bytes(b'')
  failed = grid.train_all(configs, tmp_path)
  assert failed.keys() == {'plain'} and 'can be read' in str(failed['plain'])
  assert run.done(tmp_path / 'sparse')


def test_a_single_run_continues_a_point_and_a_grid_a_single_run(
  tmp_path, monkeypatch, capsys
):
  interrupt_at(monkeypatch, 10)
  with pytest.raises(interrupt.Interrupted):
    grid.train_all(points(), tmp_path)
  train.train_and_evaluate(points()['seed'], tmp_path / 'seed')
  assert 'continues after step 10' in capsys.readouterr().out
  assert grid.train_all(points(), tmp_path) == {}
  out = capsys.readouterr().out
  assert '1 of them finished' in out and '3 runs side by side' in out
  assert 'continues after step 10' in out


def test_a_point_that_turns_nan_stops_alone(whole, tmp_path, capsys):
  configs = points()
  configs['wild'] = small_config(**{'optim.lr': 1e30})
  failed = grid.train_all(configs, tmp_path)
  assert failed.keys() == {'wild'}
  assert 'loss is nan' in str(failed['wild'])
  assert 'loss is nan' in (tmp_path / 'wild' / run.ERROR).read_text()
  assert not (tmp_path / 'wild' / 'done.json').exists()
  assert not checkpoint.exists(tmp_path / 'wild')
  for name in points():
    assert not (tmp_path / name / run.ERROR).exists()
    assert_close(
      params(whole / name), params(tmp_path / name), rtol=1e-2, atol=2e-3
    )
  # Again: it is tried again, alone, and nothing else is.
  assert grid.train_all(configs, tmp_path).keys() == {'wild'}
  out = capsys.readouterr().out
  assert '4 of them finished; 1 to train' in out


def test_groups_and_points_fail_by_themselves(tmp_path, capsys):
  configs = {
    'batch': small_config(**{'train.batch_size': 10_000}),
    'negative': small_config(**{'optim.lr': -1.0}),
    'momentum': small_config(
      **{'optim.name': 'sgd', 'optim.momentum': 0.9, 'train.epochs': 1}
    ),
    'good': small_config(**{'train.epochs': 1}),
    'whole': small_config(**{'train.epochs': 1, 'model.dropout': 0.0}),
    'held': small_config(**{'train.epochs': 1, 'optim.lr': 0.2}),
  }
  with run.open_folder(tmp_path / 'held', configs['held']):
    failed = grid.train_all(configs, tmp_path)
  assert failed.keys() == {'batch', 'negative', 'held'}
  assert 'more than the 640' in str(failed['batch'])
  assert 'Another process is training' in str(failed['held'])
  for name in ('good', 'whole', 'momentum'):
    assert 'side_by_side' not in run.done(tmp_path / name)['environment']
  config = json.loads((tmp_path / 'good' / 'config.json').read_text())
  assert config['optim']['l1_conv'] == 2e-3


def test_what_does_not_fit_into_memory_is_halved(tmp_path, monkeypatch, capsys):
  needed = []
  original = trainer.parallel.needed_memory

  def memory(fn):
    needed.append(original(fn))
    return needed[-1]

  monkeypatch.setattr(trainer.parallel, 'needed_memory', memory)
  monkeypatch.setattr(
    trainer.parallel, 'free_memory', lambda: needed[0] / 0.8 * 0.7
  )
  configs = {k: small_config(**{'train.epochs': 1}) for k in 'abc'}
  for i, config in enumerate(configs.values()):
    config.optim.lr = 0.1 + i / 100
  assert grid.train_all(configs, tmp_path) == {}
  out = capsys.readouterr().out
  assert '3 runs side by side need' in out and '2 runs side by side' in out
  assert all(run.done(tmp_path / name) for name in configs)
  assert needed[0] > needed[1] > 0


def test_at_once_limits_how_many_train_side_by_side(tmp_path, capsys):
  configs = {k: small_config(**{'train.epochs': 1}) for k in 'abcde'}
  for i, config in enumerate(configs.values()):
    config.optim.lr = 0.1 + i / 100
  assert grid.train_all(configs, tmp_path, at_once=2) == {}
  assert capsys.readouterr().out.count('2 runs side by side') == 2
  assert all(run.done(tmp_path / name) for name in configs)


def test_a_grid_starts_from_another_runs_net(whole, tmp_path):
  source = str(whole / 'plain')
  configs = {
    name: small_config(**{'train.init_from': source, 'optim.lr': lr})
    for name, lr in (('a', 0.0), ('b', 1e-3))
  }
  for config in configs.values():
    config.optim.l1_conv = config.optim.l1_fc = 0.0
    config.train.epochs = 1
  assert grid.train_all(configs, tmp_path) == {}
  assert_close(
    params(tmp_path / 'a')['conv1']['kernel'],
    params(whole / 'plain', 'best')['conv1']['kernel'],
    rtol=0,
  )
  assert run.done(tmp_path / 'b')['init_from']['run'] == source


def test_evaluation_and_many_processes_are_refused(tmp_path, monkeypatch):
  config = small_config(**{'train.epochs': 0})
  failed = grid.train_all({'a': config}, tmp_path)
  assert 'evaluates a single run' in str(failed['a'])
  monkeypatch.setattr(grid.hosts, 'alone', lambda: False)
  with pytest.raises(errors.UsageError, match='leave out --distributed'):
    grid.train_all(points(), tmp_path)
