import jax.numpy as jnp
import pytest
from flax import linen as nn

from configs import base
from lconv_jax import errors, models
from lconv_jax.models import graph, layers, registry

SHAPE, CLASSES = (8, 8, 3), 5


def describe(name):
  model = base.base().model
  model.update({'name': name, 'base_channels': 2})
  return models.describe(model, SHAPE, CLASSES)


def test_a_chain_is_a_chain():
  net = describe('s_conv')
  nodes = graph.graph(net)
  assert [(n.op, n.inputs) for n in nodes] == [
    ('image', ()), ('layer', (0,)), ('relu', (1,)), ('layer', (2,)),
    ('relu', (3,)), ('layer', (4,)),
  ]  # fmt: skip
  assert tuple(n.layer for n in nodes if n.layer) == net.layers
  assert [n.shape for n in nodes[1::2]] == [(4, 4, 2), (48,), (5,)]


def test_blocks_end_in_sums_and_pixels_in_their_mean():
  nodes = graph.graph(describe('resnet18'))
  names = [n.layer.name if n.layer else n.op for n in nodes]
  first = names.index('add')
  a, b = nodes[first].inputs
  assert {names[a], names[b]} == {'relu', 'conv2_1_2'}
  assert a == 2 or b == 2  # the input of the block
  skipped = [n for n in nodes if n.op == 'add'][2].inputs
  assert {names[i] for i in skipped} == {'conv3_1_2', 'conv3_1_skip'}
  assert names[-2:] == ['mean', 'fc1']


class Own(nn.Module):
  between: str

  @nn.compact
  def __call__(self, x, train=False, dropout_rate=0.0):
    conv = layers.Conv(4, 3, name='first')
    x = conv(jnp.moveaxis(x, 0, -1))
    raw = x
    x = layers.batch_norm(x, 2, train, None, 'norm')
    if self.between == 'gelu':
      x = nn.gelu(x)
    elif self.between == 'max_pool':
      x = jnp.moveaxis(x, -1, 0)
      x = jnp.moveaxis(nn.max_pool(x, (2, 2)), 0, -1)
    elif self.between == 'raw':
      x = nn.relu(x) + raw
    elif self.between == 'scaled':
      x = 2 * x
    elif self.between == 'halves':
      x = x.sum((0, 1)) / 2
      return layers.Dense(CLASSES, use_bias=True, name='last')(x.T)
    elif self.between == 'turned':
      x = jnp.moveaxis(x, 0, 1)
    x = x.reshape(-1, x.shape[-1]).T
    return layers.Dense(CLASSES, use_bias=True, name='last')(x)


@pytest.mark.parametrize(
  ('between', 'words'),
  [
    ('', None),
    ('gelu', 'it computes'),
    ('max_pool', 'it computes'),
    ('raw', 'without its batch norm'),
    ('scaled', "it computes 'mul'"),
    ('halves', 'a sum over pixels'),
    ('turned', 'it reorders'),
  ],
)
def test_what_cannot_be_expressed_is_refused(monkeypatch, between, words):
  own = registry.Architecture(
    'Own', 1, lambda wanted: Own(between), 'conv', 'own'
  )
  monkeypatch.setitem(registry.NETS, 'own', own)
  net = describe('own')
  if words is None:
    assert [n.op for n in graph.graph(net)] == ['image', 'layer', 'layer']
    return
  with pytest.raises(
    errors.UsageError, match=f'Own cannot be exported.*{words}'
  ):
    graph.graph(net)
