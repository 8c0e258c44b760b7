"""Nets with random weights, as trained, and their logits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from configs import base
from lconv_jax import data, models
from lconv_jax.export import SparseNet, of_run, sparse_file

SHAPE, CLASSES = (9, 8, 3), 5  # odd and even: SAME pads unevenly
NETS = [
  *((name, 'channel') for name in models.NETS),
  ('s_local', 'unit'),
]


@functools.cache
def described(name, norm='channel', shape=SHAPE):
  model = base.base().model
  model.update({'name': name, 'base_channels': 2, 'local_norm': norm})
  return models.describe(model, shape, CLASSES)


@functools.cache
def forward(module):
  return jax.jit(module.apply)


def variables(net, zeros, seed=0):
  """Draws weights, of which a share is zero, and batch norms."""
  rng = np.random.default_rng(seed)

  def draw(path, like):
    leaf, shape = path[-1].key, like.shape
    x = rng.normal(size=shape)
    if leaf == 'kernel':
      fan_in = np.prod(shape[-3:]) if len(shape) > 2 else shape[0]
      x *= rng.random(shape) >= zeros
      x *= np.sqrt(2 / max(1, fan_in * (1 - zeros)))
    elif leaf in ('scale', 'var'):
      x = 1 + 0.5 * rng.random(shape)
    return x.astype(np.float32)

  return jax.tree.map_with_path(draw, net.shapes)


def images(num=6, shape=SHAPE):
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (num, *shape), dtype=np.uint8)


def dataset(shape=SHAPE):
  test = data.Split(images(shape=shape), np.zeros(6, np.int32))
  channels = shape[-1]
  mean, std = np.float32([0.4, 0.5, 0.6]), np.float32([0.2, 0.25, 0.3])
  names = tuple('abcde')
  moments = mean[:channels], std[:channels]
  return data.Dataset('test', CLASSES, test, test, test, *moments, None, names)


def trained(name, norm='channel', zeros=0.0, change=lambda params: None):
  net = described(name, norm)
  drawn = variables(net, zeros)
  change(drawn['params'])
  return of_run.Trained(net, drawn, dataset())


def logits(net, x):
  """The logits of a trained net, by its module alone."""
  d = net.dataset
  x = (jnp.float32(x) / 255 - d.mean) / d.std
  return np.asarray(forward(net.net.module)(net.variables, x))


def sparse_net(net):
  names = net.dataset.class_names
  steps = net.steps(sparse=True)
  return SparseNet(*sparse_file.content(steps, SHAPE, names))


def assert_same(found, wanted):
  assert found.dtype == np.float32 and found.shape == wanted.shape
  scale = np.abs(wanted).max()
  np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(1, scale))
