"""Every form of every net gives the logits of the net as it was trained."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
import safetensors

from lconv_jax import data, errors
from lconv_jax.export import onnx_file, torch_file
from tests.export import nets

each = pytest.mark.parametrize(('name', 'norm'), nets.NETS)
# As SGD and as β-LASSO leave them: with all weights, with few.
zeros = pytest.mark.parametrize('zeros', [0.0, 0.95])


@each
@zeros
def test_a_sparse_net_gives_the_same_logits(name, norm, zeros):
  net = nets.trained(name, norm, zeros)
  x = nets.images()
  nets.assert_same(nets.sparse_net(net)(x), nets.logits(net, x))
  nets.assert_same(net.logits(x), nets.logits(net, x))


@each
def test_onnxruntime_gives_the_same_logits(name, norm, tmp_path):
  net, path = nets.trained(name, norm, 0.9), tmp_path / 'net.onnx'
  onnx_file.save(path, net.steps(sparse=False), net.dataset.class_names)
  x = nets.images()
  nets.assert_same(onnx_file.run(path, x), nets.logits(net, x))
  model = onnx.load(path)
  assert [o.version for o in model.opset_import] == [17]
  (named,) = model.metadata_props
  assert (named.key, json.loads(named.value)) == ('class_names', list('abcde'))


def test_pixels_that_were_moved_are_taken_from_where_they_were():
  origin, x = np.random.default_rng(0).permutation(72), nets.images()
  for name in ('s_fc', 's_local'):
    net = nets.trained(name, zeros=0.9)
    net = net._replace(dataset=net.dataset._replace(origin=origin))
    moved = data.pixels.rearrange(x, origin)
    nets.assert_same(nets.sparse_net(net)(x), nets.logits(net, moved))
  with pytest.raises(errors.UsageError, match='moved the pixels'):
    net.steps(sparse=False)


@pytest.mark.parametrize(
  ('name', 'norm', 'of'),
  [
    *((*net, 'torch') for net in nets.NETS),
    ('s_fc', 'channel', 'lax'),
    ('s_local', 'channel', 'lax'),
    ('s_local', 'unit', 'lax'),
    ('s_conv', 'channel', 'lax'),
  ],
)
def test_tensors_are_in_the_layout_of_pytorch(name, norm, of, tmp_path):
  if of == 'torch':
    pytest.importorskip('torch')
  net, path = nets.trained(name, norm, 0.9), tmp_path / 'net.safetensors'
  steps = net.steps(sparse=False)
  torch_file.save(path, steps, net.dataset.class_names)
  x = nets.images()
  with safetensors.safe_open(path, 'numpy') as f:
    metadata, tensors = f.metadata(), {k: f.get_tensor(k) for k in f.keys()}
  assert json.loads(metadata['class_names']) == list('abcde')
  found = {'lax': in_lax, 'torch': in_torch}[of](
    json.loads(metadata['steps']), tensors, np.float32(x).transpose(0, 3, 1, 2)
  )
  nets.assert_same(np.asarray(found), nets.logits(net, x))


def in_lax(steps, tensors, x):
  def conv(x, weight, window):
    moves = window['strides'], window['padding']
    return jax.lax.conv_general_dilated(x, weight, *moves)

  def patches(x, window):
    moves = window['size'], window['strides'], window['padding']
    found = jax.lax.conv_general_dilated_patches(x, *moves)
    return found.reshape(*found.shape[:2], -1)

  linear, relu = lambda x, w, b: x @ w.T + b, jax.nn.relu
  return walk(steps, tensors, x, conv, patches, linear, relu, jnp.einsum)


def in_torch(steps, tensors, x):
  import torch
  import torch.nn.functional as F

  def padded(x, window):
    (top, bottom), (left, right) = window['padding']
    return F.pad(x, (left, right, top, bottom))

  def conv(x, weight, window):
    return F.conv2d(padded(x, window), weight, stride=window['strides'])

  def patches(x, window):
    size, strides = window['size'], window['strides']
    return F.unfold(padded(x, window), size, stride=strides)

  tensors = {k: torch.from_numpy(v) for k, v in tensors.items()}
  x = torch.from_numpy(x)
  parts = conv, patches, F.linear, F.relu, torch.einsum
  return walk(steps, tensors, x, *parts)


def walk(steps, tensors, x, conv, patches, linear, relu, einsum):
  """Logits by the description and the tensors of a file alone."""
  values = []
  for step in steps:
    y, *others = [values[i] for i in step['inputs']] or [x]
    leaves = {
      leaf: tensors.get(f'{step.get("name")}.{leaf}')
      for leaf in ('weight', 'scale', 'bias')
    }
    weight, scale, bias = leaves.values()
    if step['op'] == 'normalise':
      y = y * scale[:, None, None] + bias[:, None, None]
    elif step['op'] == 'dense':
      y = linear(y.reshape(len(x), -1), weight, bias)
    elif step['op'] == 'conv':
      y = conv(y, weight, step['window']) + bias[:, None, None]
    elif step['op'] == 'local':
      ho, wo, o, *_ = weight.shape
      flat = weight.reshape(ho * wo, o, -1)
      y = einsum('nkp,pok->nop', patches(y, step['window']), flat)
      height, width, filters = step['shape']
      y = y.reshape(-1, filters, height, width)
      y = y + (bias if bias.ndim == 3 else bias[:, None, None])
    elif step['op'] == 'relu':
      y = relu(y)
    elif step['op'] == 'add':
      y = y + others[0]
    elif step['op'] == 'mean':
      y = y.mean((2, 3))
    assert y.shape[1] == step['shape'][-1]
    values.append(y)
  return values[-1]
