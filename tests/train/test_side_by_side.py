"""Many runs in one process, most of them four at a time in one program."""

import json
import math
import shutil

import jax
import numpy as np
import pytest

from lconv_jax import errors, runs, train
from lconv_jax.data import dataset as data
from lconv_jax.train import groups, optim, parallel, progress, trainer
from tests import small

CHANGES = {  # what a grid varies; the last run has another seed
  'plain': {},
  'sparse': {'optim.l1_conv': 1e-2},
  'dropout': {'model.dropout': 0.5},
  'seed': {'seed': 3, 'optim.lr': 0.02},
}


def small_config(**fields):
  fields = {'train.epochs': 3, 'train.checkpoint_every_epochs': 1, **fields}
  return small.config(**fields)


def points(*names, **fields):
  return {
    name: small_config(**{**fields, **CHANGES[name]})
    for name in names or CHANGES
  }


def params(folder, which='last'):
  return runs.checkpoint.load_net(folder, which)['params']


def assert_close(a, b, **tolerance):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  root = tmp_path_factory.mktemp('whole')
  assert train.train_all(points(), root) == {}
  return root


def five_steps(configs, together):
  """Returns states after five steps, losses and evaluations of each run."""
  dataset = data.load(configs[0].data)
  setup = trainer.setup(configs[0], dataset)
  hypers = [optim.Hyper.from_config(c) for c in configs]
  found = []
  for part in [hypers] if together else [[h] for h in hypers]:
    t = trainer.Trainer(setup, hypers=part)
    totals, rows = t.train_until(5), t.evaluate(t.net())
    states = [state for state, _ in t.saved()]
    found += zip(states, totals, rows, strict=True)
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
  ('names', 'fields', 'tolerance'),
  [
    (CHANGES, {}, 1e-4),
    (
      ('plain', 'seed'),
      {
        'model.name': 's_local',
        'optim.name': 'sgd',
        'optim.momentum': 0.9,
        'optim.weight_decay': 1e-3,
      },
      1e-4,
    ),
    (('sparse', 'seed'), {'precision': 'float16'}, 5e-3),
    (
      ('sparse', 'seed'),
      {'data.augment': 'fast_autoaugment', 'data.nlgp.channels': 3},
      1e-4,
    ),
  ],
)
def test_five_steps_side_by_side_are_those_of_single_runs(
  names, fields, tolerance
):
  configs = list(points(*names, **fields).values())
  for config, one, other in zip(
    configs, five_steps(configs, True), five_steps(configs, False), strict=True
  ):
    o = config.optim
    for layer, p in one[0].params.items():
      level = o.beta * (o.l1_conv if layer.startswith('conv') else o.l1_fc)
      level = level if o.name == 'beta_lasso' else 0.0
      assert_close_but_for_cuts(p, other[0].params[layer], tolerance, level)
    a, b = ((r[0].batch_stats, r[1], r[2]) for r in (one, other))
    assert_close_but_for_cuts(a, b, 10 * tolerance, 0.0)
    assert one[0].step == other[0].step == 5


def test_each_point_has_a_run_folder_of_its_own(whole, capsys):
  for name in points():
    done = runs.done(whole / name)
    assert done['last']['epoch'] == 3
    assert done['environment']['side_by_side'] == 4
    rows = runs.metrics.read(whole / name)
    assert [row['epoch'] for row in rows] == [1, 2, 3]
    best = max(row['validation/accuracy'] for row in rows)
    assert done['best']['validation/accuracy'] == best
  assert runs.done(whole / 'sparse')['last']['nonzero/conv1'] < 0.3
  assert runs.done(whole / 'plain')['last']['nonzero/conv1'] > 0.7
  # Finished points are left alone.
  before = (whole / 'plain' / 'done.json').stat().st_mtime_ns
  assert train.train_all(points(), whole) == {}
  assert '4 finished; 0 to train' in capsys.readouterr().out
  assert (whole / 'plain' / 'done.json').stat().st_mtime_ns == before
  # The best net is the one that was evaluated.
  config = points()['seed']
  config.train.epochs = 0
  evaluated = train.train_and_evaluate(config, whole / 'seed')
  done = runs.done(whole / 'seed')
  for which in ('best', 'last'):
    assert evaluated[which]['test/accuracy'] == done[which]['test/accuracy']


def test_an_interrupted_grid_continues_to_the_same_bits(
  whole, tmp_path, monkeypatch
):
  monkeypatch.setattr(progress, 'CHUNK_SECONDS', 0.0)
  small.interrupt_at(monkeypatch, 13)
  with pytest.raises(runs.Interrupted, match='saved after step 13'):
    train.train_all(points(), tmp_path)
  assert train.train_all(points(), tmp_path) == {}
  for name in points():
    small.assert_same_run(whole / name, tmp_path / name)


def test_a_signal_at_the_end_of_a_group_stops_the_next(tmp_path, monkeypatch):
  configs = {
    'first': small_config(),
    'second': small_config(**{'model.dropout': 0.0}),
  }
  small.interrupt_at(monkeypatch, 30)
  with pytest.raises(runs.Interrupted, match='continues with the rest'):
    train.train_all(configs, tmp_path)
  assert runs.done(tmp_path / 'first') and not runs.done(tmp_path / 'second')
  configs['first'].optim.lr = 0.5
  # At the end of the last one there is nothing to interrupt.
  small.interrupt_at(monkeypatch, 30)
  failed = train.train_all(configs, tmp_path)
  assert failed.keys() == {'first'} and 'another config' in str(failed['first'])
  assert not (tmp_path / 'first' / runs.ERROR).exists()
  assert runs.done(tmp_path / 'second')


def test_points_that_were_saved_at_different_steps_continue(
  whole, tmp_path, monkeypatch, capsys
):
  """As after a power cut in the middle of saving."""
  original = runs.Folder.save
  saved = []

  def save(self, step, *trees):
    if len(saved) == 6:  # of the second round of four
      raise small.Killed
    saved.append(step)
    original(self, step, *trees)

  with monkeypatch.context() as m:
    m.setattr(runs.Folder, 'save', save)
    with pytest.raises(small.Killed):
      train.train_all(points(), tmp_path)
  assert train.train_all(points(), tmp_path) == {}
  out = capsys.readouterr().out
  assert out.count('4 runs side by side') == 2
  assert 'continues after step 10' in out
  for name in points():
    small.assert_same_run(whole / name, tmp_path / name)


def test_points_continue_among_the_same_ones_though_these_are_finished(
  whole, tmp_path, capsys
):
  root = shutil.copytree(whole, tmp_path / 'root')
  for name in ('plain', 'seed'):
    (root / name / 'done.json').unlink()
    shutil.rmtree(root / name / runs.checkpoint.FOLDER / '30')
  for name in ('plain', 'sparse'):
    damage(root / name / runs.checkpoint.FOLDER / '30')
  before = (root / 'sparse' / 'done.json').stat().st_mtime_ns
  assert train.train_all(points(), root) == {}
  out = capsys.readouterr().out
  assert 'continues after step 20' in out
  assert '4 runs side by side (2 of these idle)' in out
  for name in ('plain', 'seed'):
    small.assert_same_run(whole / name, root / name)
  assert (root / 'sparse' / 'done.json').stat().st_mtime_ns == before


def test_points_that_were_not_yet_saved_begin_with_those_that_were(
  whole, tmp_path, monkeypatch, capsys
):
  original = runs.Folder.save

  def save(self, step, *trees):
    if self.path.name == 'dropout':
      raise small.Killed
    original(self, step, *trees)

  with monkeypatch.context() as m:
    m.setattr(runs.Folder, 'save', save)
    with pytest.raises(small.Killed):
      train.train_all(points(), tmp_path)
  assert [runs.checkpoint.newest(tmp_path / n) for n in points()] == [
    10, 10, -1, -1
  ]  # fmt: skip
  assert train.train_all(points(), tmp_path) == {}
  assert capsys.readouterr().out.count('a new run') == 2
  for name in points():
    small.assert_same_run(whole / name, tmp_path / name)


def test_points_that_cannot_begin_leave_the_others_in_their_lanes(
  whole, tmp_path, monkeypatch, capsys
):
  """As on a full disk, or beside another process."""
  original = runs.Folder.check_inputs

  def check_inputs(self, found):
    if self.path.name == 'dropout':
      raise errors.UsageError('not now')
    original(self, found)

  (tmp_path / 'plain').touch()  # where a folder should be
  with monkeypatch.context() as m:
    m.setattr(runs.Folder, 'check_inputs', check_inputs)
    failed = train.train_all(points(), tmp_path)
  assert failed.keys() == {'plain', 'dropout'}
  assert 'cannot be written' in str(failed['plain'])
  assert '4 runs side by side (2 of these idle)' in capsys.readouterr().out
  # The others are finished; these begin in the lanes that were idle.
  (tmp_path / 'plain').unlink()
  assert train.train_all(points(), tmp_path) == {}
  out = capsys.readouterr().out
  assert '4 runs side by side (2 of these idle)' in out
  assert f'{tmp_path}: a new run' in out
  for name in points():
    small.assert_same_run(whole / name, tmp_path / name)


def folders_in(root, *names, **fields):
  configs = points(*names, **fields)
  return [runs.Folder(root / name, config) for name, config in configs.items()]


def lanes_of(parts):
  """The lanes of parts, idle ones in brackets."""
  return [
    ' '.join(
      name if lane else f'({name})'
      for name, lane in zip(part.group, part.lanes, strict=True)
    )
    for part in parts
  ]


def divided(folders, at_once=4):
  unfinished = [folder for folder in folders if not runs.done(folder.path)]
  return lanes_of(groups.parts(folders, unfinished, at_once))


def test_a_point_begins_where_the_checkpoints_of_others_have_its_lane(
  whole, tmp_path
):
  root = shutil.copytree(whole, tmp_path / 'root')
  shutil.rmtree(root / 'sparse')
  folders = folders_in(root)
  assert divided(folders) == ['(plain) sparse (dropout) (seed)']
  # With others that are finished, or go on.
  (root / 'seed' / 'done.json').unlink()
  assert divided(folders) == [
    '(plain) (sparse) (dropout) seed',
    '(plain) sparse (dropout) (seed)',
  ]
  # What the group had is another run, or too large.
  assert divided(folders, at_once=2) == ['seed', 'sparse']
  other = folders_in(root, 'sparse', **{'optim.lr': 0.5})
  folders[1] = other[0]
  assert divided(folders) == ['(plain) (sparse) (dropout) seed', 'sparse']
  # Whom nobody names begins with those that begin.
  new = runs.Folder(root / 'new', small_config(**{'optim.lr': 0.4}))
  assert divided([*folders, new], 5)[1:] == ['sparse new']


def test_a_part_is_halved_with_its_idle_lanes(tmp_path):
  part = groups.Part.of(folders_in(tmp_path))
  part.folders[1].error = errors.UsageError('the disk is full')
  halves = part.alive().halves()
  assert lanes_of(halves) == ['plain (sparse)', 'dropout seed']
  assert [half.company for half in halves] == [half.group for half in halves]
  quarters = halves[0].halves()
  assert lanes_of(quarters) == ['plain'] and quarters[0].company == {}


def test_runs_are_divided_by_the_steps_that_they_have_in_common():
  steps = {'a': [10, 20], 'b': [20, 30], 'c': [], 'd': [10], 'e': [30, 40]}
  assert groups.in_common(steps) == [['b', 'e'], ['a', 'd'], ['c']]
  assert groups.in_common({'a': [1, 2], 'b': [1]}) == [['a', 'b']]


def damage(folder):
  for path in folder.rglob('manifest.ocdbt'):
    path.write_bytes(b'')


def test_a_damaged_checkpoint_holds_up_nobody_else(whole, tmp_path, capsys):
  root = shutil.copytree(whole, tmp_path / 'root')
  for name in ('plain', 'sparse'):
    (root / name / 'done.json').unlink()
  damage(root / 'plain' / runs.checkpoint.FOLDER / '30')
  assert train.train_all(points(), root) == {}
  out = capsys.readouterr().out
  assert f'{root}: continues after step 20' in out
  assert '4 runs side by side (2 of these idle)' in out
  for name in ('plain', 'sparse'):
    small.assert_same_run(whole / name, root / name)
  # None left: the point fails, and the others go on.
  for name in ('plain', 'sparse'):
    (root / name / 'done.json').unlink()
  damage(root / 'plain')
  failed = train.train_all(points(), root)
  assert failed.keys() == {'plain'} and 'can be read' in str(failed['plain'])
  assert 'can be read' in (root / 'plain' / runs.ERROR).read_text()
  assert runs.done(root / 'sparse')


def test_a_single_run_continues_a_point_and_a_grid_a_single_run(
  tmp_path, monkeypatch, capsys
):
  configs = points('plain', 'sparse')
  for name, config in configs.items():
    small.interrupt_at(monkeypatch, 10)
    with pytest.raises(runs.Interrupted):
      train.train_and_evaluate(config, tmp_path / name)
  capsys.readouterr()
  # Each of the two began alone, and goes on alone.
  assert train.train_all(configs, tmp_path) == {}
  out = capsys.readouterr().out
  assert out.count('continues after step 10') == 2
  assert 'side by side' not in out
  train.train_and_evaluate(configs['plain'], tmp_path / 'alone')
  small.assert_same_run(tmp_path / 'plain', tmp_path / 'alone')


def test_a_single_run_that_continues_a_point_says_that_it_rounds_otherwise(
  whole, tmp_path, capsys
):
  folder = shutil.copytree(whole / 'plain', tmp_path / 'plain')
  (folder / 'done.json').unlink()
  shutil.rmtree(folder / runs.checkpoint.FOLDER / '30')
  train.train_and_evaluate(points()['plain'], folder)
  out = capsys.readouterr().out
  assert 'step 20; plain trained side by side with 3 other runs before' in out
  assert_close(params(whole / 'plain'), params(folder), rtol=1e-2, atol=2e-3)


def test_a_point_that_turns_nan_stops_alone(whole, tmp_path, capsys):
  configs = points()
  configs['dropout'].optim.lr = 1e30
  failed = train.train_all(configs, tmp_path)
  assert failed.keys() == {'dropout'}
  assert 'loss is nan' in str(failed['dropout'])
  assert 'loss is nan' in (tmp_path / 'dropout' / runs.ERROR).read_text()
  assert not (tmp_path / 'dropout' / 'done.json').exists()
  assert not runs.checkpoint.exists(tmp_path / 'dropout')
  for name in ('plain', 'sparse', 'seed'):
    assert not (tmp_path / name / runs.ERROR).exists()
    small.assert_same_run(whole / name, tmp_path / name)
  # Again: it is tried again in its lane, and nothing else is.
  assert train.train_all(configs, tmp_path).keys() == {'dropout'}
  assert '3 finished; 1 to train' in capsys.readouterr().out


def test_groups_and_points_fail_by_themselves(tmp_path):
  configs = {
    'batch': small_config(**{'train.batch_size': 10_000}),
    'negative': small_config(**{'optim.lr': -1.0}),
    'good': small_config(),
    'held': small_config(**{'optim.lr': 0.2}),
  }
  with runs.Folder(tmp_path / 'held', configs['held']).open():
    failed = train.train_all(configs, tmp_path)
  assert failed.keys() == {'batch', 'negative', 'held'}
  assert 'more than the 640' in str(failed['batch'])
  assert 'optim.lr=-1' in (tmp_path / 'negative' / runs.ERROR).read_text()
  assert 'Another process is training' in str(failed['held'])
  assert not (tmp_path / 'held' / runs.ERROR).exists()
  # The one that is held might have trained here.
  assert runs.done(tmp_path / 'good')['environment']['side_by_side'] == 2
  config = json.loads((tmp_path / 'good' / 'config.json').read_text())
  assert config['optim']['l1_conv'] == 2e-3


def test_what_does_not_fit_into_memory_is_halved(tmp_path, monkeypatch, capsys):
  needed = []
  original = parallel.needed_memory

  def memory(fn):
    needed.append(original(fn))
    return needed[-1]

  monkeypatch.setattr(parallel, 'needed_memory', memory)

  def free_memory():
    # Enough for a single net, which is asked for first.
    return needed[0] / 0.8 * 0.7 if needed else math.inf

  monkeypatch.setattr(parallel, 'free_memory', free_memory)
  assert train.train_all(points(), tmp_path) == {}
  out = capsys.readouterr().out
  assert '4 runs side by side need' in out
  assert out.count(', 2 runs side by side') == 2
  assert all(runs.done(tmp_path / name) for name in points())
  assert needed[0] > needed[1] > 0


def test_out_of_gpu_memory_halves_the_group(tmp_path, monkeypatch, capsys):
  def compiled(*args):
    raise jax.errors.JaxRuntimeError(
      'INTERNAL: CUDA Runtime error: : cudaErrorMemoryAllocation: out of memory'
    )

  monkeypatch.setattr(parallel, 'compiled', compiled)  # of several runs alone
  assert train.train_all(points('plain', 'sparse'), tmp_path) == {}
  assert 'They train in two halves' in capsys.readouterr().out


def test_at_once_limits_how_many_train_side_by_side(tmp_path, capsys):
  configs = points('plain', 'sparse', 'seed')
  assert train.train_all(configs, tmp_path, at_once=2) == {}
  assert capsys.readouterr().out.count('side by side') == 1
  assert all(runs.done(tmp_path / name) for name in configs)


def test_a_grid_starts_from_another_runs_net(whole, tmp_path):
  source = str(whole / 'plain')
  configs = points('dropout', 'seed')
  for config in configs.values():
    config.train.init_from = source
    config.optim.update({'l1_conv': 0.0, 'l1_fc': 0.0})
  configs['dropout'].optim.lr = 0.0
  assert train.train_all(configs, tmp_path) == {}
  assert_close(
    params(tmp_path / 'dropout')['conv1']['kernel'],
    params(whole / 'plain', 'best')['conv1']['kernel'],
    rtol=0,
  )
  assert runs.done(tmp_path / 'seed')['init_from']['run'] == source


def test_evaluation_and_many_processes_are_refused(tmp_path, monkeypatch):
  config = small_config(**{'train.epochs': 0})
  failed = train.train_all({'a': config}, tmp_path)
  assert 'evaluates a single run' in str(failed['a'])
  monkeypatch.setattr(runs.hosts, 'alone', lambda: False)
  with pytest.raises(errors.UsageError, match='leave out --distributed'):
    train.train_all(points(), tmp_path)
