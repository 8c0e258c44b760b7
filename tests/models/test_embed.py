import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from lconv_jax import errors, models
from lconv_jax.conv import windows
from lconv_jax.models import embed

SHAPE, CLASSES = (9, 8, 2), 5  # odd and even: SAME pads unevenly
KINDS = [
  ('conv', 'channel'),
  ('local', 'channel'),
  ('local', 'unit'),
  ('fc', 'channel'),
]


def build(family, kind, **fields):
  model = base.base().model
  model.update({'base_channels': 2, **fields})
  model.name, model.local_norm = f'{family}_{kind[0]}', kind[1]
  return models.build(model, SHAPE, CLASSES)


@functools.cache
def trained(module):
  """Parameters and statistics that a mistake cannot hide behind."""
  x = jax.random.normal(jax.random.key(0), (6, *SHAPE))
  variables = jax.jit(module.init)(jax.random.key(1), x)
  leaves, tree = jax.tree.flatten(variables)
  keys = jax.random.split(jax.random.key(2), len(leaves))
  leaves = [
    p + 0.5 * jax.random.uniform(k, p.shape)
    for p, k in zip(leaves, keys, strict=True)
  ]
  return jax.tree.map(np.asarray, jax.tree.unflatten(tree, leaves)), x


@functools.cache
def forward(module):
  return jax.jit(module.apply)


@pytest.mark.parametrize(
  ('source', 'target'),
  list(itertools.combinations_with_replacement(KINDS, 2)),
)
@pytest.mark.parametrize(('family', 'alpha'), [('s', 1), ('s', 3), ('d', 2)])
def test_an_embedded_net_gives_the_same_logits(family, source, target, alpha):
  source = build(family, source, base_channels=alpha)
  target = build(family, target, base_channels=alpha)
  net, x = trained(source)
  embedded = embed.embed(net, source, target, SHAPE)
  like = jax.eval_shape(target.init, jax.random.key(0), x)
  assert jax.tree.map(jnp.shape, embedded) == jax.tree.map(jnp.shape, like)
  want, got = (
    forward(module)(jax.tree.map(jnp.asarray, tree), x)
    for module, tree in ((source, net), (target, embedded))
  )
  np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * np.ptp(want))


def test_a_dense_layer_of_a_local_one_is_zero_outside_of_the_windows():
  w = windows.window((5, 5), (3, 3), 2)
  kernel = np.ones((*w.positions, 1, 3, 3, 1), np.float32)
  columns = embed.dense(kernel, w, (5, 5)).T.reshape(*w.positions, 5, 5)
  np.testing.assert_array_equal(columns[0, 0], np.pad(np.ones((2, 2)), (0, 3)))
  np.testing.assert_array_equal(columns[1, 1], np.pad(np.ones((3, 3)), 1))


def test_gradients_flow_to_the_zeros_as_well():
  source, target = build('s', KINDS[0]), build('s', KINDS[3])
  net, x = trained(source)
  net = jax.tree.map(jnp.asarray, embed.embed(net, source, target, SHAPE))

  def loss(params):
    y, _ = target.apply(
      {**net, 'params': params}, x, True, mutable=['batch_stats']
    )
    return (y**2).sum()

  grad = jax.grad(loss)(net['params'])['conv1']['kernel']
  assert (net['params']['conv1']['kernel'] == 0).any()
  assert (np.asarray(grad) != 0).all()


@pytest.mark.parametrize(
  ('source', 'target', 'message'),
  [
    (build('s', KINDS[3]), build('s', KINDS[0]), 'FC cannot become CONV'),
    (build('s', KINDS[2]), build('s', KINDS[1]), 'per channel before per unit'),
    (build('s', KINDS[0]), build('d', KINDS[3]), r'channels \[2\] cannot'),
    (
      build('s', KINDS[0], base_channels=1),
      build('s', KINDS[3], base_channels=2),
      r'channels \[1\] cannot become one with \[2\]',
    ),
    (
      build('s', KINDS[0], kernel_size=5),
      build('s', KINDS[1]),
      r'windows \[5\] cannot become one with \[9\]',
    ),
    (
      dataclasses.replace(build('s', KINDS[0]), num_classes=3),
      build('s', KINDS[3]),
      'classes 3 cannot become one with 5',
    ),
  ],
)
def test_what_is_no_embedding_is_refused(source, target, message):
  with pytest.raises(errors.UsageError, match=f'(?s){message}'):
    embed.embed({}, source, target, SHAPE)


def test_windows_of_any_size_become_fc():
  source = build('s', KINDS[0], kernel_size=4)
  net, x = trained(source)
  target = build('s', KINDS[3])
  embedded = jax.tree.map(jnp.asarray, embed.embed(net, source, target, SHAPE))
  np.testing.assert_allclose(
    forward(target)(embedded, x),
    forward(source)(jax.tree.map(jnp.asarray, net), x),
    rtol=1e-3,
    atol=1e-3,
  )


def test_variables_of_another_net_or_image_are_refused():
  source, target = build('s', KINDS[1]), build('s', KINDS[3])
  net, _ = trained(source)
  with pytest.raises(errors.UsageError, match=r'images of shape \(5, 8, 2\)'):
    embed.embed(net, source, target, (5, 8, 2))
  other = [build('s', k, base_channels=3) for k in (KINDS[1], KINDS[3])]
  with pytest.raises(errors.UsageError, match=r'mean is float32\[2\]'):
    embed.embed(net, *other, SHAPE)
