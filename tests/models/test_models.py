import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from configs import base
from lconv_jax import errors, models
from lconv_jax.conv import windows
from lconv_jax.models import __main__, layers, table
from lconv_jax.train import check


def config(name, alpha=1, **fields):
  model = base.base().model
  model.update({'name': name, 'base_channels': alpha, **fields})
  return model


def count(name, alpha, size, channels, classes, **fields):
  shape = (size, size, channels)
  net = models.describe(config(name, alpha, **fields), shape, classes)
  sizes = {k: v.size for k, v in models.kernels(net.shapes['params']).items()}
  found = {layer.name: layer.weights for layer in net.layers}
  assert found == sizes
  return found


def s_net(conv1):
  def expected(s, a, c):
    fc = {'fc1': 6 * s**2 * a**2, 'fc2': 24 * c * a}
    return {'conv1': conv1(s, a), **fc}

  return expected


def d_net(conv1, others):
  def expected(s, a, c):
    convs = {f'conv{i}': others(s, a, i) for i in range(2, 9)}
    fc = {'fc1': 4 * s**2 * a**2, 'fc2': 64 * c * a}
    return {'conv1': conv1(s, a), **convs, **fc}

  return expected


def fc3(s, a, c):
  # As many weights as S-FC, to a multiple of eight units.
  weights = 3 * s**4 * a // 4 + 6 * s**2 * a**2 + 24 * c * a
  width = np.roots([1, 3 * s**2 + c, -weights]).max()
  n = 8 * round(width / 8)
  return {'fc1': 3 * s**2 * n, 'fc2': n * n, 'fc3': n * c}


def resnet18(s, a, c):
  sizes = {'conv1': 27 * a}
  for stage, width in enumerate([1, 2, 4, 8], start=2):
    w = (width * a) ** 2
    before = w // 2 if stage > 2 else w
    sizes[f'conv{stage}_1_1'] = 9 * before
    sizes[f'conv{stage}_1_2'] = 9 * w
    if stage > 2:
      sizes[f'conv{stage}_1_skip'] = before
    sizes[f'conv{stage}_2_1'] = sizes[f'conv{stage}_2_2'] = 9 * w
  return {**sizes, 'fc1': 8 * a * c}


# Tables 3 and 4 in closed form; D-LOCAL as its strides have it.
EXPECTED = {
  's_conv': s_net(lambda s, a: 243 * a),
  's_local': s_net(lambda s, a: 243 * s**2 * a // 4),
  's_fc': s_net(lambda s, a: 3 * s**4 * a // 4),
  'd_conv': d_net(lambda s, a: 27 * a, lambda s, a, i: 9 * 2 ** (i - 1) * a**2),
  'd_local': d_net(
    lambda s, a: 27 * s**2 * a,
    lambda s, a, i: 9 * s**2 * a**2 // (2 if i % 2 == 0 else 1),
  ),
  'd_fc': d_net(
    lambda s, a: 3 * s**4 * a, lambda s, a, i: s**4 * a**2 // 2 ** (i - 1)
  ),
  'fc3': fc3,
  'resnet18': resnet18,
}


def test_no_model_is_missing():
  assert set(EXPECTED) == set(models.NETS)
  with_config = {
    importlib.import_module(f'configs.{name}').get_config().model.name
    for name in models.NETS
  }
  assert with_config == set(models.NETS)


@pytest.mark.parametrize('classes', [10, 100])
@pytest.mark.parametrize('alpha', [1, 6])
@pytest.mark.parametrize('name', EXPECTED)
def test_every_layer_has_its_weights(name, alpha, classes):
  assert count(name, alpha, 32, 3, classes) == EXPECTED[name](
    32, alpha, classes
  )
  assert list(count(name, alpha, 32, 3, classes)) == list(
    EXPECTED[name](32, alpha, classes)
  )


@pytest.mark.parametrize(
  ('name', 'total'),
  [
    ('s_conv', 138_312_450),
    ('s_local', 147_607_200),
    ('s_fc', 256_240_800),
    ('d_conv', 1_445_955),
    ('d_local', 11_713_920),
    ('d_fc', 282_203_520),
    ('fc3', 256_352_544),
    ('resnet18', 11_164_352),  # 11,173,962 with batch norm and bias
  ],
)
def test_the_papers_sizes(name, total):
  alpha = models.NETS[name].base_channels
  assert sum(count(name, alpha, 32, 3, 10).values()) == total
  c = importlib.import_module(f'configs.{name}').get_config()
  assert (c.model.name, c.model.base_channels) == (name, alpha)


def test_odd_sizes_and_grey_images_are_padded_as_SAME_does():
  hidden = {'fc1': 4 * 4 * 2 * 48, 'fc2': 48 * 3}
  assert count('s_fc', 2, 7, 1, 3) == {'conv1': 49 * 4 * 4 * 2, **hidden}
  assert count('s_local', 2, 7, 1, 3) == {'conv1': 16 * 81 * 2, **hidden}


@pytest.mark.parametrize('size', [1, 5, 9])
def test_kernels_can_be_of_any_size(size):
  wide = count('resnet18', 2, 32, 3, 10, kernel_size=size)
  for layer, weights in count('resnet18', 2, 32, 3, 10).items():
    free = layer.startswith('conv') and 'skip' not in layer
    assert wide[layer] == (weights * size**2 // 9 if free else weights)
  assert count('s_conv', 2, 32, 3, 10, kernel_size=size)['conv1'] == 6 * size**2


@pytest.mark.parametrize('alpha', [1, 15])
@pytest.mark.parametrize('name', table.PAPER)
def test_the_table_differs_from_the_paper_where_that_is_wrong(name, alpha):
  rows = table.lines(name, alpha, (32, 32, 3), 10)
  differ = {
    (name, row.layer)
    for row in rows
    if row.weights != row.paper_weights and '≈' not in row.paper.text
  }
  wrong = {k for k in table.BY_STRIDES if k[0] == name and k[1] != 'total'}
  assert differ == wrong
  for row in rows:
    if right := table.BY_STRIDES.get((name, row.layer)):
      assert right.value(32, alpha, 10) == row.weights
  assert rows[-1].layer == 'total'
  assert rows[-1].weights == sum(row.weights for row in rows[:-1])
  if '≈' not in rows[-1].paper.text:
    assert rows[-1].paper_weights == rows[-1].weights


def test_the_table_has_every_net(capsys):
  assert __main__.main(['--table', '--base_channels', '2']) == 0
  out = capsys.readouterr().out
  for net in models.NETS.values():
    assert f'{net.title}, α = 2' in out
  assert out.count('by its strides') == 7
  assert '4×4×16 ' in out  # conv6 of D-CONV and D-LOCAL


# Forward passes by NumPy and lax, channels last.

CLASSES = 5
SHAPE = (9, 8, 2)  # odd and even: SAME pads unevenly


def conv_by_lax(x, kernel, stride, padding='SAME'):  # [o, kh, kw, i]
  return lax.conv_general_dilated(
    x, jnp.moveaxis(kernel, 0, -1), (stride, stride), padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )  # fmt: skip


def local_by_numpy(x, kernel, stride):  # [y, x, o, kh, kw, i]
  y, v, _, kh, kw, _ = kernel.shape
  w = windows.window(x.shape[1:3], (kh, kw), stride)
  x = np.pad(x, ((0, 0), *w.padding, (0, 0)))
  columns = [
    np.einsum(
      'bhwc,ohwc->bo',
      x[:, i * stride : i * stride + kh, j * stride : j * stride + kw],
      kernel[i, j],
    )
    for i, j in np.ndindex(y, v)
  ]
  return np.stack(columns, 1).reshape(len(x), y, v, -1)


def normalise(x, layer, variables):
  bn, stats = (variables[k][f'{layer}_bn'] for k in ('params', 'batch_stats'))
  y = (x - stats['mean']) / np.sqrt(stats['var'] + 1e-5)
  return y * bn['scale'] + bn['bias']


def net_by_hand(name, variables, x):
  kernel = {
    k: v['kernel'] for k, v in variables['params'].items() if 'kernel' in v
  }
  family, kind = ('', 'fc') if name == 'fc3' else name.split('_')
  stages = models.FAMILIES[family].stages if family else ()
  for i, stage in enumerate(stages, start=1):
    layer = f'conv{i}'
    if kind == 'fc':
      x = x.reshape(len(x), -1) @ kernel[layer]
    else:
      convolve = conv_by_lax if kind == 'conv' else local_by_numpy
      x = convolve(x, kernel[layer], stage.stride)
    x = np.maximum(normalise(x, layer, variables), 0)
  x = np.asarray(x).reshape(len(x), -1)
  *hidden, last = (k for k in models.kernels(variables['params']) if 'fc' in k)
  for layer in hidden:
    x = np.maximum(normalise(x @ kernel[layer], layer, variables), 0)
  return x @ kernel[last] + variables['params'][last]['bias']


@pytest.mark.parametrize('size', [4, 5])
def test_windows_of_resnet_are_centred_as_pytorchs_same(size):
  # PyTorch pads an even kernel by one more pixel at the end.
  model = config('resnet18', 1, kernel_size=size)
  layers = models.describe(model, (8, 8, 3), 2).layers
  for layer in layers[:-1]:
    k = 1 if layer.name.endswith('skip') else size
    before = (k - 1) // 2
    assert layer.window.padding == ((before, k - 1 - before),) * 2, layer.name


def resnet_by_hand(variables, x):
  kernel = {
    k: v['kernel'] for k, v in variables['params'].items() if 'kernel' in v
  }

  def conv(x, layer, stride=1):
    pad = [(kernel[layer].shape[1] // 2,) * 2] * 2  # as in PyTorch's
    y = conv_by_lax(x, kernel[layer], stride, pad)
    return normalise(y, layer, variables)

  x = np.maximum(conv(x, 'conv1'), 0)
  for block in '2_1 2_2 3_1 3_2 4_1 4_2 5_1 5_2'.split():
    stride = 2 if block in ('3_1', '4_1', '5_1') else 1
    y = np.maximum(conv(x, f'conv{block}_1', stride), 0)
    y = conv(y, f'conv{block}_2')
    if stride == 2:
      x = conv(x, f'conv{block}_skip', stride)
    x = np.maximum(x + y, 0)
  x = np.asarray(x).mean((1, 2))
  return x @ kernel['fc1'] + variables['params']['fc1']['bias']


@functools.cache
def trained(name, alpha=2, **fields):
  """A net with values that a mistake cannot hide behind, and images."""
  fields = {'dropout': 0.5, **fields}
  module = models.build(config(name, alpha, **fields), SHAPE, CLASSES)
  x = jax.random.normal(jax.random.key(1), (6, *SHAPE))
  rng = np.random.default_rng(2)

  def value(path, like):
    if path[-1].key == 'kernel':
      values = 0.3 * rng.normal(size=like.shape)
    else:
      start = {'scale': 1, 'var': 1}.get(path[-1].key, 0)
      values = start + 0.5 * rng.random(like.shape)
    return jnp.asarray(values, like.dtype)

  # Drawing them by init itself takes XLA seconds to compile.
  shapes = jax.eval_shape(module.init, jax.random.key(0), x)
  variables = jax.tree_util.tree_map_with_path(value, shapes)
  return models.as_functions(module), variables, x


@pytest.mark.parametrize(
  ('name', 'fields'),
  [
    *((name, {}) for name in models.NETS if name not in ('d_conv', 'd_local')),
    ('s_local', {'local_norm': 'unit'}),
    ('d_local', {'local_norm': 'unit'}),
  ],
)
def test_evaluation_equals_a_forward_pass_by_hand(name, fields):
  net, variables, x = trained(name, **fields)
  params, batch_stats = variables['params'], variables['batch_stats']
  logits, same = jax.jit(net.apply)(params, batch_stats, x)
  jax.tree.map(np.testing.assert_array_equal, same, batch_stats)
  assert logits.dtype == jnp.float32
  if name == 'resnet18':
    want = resnet_by_hand(variables, np.asarray(x))
  else:
    want = net_by_hand(name, variables, np.asarray(x))
  np.testing.assert_allclose(
    logits, want, rtol=1e-3, atol=1e-4 * np.abs(want).max()
  )


@pytest.mark.parametrize(
  ('name', 'norm', 'shape'),
  [
    ('s_conv', 'channel', (2,)),
    ('s_local', 'channel', (2,)),
    ('s_local', 'unit', (5, 4, 2)),
    ('s_fc', 'channel', (40,)),
  ],
)
def test_training_moves_the_statistics_towards_the_batch(name, norm, shape):
  net, variables, x = trained(name, local_norm=norm)
  params, old = variables['params'], variables['batch_stats']
  rngs = {'dropout': jax.random.key(0)}
  _, new = jax.jit(net.apply, static_argnums=3)(params, old, x, True, rngs)
  kernel, image = params['conv1']['kernel'], np.asarray(x)
  match name:
    case 's_conv':
      y = np.asarray(conv_by_lax(image, kernel, 2))
    case 's_local':
      y = local_by_numpy(image, kernel, 2)
    case 's_fc':
      y = image.reshape(6, -1) @ kernel
  y = y.reshape(-1, *shape)  # over batch, and positions where they are one
  old, new = old['conv1_bn'], new['conv1_bn']
  for moment, batch in (('mean', y.mean(0)), ('var', y.var(0))):
    assert new[moment].shape == shape
    np.testing.assert_allclose(
      new[moment], 0.9 * old[moment] + 0.1 * batch, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize('name', ['s_conv', 's_fc', 'fc3', 'resnet18'])
def test_dropout_is_on_the_inputs_of_the_last_two_layers_only(name):
  net, variables, x = trained(name, alpha=4)
  params, batch_stats = variables['params'], variables['batch_stats']

  dense = [k for k in models.kernels(params) if k.startswith('fc')]
  flat = {
    k: params[k]['kernel']
    for k in models.kernels(params)
    if k in dense or (name.endswith('fc') and k == 'conv1')
  }

  def loss(kernels):
    rngs = {'dropout': jax.random.key(3)}
    own = {k: {**params[k], 'kernel': kernel} for k, kernel in kernels.items()}
    return net.apply({**params, **own}, batch_stats, x, True, rngs, 0.8)[
      0
    ].sum()

  # Of these alone: what is before them need not be compiled backwards.
  grads = jax.jit(jax.grad(loss))(flat)
  # An input that is dropped for every example has no gradient in its row.
  dead = {k: (np.abs(g).sum(1) == 0).mean() for k, g in grads.items()}
  for layer in dense[-2:]:  # a ReLU may be dead as well
    assert 0 < dead.pop(layer)
  assert all(share == 0 for share in dead.values())


@pytest.mark.parametrize('rate', [0.0, 0.2, 0.5])
def test_dropout_keeps_the_mean_and_drops_at_its_rate(rate):
  x = jnp.full((50, 2000), 3.0)
  y = layers.dropout(jax.random.key(0), rate, x)
  np.testing.assert_allclose((y == 0).mean(), rate, atol=0.01)
  np.testing.assert_allclose(y[y != 0], 3 / (1 - rate), rtol=1e-6)
  assert len({bytes(row) for row in np.asarray(y == 0)}) == (50 if rate else 1)


@pytest.mark.parametrize(
  ('layer', 'shape', 'fan_in'),
  [
    (layers.Conv(64, 5), (6, 7, 3, 1), 5 * 5 * 3),
    (layers.Conv(9, 5, shared=False), (6, 7, 3, 1), 5 * 5 * 3),
    (layers.Dense(64), (1, 300), 300),
  ],
)
def test_kernels_are_he_normal(layer, shape, fan_in):
  params = layer.init(jax.random.key(0), jnp.ones(shape))['params']
  deviation = params['kernel'].std()
  np.testing.assert_allclose(deviation, np.sqrt(2 / fan_in), rtol=0.05)


def test_a_kernel_size_is_refused_where_there_are_no_windows():
  c = base.base()
  c.model.kernel_size = 5
  with pytest.raises(errors.UsageError, match='s_fc has none; leave it at 0'):
    check.check(c)
  c.model.name = 'resnet18'
  check.check(c)
