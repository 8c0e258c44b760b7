import importlib
import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from configs import base
from lconv_jax import errors, models
from lconv_jax.runs import checkpoint, interrupt
from lconv_jax.train import run as train
from lconv_jax.train import warm_start
from tests import fake_runs

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


@pytest.mark.parametrize('name', ['s_local', 's_fc', 's_conv'])
def test_a_run_starts_from_the_embedded_net(name, conv_run, tmp_path):
  # Where nothing is learned, the parameters stay what they were.
  c = config(name, **{'optim.lr': 0.0, 'train.init_from': str(conv_run)})
  train.train_and_evaluate(c, tmp_path)
  source, target = (
    models.describe(m, SHAPE, 2) for m in (config('s_conv').model, c.model)
  )
  want = models.embed.embed(checkpoint.load_net(conv_run), source, target)
  got = checkpoint.load_net(tmp_path, 'last')
  jax.tree.map(np.testing.assert_array_equal, got['params'], want['params'])


def test_it_goes_on_without_the_other_run(conv_run, tmp_path):
  source, folder = tmp_path / 'source', tmp_path / 'run'
  shutil.copytree(conv_run, source)
  c = config('s_fc', **{'train.init_from': str(source)})
  whole = train.train_and_evaluate(c, tmp_path / 'whole')
  original = train.Trainer.train_until

  def stop_after_an_epoch(self, stop):
    if stop > 4:
      raise KeyboardInterrupt
    return original(self, stop)

  c.train.checkpoint_every_epochs = 1
  with pytest.MonkeyPatch.context() as m:
    m.setattr(train.Trainer, 'train_until', stop_after_an_epoch)
    with pytest.raises(KeyboardInterrupt):
      train.train_and_evaluate(c, folder)
  shutil.rmtree(source)
  result = train.train_and_evaluate(c, folder)
  for key, value in whole['last'].items():
    if key not in ('seconds', 'images_per_second'):
      assert result['last'][key] == value


@pytest.mark.parametrize(
  ('name', 'fields', 'message'),
  [
    ('s_fc', {'model.base_channels': 2}, r'conv1 has outputs 256 and not 512'),
    ('d_fc', {}, 'S-CONV with α = 1 cannot become D-FC with α = 1'),
    ('resnet18', {}, 'S-CONV with α = 1 cannot become ResNet18 with α = 1'),
    (
      's_fc',
      {'data.nlgp.channels': 3},
      r'\[1, 9, 9, 1\] there, but .*\[1, 9, 9, 3\]',
    ),
    (
      's_fc',
      {'data.nlgp.xi': (1.0, 2.0, 4.0)},
      r'fc2/bias is float32\[2\] there, but .* float32\[3\]',
    ),
  ],
)
def test_another_net_is_refused(name, fields, message, conv_run, tmp_path):
  c = config(name, **{'train.init_from': str(conv_run), **fields})
  with pytest.raises(errors.UsageError, match=f'(?s)init_from=.*{message}'):
    train.train_and_evaluate(c, tmp_path)


def test_a_run_older_than_local_norm_is_embedded_in_a_unit_net(
  conv_run, tmp_path
):
  shutil.copytree(conv_run, tmp_path / 'old')
  path = tmp_path / 'old' / 'config.json'
  old = json.loads(path.read_text())
  del old['model']['local_norm'], old['model']['kernel_size']
  path.write_text(json.dumps(old))
  unit = {'model.local_norm': 'unit'}
  got, want = (
    warm_start.load(
      config('s_local', **unit, **{'train.init_from': str(source)}), SHAPE, 2
    )
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
    c = config('s_fc', **{'train.init_from': str(source)})
    with pytest.raises(errors.UsageError, match=f'init_from=.*{message}'):
      warm_start.load(c, SHAPE, 2)


def test_a_run_without_an_evaluated_epoch_is_no_start(conv_run, tmp_path):
  original = train.Trainer.train_until

  def stop_in_the_first_epoch(self, stop):
    totals = original(self, stop)
    os.kill(os.getpid(), signal.SIGTERM)
    return totals

  with pytest.MonkeyPatch.context() as m:
    m.setattr(train.Trainer, 'train_until', stop_in_the_first_epoch)
    with pytest.raises(interrupt.Interrupted):
      train.train_and_evaluate(config('s_conv'), tmp_path)
  c = config('s_fc', **{'train.init_from': str(tmp_path)})
  with pytest.raises(errors.UsageError, match='no evaluated epoch yet'):
    warm_start.load(c, SHAPE, 2)


def test_the_result_says_from_where_it_came(conv_run, tmp_path, capsys):
  c = config('s_fc', **{'train.init_from': str(conv_run), 'train.epochs': 1})
  result = train.train_and_evaluate(c, tmp_path)
  assert f'from the best net of {conv_run}' in capsys.readouterr().out
  source, before = result['init_from'], train.run.done(conv_run)
  assert source['run'] == str(conv_run) and source['finished']
  assert source['test/accuracy'] == before['best']['test/accuracy']
  assert source['commit'] == before['environment']['commit']


@pytest.mark.parametrize('name', models.NETS)
def test_every_architecture_trains(name, tmp_path):
  c = importlib.import_module(f'configs.{name}').get_config('nlgp,smoke')
  c.data.nlgp.update({'train': 150, 'test': 40})
  c.data.validation, c.data.limit, c.model.dropout = 22, 0, 0.5
  c.train.batch_size, c.train.epochs = 32, 1
  result = train.train_and_evaluate(c, tmp_path)
  assert np.isfinite(result['last']['train/loss'])
  kernels = models.kernels(checkpoint.load_net(tmp_path)['params'])
  assert {k: v.size for k, v in kernels.items()} == result['weights']
