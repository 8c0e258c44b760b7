import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from lconv_jax import models


def count(name, alpha, size, channels, classes):
  model = base.base().model
  model.name, model.base_channels = name, alpha
  shape = (size, size, channels)
  net = models.as_functions(models.build(model, shape, classes))
  x = jnp.zeros((1, *shape))
  params, _ = jax.eval_shape(net.init, jax.random.key(0), x)
  return {k: v.size for k, v in models.kernels(params).items()}


@pytest.mark.parametrize('alpha', [1, 4, 150])
@pytest.mark.parametrize('classes', [2, 10, 100])
def test_s_fc_has_the_weights_of_table_4(alpha, classes):
  s = 32
  assert count('s_fc', alpha, s, 3, classes) == {
    'conv1': 3 * s**4 * alpha // 4,
    'fc1': 6 * s**2 * alpha**2,
    'fc2': 24 * classes * alpha,
  }


@pytest.mark.parametrize('alpha', [1, 15])
def test_d_fc_has_the_weights_of_table_3(alpha):
  s, c = 32, 10
  expected = {'conv1': 3 * s**4 * alpha}
  for i in range(2, 9):
    expected[f'conv{i}'] = s**4 * alpha**2 // 2 ** (i - 1)
  expected |= {'fc1': 4 * s**2 * alpha**2, 'fc2': 64 * c * alpha}
  assert count('d_fc', alpha, s, 3, c) == expected


def test_odd_sizes_and_grey_images_are_padded_as_SAME_does():
  assert count('s_fc', 2, 7, 1, 3) == {
    'conv1': 49 * 4 * 4 * 2,
    'fc1': 4 * 4 * 2 * 48,
    'fc2': 48 * 3,
  }


@pytest.fixture
def net():
  model = base.base().model
  model.base_channels, model.dropout = 2, 0.5
  net = models.as_functions(models.build(model, (5, 4, 3), 7))
  x = jax.random.normal(jax.random.key(1), (6, 5, 4, 3))
  params, batch_stats = net.init(jax.random.key(0), x)
  # Statistics and batch norm parameters that a mistake cannot hide behind.
  params, batch_stats = jax.tree.map(
    lambda p: p + 0.5 * jax.random.uniform(jax.random.key(p.size), p.shape),
    (params, batch_stats),
  )
  return net, params, batch_stats, x


def test_evaluation_equals_numpy(net):
  net, params, batch_stats, x = net
  logits, same = net.apply(params, batch_stats, x)
  assert same is batch_stats
  y = np.asarray(x, np.float64).reshape(6, -1)
  for name in ('conv1', 'fc1'):
    bn, stats = params[f'{name}_bn'], batch_stats[f'{name}_bn']
    y = y @ np.asarray(params[name]['kernel'], np.float64)
    y = (y - stats['mean']) / np.sqrt(stats['var'] + 1e-5)
    y = np.maximum(y * bn['scale'] + bn['bias'], 0)
  y = y @ np.asarray(params['fc2']['kernel']) + params['fc2']['bias']
  np.testing.assert_allclose(logits, y, rtol=1e-5, atol=1e-5)


def test_training_moves_the_statistics_towards_the_batch(net):
  net, params, batch_stats, x = net
  _, new = net.apply(
    params, batch_stats, x, True, {'dropout': jax.random.key(0)}
  )
  y = np.asarray(x).reshape(6, -1) @ np.asarray(params['conv1']['kernel'])
  old = batch_stats['conv1_bn']
  np.testing.assert_allclose(
    new['conv1_bn']['mean'], 0.9 * old['mean'] + 0.1 * y.mean(0), rtol=1e-5
  )
  np.testing.assert_allclose(
    new['conv1_bn']['var'], 0.9 * old['var'] + 0.1 * y.var(0), rtol=1e-4
  )


def test_dropout_is_on_the_inputs_of_the_last_two_layers_only(net):
  net, params, batch_stats, x = net

  def loss(params):
    rngs = {'dropout': jax.random.key(3)}
    return net.apply(params, batch_stats, x, True, rngs, 0.5)[0].sum()

  grads = jax.grad(loss)(params)
  # An input that is dropped for every example has no gradient in its row.
  dead = {
    k: (np.abs(g['kernel']).sum(1) == 0).sum()
    for k, g in grads.items()
    if 'kernel' in g
  }
  assert dead['conv1'] == 0
  assert dead['fc1'] > 0


@pytest.mark.parametrize('rate', [0.0, 0.2, 0.5])
def test_dropout_keeps_the_mean_and_drops_at_its_rate(rate):
  x = jnp.full((50, 2000), 3.0)
  y = models.dropout(jax.random.key(0), rate, x)
  np.testing.assert_allclose((y == 0).mean(), rate, atol=0.01)
  np.testing.assert_allclose(y[y != 0], 3 / (1 - rate), rtol=1e-6)
  assert len({bytes(row) for row in np.asarray(y == 0)}) == (50 if rate else 1)


def test_kernels_are_he_normal():
  model = base.base().model
  model.base_channels = 4
  net = models.as_functions(models.build(model, (16, 16, 3), 10))
  params, _ = net.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
  for kernel in models.kernels(params).values():
    np.testing.assert_allclose(
      kernel.std(), np.sqrt(2 / len(kernel)), rtol=0.05
    )
