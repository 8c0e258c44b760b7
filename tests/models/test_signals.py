"""Nets on signals [N, L, C], which are images of height 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from configs import base
from lconv_jax import conv, models
from lconv_jax.export import SparseNet, of_run, sparse_file
from lconv_jax.models import __main__
from tests.export import nets

LENGTH, CHANNELS, CLASSES = 11, 3, 5
SHAPE = (1, LENGTH, CHANNELS)


def described(name, alpha=2, shape=SHAPE, **fields):
  model = base.base().model
  model.update({'name': name, 'base_channels': alpha, **fields})
  return models.describe(model, shape, CLASSES)


class Flax(nn.Module):
  """S-net on signals, of flax's layers in one dimension."""

  layer: type[nn.Module]

  @nn.compact
  def __call__(self, x):  # [N, L, C]
    x = self.layer(2, (9,), 2, 'SAME', use_bias=False, name='conv1')(x)
    x = nn.relu(nn.BatchNorm(True, epsilon=1e-5, name='conv1_bn')(x))
    x = x.reshape(len(x), -1)
    x = nn.Dense(48, use_bias=False, name='fc1')(x)
    x = nn.relu(nn.BatchNorm(True, epsilon=1e-5, name='fc1_bn')(x))
    return nn.Dense(CLASSES, name='fc2')(x)


@pytest.mark.parametrize('name', ['s_conv', 's_local'])
def test_nets_on_signals_are_flaxs_in_one_dimension(name):
  net = described(name)
  ours, x = nets.variables(net, 0.0), nets.images(4, SHAPE) / np.float32(255)
  theirs = jax.tree.map(jnp.asarray, ours)
  kernel = ours['params']['conv1']['kernel']
  reference = Flax(nn.Conv if name == 's_conv' else nn.ConvLocal)
  shapes = jax.eval_shape(reference.init, jax.random.key(0), x[:, 0])
  rng = np.random.default_rng(0)
  like = shapes['params']['conv1']['kernel']
  flaxs = rng.normal(size=like.shape).astype(np.float32)
  theirs['params']['conv1']['kernel'] = flaxs
  if name == 's_local':  # [positions, size, Cin, Cout]
    params = {'kernel': jnp.asarray(flaxs)}
    flaxs = np.asarray(conv.from_conv_local(params, 9)['kernel'])
  moved = np.moveaxis(flaxs, -1, -3)[..., None, :, :]
  moved = moved if name == 's_conv' else moved[None]
  assert kernel.shape == moved.shape  # one row
  ours['params']['conv1']['kernel'] = moved
  want = reference.apply(theirs, x[:, 0])
  nets.assert_same(np.asarray(nets.forward(net.module)(ours, x)), want)


def test_kernels_have_one_row_in_every_family():
  for name in ('s_conv', 's_local', 'd_conv', 'd_local', 'resnet18'):
    for layer in described(name).layers:
      if layer.window:
        size = layer.window.size[1]
        assert layer.window.size == (1, size) and layer.outputs[0] == 1
        wanted = {'s': 9, 'd': 3, 'r': 1 if 'skip' in layer.name else 3}
        assert size == wanted[name[0]]
  # Images that shrink to a row on their way are not signals.
  shrunk = described('d_conv', shape=(8, 32, 1)).layers
  assert shrunk[6].inputs[:2] == (1, 4) and shrunk[6].window.size == (3, 3)


def test_signals_are_embedded_and_exported_as_images_are():
  trained = [described(f's_{kind}') for kind in ('conv', 'local', 'fc')]
  variables, x = nets.variables(trained[0], 0.5), nets.images(3, SHAPE)
  data = nets.dataset(SHAPE)
  runs = [
    of_run.Trained(net, models.embed.embed(variables, trained[0], net), data)
    for net in trained
  ]
  want = nets.logits(runs[0], x)
  for run in runs:
    nets.assert_same(nets.logits(run, x), want)
    content = sparse_file.content(run.steps(sparse=True), SHAPE, 'abcde')
    nets.assert_same(SparseNet(*content)(x), want)


def test_the_table_of_signals(capsys):
  words = ['--table', '--model', 's_conv', 's_fc', '--base_channels', '2']
  assert __main__.main([*words, '--signal', '40', '4']) == 0
  out = capsys.readouterr().out
  assert '1×20×2       72' in out  # 9 · 4 · 2 weights
  assert f'{160 * 40:,}' in out and 'multiple of 16' not in out
