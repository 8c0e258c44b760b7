import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base
from lconv_jax.train import optim

STEPS = 10
CONVOLUTIONAL = frozenset({'conv1'})


@pytest.fixture
def params():
  rs = np.random.RandomState(0)

  def normal(*shape):
    return jnp.float32(rs.randn(*shape))

  return {
    'conv1': {'kernel': normal(6, 5)},
    'conv1_bn': {'scale': normal(5), 'bias': normal(5)},
    'fc1': {'kernel': normal(5, 3), 'bias': normal(3)},
  }


def run(config, params, steps=STEPS):
  structure = optim.Structure.from_config(config, STEPS, CONVOLUTIONAL)
  hyper = optim.Hyper.from_config(config)
  tx = optim.make(structure, hyper, params)
  state = tx.init(params)
  for t in range(steps):
    grads = jax.tree.map(lambda p, t=t: jnp.sin(p + t), params)
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  return params


def by_hand(config, params):
  """NumPy, from the formulas: PyTorch's SGD, and β-LASSO of the paper."""
  o = config.optim
  out = {}
  for layer, leaves in params.items():
    for name, p in leaves.items():
      p, v = np.float64(p), 0.0
      l1 = o.l1_conv if layer.startswith('conv') else o.l1_fc
      for t in range(STEPS):
        lr = o.lr * 0.5 * (1 + np.cos(np.pi * t / STEPS))
        v = o.momentum * v + np.sin(p + t)
        if name == 'kernel' and o.name == 'sgd':
          v = v + o.weight_decay * p
        g = v
        if name == 'kernel' and o.name == 'beta_lasso':
          g = v + l1 * np.sign(p)
        p = p - lr * g
        if name == 'kernel' and o.name == 'beta_lasso':
          p = np.where(np.abs(p) >= o.beta * l1, p, 0)
      out.setdefault(layer, {})[name] = p
  return out


def test_the_learning_rate_is_zero_after_the_last_step():
  structure = optim.Structure.from_config(base.base(), STEPS, CONVOLUTIONAL)
  schedule = optim.schedule(structure)
  got = [float(schedule(step)) for step in range(STEPS + 2)]
  want = [0.5 * (1 + np.cos(np.pi * t / STEPS)) for t in range(STEPS + 1)]
  np.testing.assert_allclose(got, [*want, 0], atol=1e-6)
  assert got[STEPS - 1] > 0.02 and got[STEPS] == 0


@pytest.mark.parametrize(
  'fields',
  [
    {'name': 'sgd'},
    {'name': 'sgd', 'momentum': 0.9},
    {'name': 'sgd', 'momentum': 0.9, 'weight_decay': 5e-2},
    {'name': 'beta_lasso', 'l1_conv': 0.03, 'l1_fc': 0.01, 'beta': 10.0},
    {'name': 'beta_lasso', 'l1_conv': 0.03, 'l1_fc': 0.01, 'beta': 0.0},
  ],
)
def test_optimiser_equals_numpy(fields, params):
  config = base.base()
  config.optim.update(fields)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5),
    run(config, params),
    by_hand(config, params),
  )


def test_groups_have_their_own_threshold(params):
  config = base.base()
  config.optim.update({'lr': 0.0, 'l1_conv': 0.1, 'l1_fc': 1e-9, 'beta': 5.0})
  after = run(config, params, steps=1)
  small = np.abs(params['conv1']['kernel']) < 0.5
  assert small.any()
  np.testing.assert_array_equal(after['conv1']['kernel'] == 0, small)
  assert (after['fc1']['kernel'] != 0).all()


def test_what_a_grid_varies_does_not_recompile(params):
  traces = []
  config = base.base()

  @jax.jit
  def step(hyper, params):
    traces.append(1)
    structure = optim.Structure.from_config(config, STEPS, CONVOLUTIONAL)
    tx = optim.make(structure, hyper, params)
    return tx.update(params, tx.init(params), params)[0]

  for value in (1e-5, 1e-2):
    config.optim.update({'lr': value, 'l1_conv': value, 'l1_fc': value})
    config.optim.update({'beta': value, 'weight_decay': value})
    config.seed, config.model.dropout = int(1e6 * value), value
    step(optim.Hyper.from_config(config), params)
  assert len(traces) == 1
