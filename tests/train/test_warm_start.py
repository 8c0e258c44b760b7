import importlib
import json
import shutil

import jax
import numpy as np
import pytest

from configs import base
from lconv_jax import errors, models, runs, train
from lconv_jax.train import warm_start
from tests import fake_runs, small

SHAPE = (32, 32, 1)


def config(name, **fields):
  c = base.base()
  base.nlgp(c)
  base.sgd(c)
  c.model.update({'name': name, 'base_channels': 1})
  c.data.nlgp.update({'train': 150, 'test': 40})
  c.data.validation = 22
  c.train.batch_size, c.train.epochs = 32, 2
  c.update_from_flattened_dict(fields)
  return c


@pytest.fixture(scope='module')
def conv_run(tmp_path_factory):
  folder = tmp_path_factory.mktemp('conv')
  train.train_and_evaluate(config('s_conv'), folder)
  return folder


def net(name, shape=SHAPE, classes=2, **fields):
  return models.describe(config(name, **fields).model, shape, classes)


@pytest.mark.parametrize('name', ['s_local', 's_fc'])
def test_a_run_starts_from_the_embedded_net(name, conv_run, tmp_path, capsys):
  # Where nothing is learned, the parameters stay what they were.
  c = config(name, **{'optim.lr': 0.0, 'train.init_from': str(conv_run)})
  result = train.train_and_evaluate(c, tmp_path)
  got, source = (
    runs.checkpoint.load_net(folder, which)
    for folder, which in ((tmp_path, 'last'), (conv_run, 'best'))
  )
  want = models.embed.embed(source, net('s_conv'), net(name))
  jax.tree.map(np.testing.assert_array_equal, got['params'], want['params'])
  # The result says from where it came.
  assert f'from the best net of {conv_run}' in capsys.readouterr().out
  source, before = result['init_from'], runs.done(conv_run)
  assert source['run'] == str(conv_run) and source['finished']
  assert source['test/accuracy'] == before['best']['test/accuracy']
  assert source['commit'] == before['environment']['commit']


def test_the_same_net_is_taken_as_it_is(conv_run):
  got = warm_start.load(str(conv_run), net('s_conv'))
  want = runs.checkpoint.load_net(conv_run)
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_it_goes_on_without_the_other_run(conv_run, tmp_path, monkeypatch):
  source, folder = tmp_path / 'source', tmp_path / 'run'
  shutil.copytree(conv_run, source)
  c = config('s_fc', **{'train.init_from': str(source)})
  train.train_and_evaluate(c, tmp_path / 'whole')
  c.train.checkpoint_every_epochs = 1

  def kill(trainer):
    raise small.Killed

  small.before_step(monkeypatch, 4, kill)
  with pytest.raises(small.Killed):
    train.train_and_evaluate(c, folder)
  shutil.rmtree(source)
  result = train.train_and_evaluate(c, folder)
  assert result['init_from']['run'] == str(source)
  small.assert_same_run(tmp_path / 'whole', folder)


@pytest.mark.parametrize(
  ('name', 'fields', 'message'),
  [
    ('s_fc', {'model.base_channels': 2}, r'conv1 has outputs 256 and not 512'),
    ('d_fc', {}, 'S-CONV with α = 1 cannot become D-FC with α = 1'),
    ('resnet18', {}, 'S-CONV with α = 1 cannot become ResNet18 with α = 1'),
  ],
)
def test_another_net_is_refused(name, fields, message, conv_run):
  with pytest.raises(errors.UsageError, match=f'(?s)init_from=.*{message}'):
    warm_start.load(str(conv_run), net(name, **fields))


@pytest.mark.parametrize(
  ('shape', 'classes', 'message'),
  [
    ((32, 32, 3), 2, r'\[1, 9, 9, 1\] there, but .*\[1, 9, 9, 3\]'),
    (SHAPE, 3, r'fc2/bias is float32\[2\] there, but .* float32\[3\]'),
  ],
)
def test_other_images_are_refused(shape, classes, message, conv_run):
  with pytest.raises(errors.UsageError, match=f'(?s)init_from=.*{message}'):
    warm_start.load(str(conv_run), net('s_fc', shape, classes))


def test_pixels_in_another_order_are_refused(conv_run, tmp_path):
  source, order = tmp_path / 'source', np.random.RandomState(3).permutation(64)
  fields = {
    'data__permute': 3, 'model__name': 's_fc', 'model__base_channels': 1,
  }  # fmt: skip
  image = 8, 8, 1
  kernel = np.zeros((64, 16), np.float32)
  fake_runs.write(source, kernel=kernel, image=image, **fields)
  like = net('s_fc', image, fake_runs.CLASSES)
  for origin in None, order[::-1].copy():
    with pytest.raises(
      errors.UsageError, match=r'init_from=.*another order.*permute=3.*layout='
    ):
      warm_start.load(str(source), like, origin)
  got = warm_start.load(str(source), like, order)
  np.testing.assert_array_equal(got['params']['conv1']['kernel'], kernel)
  # A layout that undoes the permutation gives the true order.
  grid = tmp_path / 'geometry.npz'
  np.savez(grid, cell=order, permute=3)
  laid_out = tmp_path / 'laid_out'
  fields['data__layout'] = str(grid)
  fake_runs.write(laid_out, kernel=kernel, image=image, **fields)
  warm_start.load(str(laid_out), like)
  with pytest.raises(errors.UsageError, match=r'init_from=.*geometry.npz'):
    warm_start.load(str(laid_out), like, order)
  # A run asks with the order of its own images.
  c = config('s_fc', **{'train.init_from': str(conv_run), 'data.permute': 3})
  with pytest.raises(errors.UsageError, match=r'another order.*permute=-1'):
    train.train_and_evaluate(c, tmp_path / 'run')


def test_a_run_older_than_local_norm_is_embedded_in_a_unit_net(
  conv_run, tmp_path
):
  shutil.copytree(conv_run, tmp_path / 'old')
  path = tmp_path / 'old' / 'config.json'
  old = json.loads(path.read_text())
  del old['model']['local_norm'], old['model']['kernel_size']
  path.write_text(json.dumps(old))
  unit = net('s_local', **{'model.local_norm': 'unit'})
  got, want = (
    warm_start.load(str(source), unit)
    for source in (tmp_path / 'old', conv_run)
  )
  jax.tree.map(np.testing.assert_array_equal, got, want)
  assert want['params']['conv1_bn']['scale'].shape == (16, 16, 1)


def test_a_folder_that_holds_no_run_is_refused(conv_run, tmp_path):
  empty = tmp_path / 'empty'
  fake_runs.write(tmp_path / 'no_net', model__name='s_fc')
  for source, message in (
    (empty, 'is not a run folder'),
    (conv_run / 'config.json', 'is not a run folder'),
    (tmp_path / 'no_net', 'holds no checkpoint'),
  ):
    with pytest.raises(errors.UsageError, match=f'init_from=.*{message}'):
      warm_start.load(str(source), net('s_fc'))


def test_a_run_without_an_evaluated_epoch_is_no_start(tmp_path, monkeypatch):
  small.interrupt_at(monkeypatch, 1)
  with pytest.raises(runs.Interrupted):
    train.train_and_evaluate(config('s_conv'), tmp_path)
  with pytest.raises(errors.UsageError, match='no evaluated epoch yet'):
    warm_start.load(str(tmp_path), net('s_fc'))


@pytest.mark.parametrize('name', ['d_local', 'fc3', 'resnet18'])
def test_every_architecture_trains(name, tmp_path):
  """Of each kind one; S-nets are trained above, and D-CONV is between them."""
  c = importlib.import_module(f'configs.{name}').get_config('nlgp,smoke')
  c.data.nlgp.update({'train': 150, 'test': 40})
  c.data.validation, c.data.limit, c.model.dropout = 22, 0, 0.5
  c.train.batch_size, c.train.epochs = 32, 1
  result = train.train_and_evaluate(c, tmp_path)
  assert np.isfinite(result['last']['train/loss'])
  params = runs.checkpoint.load_net(tmp_path)['params']
  assert list(result['weights']) == list(models.kernels(params))
