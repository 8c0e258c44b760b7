"""A net of one's own, registered in one place, is treated like the paper's."""

import csv
import importlib
import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from lconv_jax import errors, models, report, runs, train
from lconv_jax.mdl import guarantee, search
from lconv_jax.models.layers import Conv, Dense, batch_norm
from tests import small

SHAPE, FILTERS = (32, 32, 1), 2


class Toy(nn.Module):
  """Layers whose names say nothing, in no alphabetical order."""

  connectivity: str
  channels: int
  num_classes: int
  dtype: jnp.dtype = jnp.float32
  dropout: bool = False
  axis_name: str | None = None
  sync_batch_norm: bool = True

  @nn.compact
  def __call__(self, x, train=False, dropout_rate=0.0):
    batch = len(x)
    if self.connectivity == 'fc':
      units = 14 * 14 * self.channels
      stem, axis = Dense(units, convolutional=True, name='stem'), -1
      x = stem(x.reshape(batch, -1).astype(self.dtype))
    else:
      shared, axis = self.connectivity == 'conv', 2
      stem = Conv(self.channels, 6, 2, shared, 'VALID', name='stem')
      x = stem(jnp.moveaxis(x, 0, -1).astype(self.dtype))
    x = nn.relu(batch_norm(x, axis, train, self.axis_name, 'scaled'))
    x = x if self.connectivity == 'fc' else x.reshape(-1, batch).T
    x = Dense(8, name='mix')(x.astype(self.dtype))
    x = nn.relu(batch_norm(x, -1, train, self.axis_name, 'again'))
    head = Dense(self.num_classes, use_bias=True, name='head')
    return head(x.astype(self.dtype))


def architecture(connectivity, module=Toy):
  def build(wanted):
    model, _, classes, fields = wanted
    return module(connectivity, model.base_channels, classes, **fields)

  return models.Architecture(
    f'Toy {connectivity}', FILTERS, build, connectivity, 'toy', sequential=True
  )


@pytest.fixture(scope='module', autouse=True)
def registered():
  with pytest.MonkeyPatch.context() as m:
    for connectivity in models.CONNECTIVITIES:
      name = f'toy-{connectivity}'
      m.setitem(models.NETS, name, architecture(connectivity))
    yield


def config(name, **fields):
  c = small.config(**{'model.name': name, 'model.base_channels': FILTERS})
  c.train.epochs, c.data.augment, c.model.dropout = 1, 'none', 0.0
  c.optim.lr = 0.0
  c.update_from_flattened_dict(fields)
  return c


@pytest.fixture(scope='module')
def trained(registered, tmp_path_factory):
  """A CONV net that β-LASSO only cuts, and what starts from it."""
  root = tmp_path_factory.mktemp('toys')
  cut = {'optim.l1_conv': 0.02, 'optim.l1_fc': 1e-9}
  train.train_and_evaluate(config('toy-conv', **cut), root / 'conv')
  later = {'optim.name': 'sgd', 'train.init_from': str(root / 'conv')}
  for name in ('local', 'fc'):
    c = config(f'toy-{name}', **later)
    c.train.log_locality = name == 'fc'
    train.train_and_evaluate(c, root / name)
  return {name: runs.read(root / name) for name in models.CONNECTIVITIES}


def kernel(run):
  _, variables = runs.load_net(run, SHAPE)
  return np.asarray(variables['params']['stem']['kernel'])


def test_it_is_described_from_the_image_to_the_logits():
  net = models.describe(config('toy-local').model, SHAPE, 3)
  assert [(x.name, x.kind, x.norm) for x in net.layers] == [
    ('stem', 'local', 'scaled'), ('mix', 'dense', 'again'),
    ('head', 'dense', None),
  ]  # fmt: skip
  assert net.chain == ('stem', 'mix', 'head')
  assert net.convolutional == {'stem'}
  assert net.layers[0].window.strides == (2, 2)
  assert net.layers[0].outputs == (14, 14, FILTERS)
  net = models.describe(config('toy-fc').model, SHAPE, 3)
  assert net.convolutional == {'stem'}


def test_its_first_layer_has_the_lambda_of_convolutions(trained):
  done = trained['conv'].done
  assert list(done['weights']) == ['stem', 'mix', 'head']
  share = np.mean(kernel(trained['conv']) != 0)
  assert done['best']['nonzero/stem'] == pytest.approx(share)
  assert 0.2 < share < 0.9
  assert done['best']['nonzero/mix'] == 1


def test_it_is_embedded(trained):
  x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
  want = lax.conv_general_dilated(
    x, np.moveaxis(kernel(trained['conv']), 0, -1), (2, 2), 'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )  # fmt: skip
  got = x.reshape(3, -1) @ kernel(trained['fc'])
  np.testing.assert_allclose(got, want.reshape(3, -1), rtol=1e-4, atol=1e-4)
  local = kernel(trained['local'])
  np.testing.assert_array_equal(local[3, 5], kernel(trained['conv']))


def test_its_locality_is_that_of_the_dense_layer(trained, tmp_path):
  paths = [str(trained[name].path) for name in models.CONNECTIVITIES]
  out = [f'--out={tmp_path}', f'--csv={tmp_path / "table.csv"}']
  command = importlib.import_module('lconv_jax.locality.__main__')
  assert command.main([*paths, *out]) == 0
  with open(tmp_path / 'table.csv', encoding='utf-8') as f:
    rows = list(csv.DictReader(f))
  assert [row['filters'] for row in rows] == ['392'] * 3
  assert len({row['spread'] for row in rows}) == 1
  assert rows[0]['method'].startswith('Toy conv β-LASSO')
  # The run that was asked to has logged it, and no net with windows has.
  assert 'locality/spread' in trained['fc'].metrics[0]
  assert trained['fc'].done['locality']['filters'] == 392
  assert 'locality' not in trained['conv'].done


def test_it_is_reported_and_drawn(trained, tmp_path):
  request = report.Request('python -m lconv_jax.report')
  lines = report.draw(list(trained.values()), tmp_path, request)
  assert not [line for line in lines if line.startswith('no filters')]
  assert report.row(trained['local'])['method'].startswith('Toy local')
  assert report.filters(trained['conv']).shape == (FILTERS, 6, 6, 1)


def test_theorem_2_knows_it(trained, monkeypatch):
  few = search.Setting((0.0, 0.3), (2, 8), (4, 16), (9, 12))
  monkeypatch.setattr(search, 'CHOICES', few)
  found = guarantee.of_run(trained['conv'].path)
  kernels = sum(trained['conv'].done['weights'].values())
  # A bias for each filter and unit, and the moments of the pixels.
  assert found.description.length.n == kernels + FILTERS + 8 + 2 + 2


def test_its_table_is_printed(capsys):
  command = importlib.import_module('lconv_jax.models.__main__')
  assert command.main(['--table', '--model', 'toy-local']) == 0
  out = capsys.readouterr().out
  assert f'Toy local, α = {FILTERS}' in out
  assert f'{14 * 14 * FILTERS * 6 * 6 * 3:,}' in out


@pytest.mark.parametrize(
  ('name', 'fields', 'message'),
  [
    ('toy-conv', {'train.log_locality': True}, 'that of toy-conv has windows'),
    ('toy-fc', {'model.kernel_size': 5}, 'toy-fc has none'),
    ('toy-fc', {'model.local_norm': 'unit'}, 'for .*toy-local, not for toy-fc'),
    ('toy', {}, r"'toy' does not exist\. Did you mean toy-"),
  ],
)
def test_what_does_not_suit_it_is_refused(name, fields, message):
  with pytest.raises(errors.UsageError, match=message):
    train.check.check(config(name, **fields))


class Inside(nn.Module):
  @nn.compact
  def __call__(self, x):
    return Dense(2, name='deep')(x)


class Wrong(Toy):
  """A layer within a part of the net, which nothing would find."""

  @nn.compact
  def __call__(self, x, train=False, dropout_rate=0.0):
    x = batch_norm(x.reshape(len(x), -1), -1, train, None, 'before')
    return Inside(name='part')(x)


def test_parts_that_nothing_would_find_are_refused(monkeypatch):
  monkeypatch.setitem(models.NETS, 'wrong', architecture('fc', Wrong))
  with pytest.raises(errors.UsageError, match=r'described \(before, part\)'):
    models.describe(config('wrong').model, SHAPE, 2)


def test_no_name_of_a_layer_or_a_net_is_taken_apart():
  apart = re.compile(
    r"(startswith|endswith|removesuffix)\(\(?'_?(conv|local|fc|bn)|_bn\b.*in "
    r"|name\.(r?split|r?partition)\('[_-]|'_?(conv|local|fc)' in \w*name"
  )
  package = pathlib.Path(models.__file__).parents[1]
  for path in package.rglob('*.py'):
    for line in path.read_text(encoding='utf-8').splitlines():
      assert not apart.search(line), f'{path}: {line}'
