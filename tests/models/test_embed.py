import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from lconv_jax import errors, models
from lconv_jax.conv import windows

SHAPE, CLASSES = (9, 8, 2), 5  # odd and even: SAME pads unevenly
KINDS = [
  ('conv', 'channel'),
  ('local', 'channel'),
  ('local', 'unit'),
  ('fc', 'channel'),
]


def build(family, kind, shape=SHAPE, classes=CLASSES, **fields):
  model = base.base().model
  model.update({'base_channels': 2, **fields})
  model.name, model.local_norm = f'{family}_{kind[0]}', kind[1]
  return models.describe(model, shape, classes)


def trained(net):
  """Parameters and statistics that a mistake cannot hide behind."""
  rng = np.random.default_rng(0)

  def draw(path, like):
    x = rng.normal(size=like.shape) / np.sqrt(np.prod(like.shape[-3:]))
    if path[-1].key != 'kernel':
      x = (path[-1].key in ('scale', 'var')) + 0.5 * rng.random(like.shape)
    return x.astype(np.float32)

  x = jnp.float32(rng.normal(size=(6, *SHAPE)))
  return jax.tree.map_with_path(draw, net.shapes), x


@functools.cache
def forward(module):
  return jax.jit(module.apply)


@pytest.mark.parametrize(
  ('source', 'target'),
  list(itertools.combinations_with_replacement(KINDS, 2)),
)
@pytest.mark.parametrize(('family', 'alpha'), [('s', 3), ('d', 2)])
def test_an_embedded_net_gives_the_same_logits(family, source, target, alpha):
  source = build(family, source, base_channels=alpha)
  target = build(family, target, base_channels=alpha)
  net, x = trained(source)
  embedded = models.embed.embed(net, source, target)
  like = jax.tree.map(lambda x: (x.shape, x.dtype), target.shapes)
  assert jax.tree.map(lambda x: (x.shape, x.dtype), embedded) == like
  want = forward(source.module)(net, x)
  got = forward(target.module)(embedded, x)
  np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * np.ptp(want))


def test_a_dense_layer_of_a_local_one_is_zero_outside_of_the_windows():
  w = windows.window((5, 5), (3, 3), 2)
  kernel = np.ones((*w.positions, 1, 3, 3, 1), np.float32)
  columns = models.embed.dense(kernel, w, (5, 5)).T
  columns = columns.reshape(*w.positions, 5, 5)
  np.testing.assert_array_equal(columns[0, 0], np.pad(np.ones((2, 2)), (0, 3)))
  np.testing.assert_array_equal(columns[1, 1], np.pad(np.ones((3, 3)), 1))


def test_gradients_flow_to_the_zeros_as_well():
  source, target = build('s', KINDS[0]), build('s', KINDS[3])
  net, x = trained(source)
  net = jax.device_put(models.embed.embed(net, source, target))

  def loss(params):
    y, _ = target.module.apply(
      {**net, 'params': params}, x, True, mutable=['batch_stats']
    )
    return (y**2).sum()

  grad = jax.jit(jax.grad(loss))(net['params'])['conv1']['kernel']
  assert (net['params']['conv1']['kernel'] == 0).any()
  assert (np.asarray(grad) != 0).all()


@pytest.mark.parametrize(
  ('source', 'target', 'message'),
  [
    (
      build('s', KINDS[3]),
      build('s', KINDS[0]),
      'S-FC .* cannot become S-CONV',
    ),
    (build('s', KINDS[2]), build('s', KINDS[1]), 'per channel before per unit'),
    (
      build('s', KINDS[0]),
      build('d', KINDS[3]),
      'S-CONV .* cannot become D-FC',
    ),
    (
      build('s', KINDS[0], base_channels=1),
      build('s', KINDS[3], base_channels=2),
      'conv1 has outputs 20 and not 40',
    ),
    (
      build('s', KINDS[0], kernel_size=5),
      build('s', KINDS[1]),
      r'conv1 has windows \(5, 5\) and not \(9, 9\)',
    ),
    (
      build('s', KINDS[0], classes=3),
      build('s', KINDS[3]),
      'fc2 has outputs 3 and not 5',
    ),
  ],
)
def test_what_is_no_embedding_is_refused(source, target, message):
  with pytest.raises(errors.UsageError, match=f'(?s){message}'):
    models.embed.embed({}, source, target)


def test_windows_of_any_size_become_fc():
  source = build('s', KINDS[0], kernel_size=4)
  net, x = trained(source)
  target = build('s', KINDS[3])
  embedded = models.embed.embed(net, source, target)
  np.testing.assert_allclose(
    forward(target.module)(embedded, x),
    forward(source.module)(net, x),
    rtol=1e-3,
    atol=1e-3,
  )


def test_variables_of_another_net_or_image_are_refused():
  net, _ = trained(build('s', KINDS[1]))
  small = [build('s', kind, shape=(5, 8, 2)) for kind in (KINDS[1], KINDS[3])]
  with pytest.raises(errors.UsageError, match=r'images of shape \(5, 8, 2\)'):
    models.embed.embed(net, *small)
  other = [build('s', k, base_channels=3) for k in (KINDS[1], KINDS[3])]
  with pytest.raises(errors.UsageError, match=r'mean is float32\[2\]'):
    models.embed.embed(net, *other)
