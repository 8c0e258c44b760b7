import numpy as np
import pytest

from tests.export import nets


def shapes(net, sparse=True):
  return {s.name: s.shape for s in net.steps(sparse) if s.name}


@pytest.mark.parametrize('name', ['s_fc', 'd_fc', 'fc3'])
def test_units_stay_that_lie_between_pixels_and_logits(name):
  net = nets.trained(name, zeros=0.97)
  chain = net.net.chain
  kernels = [net.variables['params'][k]['kernel'] != 0 for k in chain]
  seen, needed = [np.ones(len(kernels[0]), bool)], [np.ones(nets.CLASSES, bool)]
  for kernel in kernels:
    seen.append(kernel[seen[-1]].any(0))
  for kernel in reversed(kernels):
    needed.insert(0, kernel[:, needed[0]].any(1))
  left = [int((a & b).sum()) for a, b in zip(seen, needed, strict=True)]
  assert 0 < left[1] < len(seen[1])
  found = shapes(net)
  assert [found[k] for k in chain[:-1]] == [(n,) for n in left[1:-1]]
  assert found[chain[-1]] == (nets.CLASSES,)


def constant(bias, layer='conv1', axis=0):
  """Leaves two channels without input, and makes one a constant."""

  def change(params):
    kernel = np.moveaxis(params[layer]['kernel'], axis, 0)
    kernel[:2] = 0
    params[f'{layer}_bn']['bias'][:2] = bias

  return change


def batch_norms_at_zero(net):
  for stats in net.variables['batch_stats'].values():
    stats['mean'][:] = 0
  return net


def test_before_padding_only_channels_that_are_zero_go():
  change = constant([-1.0, 1.0])
  net = batch_norms_at_zero(nets.trained('d_conv', change=change))
  for sparse in (True, False):
    found = shapes(net, sparse)
    # Channels 0 and 1 were all that there are: conv1 has two.
    assert found['conv1'] == (9, 8, 1)
    assert found['conv2'] == (5, 4, 4)


def test_before_a_dense_layer_constants_go_into_its_bias():
  # All that a convolution sees of it is constant, too.
  change = constant([1.0, 2.0], 'conv8')
  net = batch_norms_at_zero(nets.trained('d_conv', change=change))
  assert shapes(net)['conv8'] == (1, 1, 30)


def test_rows_of_a_local_layer_go_one_by_one():
  def change(params):
    params['conv1']['kernel'][0, 0, 0] = 0

  net = nets.trained('s_local', change=change)
  positions, filters = 5 * 4, 2
  assert shapes(net)['conv1'] == (positions * filters - 1,)
  assert shapes(net, sparse=False)['conv1'] == (5, 4, filters)


def test_a_channel_that_a_sum_needs_stays_in_all_its_parts():
  def change(params):
    params['conv2_1_2']['kernel'][0] = 0  # its skip passes the channel on

  found = shapes(nets.trained('resnet18', change=change))
  assert found['conv2_1_2'] == (9, 8, 2)

  def gone(params):
    for layer in ('conv1', 'conv2_1_2', 'conv2_2_2'):
      params[layer]['kernel'][0] = 0
      params[f'{layer}_bn']['bias'][0] = -1

  net = batch_norms_at_zero(nets.trained('resnet18', change=gone))
  found = shapes(net)
  assert found['conv1'] == found['conv2_1_2'] == found['conv2_2_2'] == (9, 8, 1)
  x = nets.images()
  nets.assert_same(nets.sparse_net(net)(x), nets.logits(net, x))
