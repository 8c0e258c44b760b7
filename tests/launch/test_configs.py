import importlib
import pathlib
import sys

import jax
import ml_collections
import pytest

from configs import base
from lconv_jax import augment, errors, models, train
from lconv_jax.augment import policy
from lconv_jax.data import dataset as data
from lconv_jax.train import check, optim

FILES = [
  p.stem
  for p in pathlib.Path(base.__file__).parent.glob('*.py')
  if p.stem not in ('__init__', 'base')
]


@pytest.mark.parametrize('choice', [None, *base.CHOICES])
@pytest.mark.parametrize('name', FILES)
def test_every_config_builds_its_model_and_optimiser(name, choice):
  config = importlib.import_module(f'configs.{name}').get_config(choice)
  check.check(config)
  net = models.describe(config.model, (32, 32, 3), 10)
  structure = optim.Structure.from_config(config, 10, net.convolutional)
  params = net.shapes['params']
  tx = optim.make(structure, optim.Hyper.from_config(config), params)
  jax.eval_shape(tx.init, params)


def test_s_fc_is_the_papers_setting():
  c = importlib.import_module('configs.s_fc').get_config()
  assert (c.model.name, c.model.base_channels) == ('s_fc', 150)
  t, o = c.train, c.optim
  assert (t.epochs, t.batch_size, o.lr, o.beta) == (400, 512, 0.1, 50)
  assert o.momentum == o.weight_decay == 0


@pytest.mark.parametrize(
  'name', sorted({*FILES} - {'demo', 's_fc_small', 'scrambled', 'signals'})
)
def test_the_papers_configs_use_fast_autoaugment(name):
  c = importlib.import_module(f'configs.{name}').get_config('svhn_cropped')
  assert augment.from_config(c.data, (32, 32, 3)) == augment.Pipeline(
    policy.load('fa_reduced_svhn'), padding=4, flip=True, cutout=20
  )


def leaves(config, prefix=()):
  for name, value in config.items():
    if hasattr(value, 'items'):
      yield from leaves(value, (*prefix, name))
    else:
      yield *prefix, name


def test_every_field_is_read_by_what_trains(tmp_path, monkeypatch):
  """Not only by `check`, which reads nearly all of them."""
  sections = {frozenset(base.base()): ()}
  for path in leaves(base.base()):
    for i in range(1, len(path)):
      section = base.base()
      for name in path[:i]:
        section = section[name]
      sections[frozenset(section)] = path[:i]
  read, get = set(), ml_collections.ConfigDict.__getitem__

  def spy(self, name):
    frame = sys._getframe(1)
    # ConfigDict's own copies and comparisons, which take all, do not count.
    if frame.f_code.co_name == '__getattr__':
      frame = frame.f_back
    module = frame.f_globals['__name__']
    if module.startswith('lconv_jax.') and module != 'lconv_jax.train.check':
      read.add((*sections[frozenset(self)], name))
    return get(self, name)

  monkeypatch.setattr(ml_collections.ConfigDict, '__getitem__', spy)
  config = base.base()
  base.nlgp(config)
  base.smoke(config)
  config.data.augment = 'fast_autoaugment'
  config.data.nlgp.update({'channels': 3, 'train': 300, 'test': 50})
  config.data.update({'validation': 50, 'limit': 200})
  config.train.update({'epochs': 2, 'batch_size': 100})
  train.train_and_evaluate(config, tmp_path / 'run')
  config.data.name = 'cifar10'
  config.data.dir = str(tmp_path)
  monkeypatch.setattr(data, 'read', lambda name, data_dir: 1 / 0)
  with pytest.raises(ZeroDivisionError):
    data.load(config.data)
  assert set(leaves(base.base())) <= read


def test_choices_are_applied_in_order():
  c = base.choose(base.base(), 'cifar100,sgd,smoke')
  assert (c.data.name, c.optim.name, c.train.epochs) == ('cifar100', 'sgd', 2)


def test_a_misspelt_choice_names_the_nearest():
  with pytest.raises(ValueError, match='Did you mean beta_lasso'):
    base.choose(base.base(), 'beta_laso')


@pytest.mark.parametrize(
  ('field', 'value', 'hint'),
  [
    ('optim.name', 'sdg', 'Did you mean sgd'),
    ('model.name', 's-fc', 'Did you mean s_fc'),
    ('data.name', 'cifar', 'Did you mean cifar10'),
    ('data.augment', 'autoaugment', 'Did you mean fast_autoaugment'),
    ('data.policy', 'fa_svhn', 'Did you mean fa_reduced_svhn'),
    ('data.crop', -1, 'at least 0'),
    ('data.cutout', 15, 'must be even'),
    ('data.permute', 2**32, 'less than 4294967296'),
    ('precision', 'fp16', 'float16'),
    ('optim.lr', float('nan'), 'at least 0'),
    ('optim.lr', float('inf'), 'finite'),
    ('optim.lr', -0.1, 'at least 0'),
    ('model.dropout', 1.0, 'less than 1'),
    ('train.batch_size', 0, 'at least 1'),
    ('seed', 2**32, 'less than 4294967296'),
  ],
)
def test_a_field_that_cannot_be_right_is_named(field, value, hint):
  config = base.base()
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UsageError, match=f'(?s){field}.*{hint}'):
    check.check(config)


@pytest.mark.parametrize(
  ('fields', 'uses'),
  [
    ({'augment': 'none'}, ''),
    ({'augment': 'flip_crop'}, 'crop, flip'),
    ({'augment': 'flip_crop', 'flip': False}, 'crop'),
    ({'augment': 'flip_crop', 'flip': False, 'crop': 0}, ''),
    (
      {'augment': 'fast_autoaugment'},
      'crop, flip, cutout, ShearX, ShearY, TranslateX, TranslateY, Rotate, '
      'Sharpness, Cutout',
    ),
    (
      {'augment': 'fast_autoaugment', 'policy': 'none', 'crop': 0},
      'flip, cutout',
    ),
  ],
)
def test_augmentation_that_betrays_the_geometry_is_refused(fields, uses):
  config = base.base()
  config.data.update(fields)
  check.check(config)
  config.data.permute = 0
  if uses:
    with pytest.raises(errors.UsageError) as e:
      check.check(config)
    assert f'neighbours ({uses}), which' in str(e.value)
    assert 'set config.data.augment=none, or' in str(e.value)
  config.data.leak_geometry = True
  check.check(config)
  config.data.update({'leak_geometry': False, 'layout': 'geometry.npz'})
  check.check(config)


def test_a_batch_that_does_not_divide_names_the_nearest():
  with pytest.raises(errors.UsageError, match='504 or 512'):
    check.check_batch(510, 8)
  with pytest.raises(errors.UsageError, match='nearest that do: 8'):
    check.check_batch(5, 8)
  check.check_batch(512, 8)


def test_a_batch_larger_than_the_data_is_refused():
  with pytest.raises(errors.UsageError, match='more than the 100'):
    check.check_train(128, 100, 1)
  check.check_train(100, 100, 1)
