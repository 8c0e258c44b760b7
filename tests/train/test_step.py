import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from lconv_jax import augment, models
from lconv_jax.augment import policy
from lconv_jax.train import optim, parallel, precision
from lconv_jax.train import step as program
from tests import jaxprs

pytestmark = pytest.mark.usefixtures('optimised')

CLASSES = 4
TRAIN, TOTAL = 40, 63  # training images, images
SHAPE = (4, 4, 3)
AUGMENT = {
  'none': augment.Pipeline(),
  'flip_crop': augment.Pipeline(padding=4, flip=True),
  'policy': augment.Pipeline(policy.load('fa_reduced_svhn'), cutout=2),
}


def config(**optim_fields):
  c = base.base()
  c.model.base_channels = 1
  c.optim.update(optim_fields)
  return c


def make(c, dtype='float32', kind='none', batch_size=8, steps=10):
  dtype = precision.compute_dtype(dtype)
  module = models.build(c.model, SHAPE, CLASSES, dtype, parallel.AXIS)
  return program.Program(
    model=models.as_functions(module),
    structure=optim.Structure.from_config(c, steps, frozenset({'conv1'})),
    dtype=dtype,
    augment=AUGMENT[kind],
    num_train=TRAIN,
    batch_size=batch_size,
    num_devices=1,
  )


@pytest.fixture
def data():
  rs = np.random.RandomState(0)
  return program.Data(
    jnp.uint8(rs.randint(0, 256, (TOTAL, *SHAPE))),
    jnp.int32(rs.randint(0, CLASSES, TOTAL)),
    jnp.float32([0.4, 0.5, 0.6]),
    jnp.float32([0.2, 0.3, 0.25]),
  )


def start(p, c, data):
  """The program's state before the first step, and its hyperparameters."""
  hyper = jax.tree.map(jnp.asarray, optim.Hyper.from_config(c))
  return p.init(hyper, data.images), hyper


def mapped(fn, *args):
  """Runs fn as pmap does, on one device."""
  args = jax.tree.map(lambda x: jnp.asarray(x)[None], args)
  fn = jax.jit(jax.vmap(fn, axis_name='devices'))
  return jax.tree.map(lambda x: x[0], fn(*args))


def numpy_step(params, x, labels, lr, c):
  """Forward and backward of S-FC by hand, then the update; float64."""
  layers = ['conv1', 'fc1', 'fc2']
  inputs, caches, y = {}, {}, x.reshape(len(x), -1)
  for name in layers:
    inputs[name] = y
    y = y @ params[name]['kernel']
    if name != 'fc2':
      bn = params[f'{name}_bn']
      inv = 1 / np.sqrt(y.var(0) + 1e-5)
      hat = (y - y.mean(0)) * inv
      z = hat * bn['scale'] + bn['bias']
      caches[name] = inv, hat, z
      y = np.maximum(z, 0)
  y = y + params['fc2']['bias']
  prob = np.exp(y - y.max(1, keepdims=True))
  prob /= prob.sum(1, keepdims=True)
  loss = -np.log(prob[np.arange(len(x)), labels]).sum()
  dy = (prob - np.eye(CLASSES)[labels]) / len(x)
  grads = {'fc2': {'bias': dy.sum(0)}}
  for name in layers[::-1]:
    if name != 'fc2':
      inv, hat, z = caches[name]
      dz = dy * (z > 0)
      grads[f'{name}_bn'] = {'scale': (dz * hat).sum(0), 'bias': dz.sum(0)}
      dhat = dz * params[f'{name}_bn']['scale']
      dy = inv * (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0))
    grads.setdefault(name, {})['kernel'] = inputs[name].T @ dy
    dy = dy @ params[name]['kernel'].T
  o, new = c.optim, {}
  for layer, leaves in params.items():
    new[layer] = {}
    for leaf, p in leaves.items():
      l1 = o.l1_conv if layer.startswith('conv') else o.l1_fc
      lasso = leaf == 'kernel' and o.name == 'beta_lasso'
      p = p - lr * (grads[layer][leaf] + (l1 * np.sign(p) if lasso else 0))
      new[layer][leaf] = p * (np.abs(p) >= o.beta * l1) if lasso else p
  return new, loss


@pytest.mark.parametrize('name', ['sgd', 'beta_lasso'])
def test_steps_equal_numpy(name, data):
  c = config(name=name, l1_conv=2e-3, l1_fc=1e-3, beta=40.0)
  p = make(c)
  state, hyper = start(p, c, data)
  params = jax.tree.map(np.float64, state.params)
  total = 0.0
  for t in range(4):
    index = jnp.arange(8) * 3 + t
    state = mapped(p.train_step, state, hyper, data, index)
    x = (np.float64(data.images[index]) / 255 - data.mean) / data.std
    lr = 0.1 * 0.5 * (1 + np.cos(np.pi * t / 10))
    labels = np.asarray(data.labels[index])
    params, loss = numpy_step(params, x, labels, lr, c)
    total += loss
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5),
      state.params,
      params,
    )
  np.testing.assert_allclose(state.totals.loss, total, rtol=1e-4)
  assert (state.step, state.totals.count) == (4, 32)
  if name == 'beta_lasso':
    assert 0.1 < (state.params['conv1']['kernel'] == 0).mean() < 0.9


def changed(a, b):
  """Returns whether any leaf differs."""
  leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return any(not np.array_equal(x, y) for x, y in leaves)


def one_step(c, data, hyper=None, **fields):
  p = make(c, **fields)
  state, own = start(p, c, data)
  own = own._replace(**(hyper or {}))
  return mapped(p.train_step, state, own, data, jnp.arange(8))


def test_the_seed_changes_initial_weights_and_order(data):
  c = config(name='sgd', lr=0.0)
  states = []
  for seed in (0, 0, 1):
    c.seed = seed
    p = make(c)
    state, hyper = start(p, c, data)
    states.append(mapped(p.train_chunk, state, hyper, data, jnp.int32(2)))
  assert not changed(states[0], states[1])
  assert changed(states[0].params, states[2].params)


def test_the_seed_changes_the_order_alone_too(data):
  c = config(name='sgd')
  p = make(c)
  state, hyper = start(p, c, data)
  ends = [
    mapped(
      p.train_chunk,
      state,
      hyper._replace(seed=jnp.uint32(s)),
      data,
      jnp.int32(1),
    ).params
    for s in (0, 1)
  ]
  assert changed(*ends)


def test_augmentation_and_dropout_take_part_in_a_step(data):
  c = config(name='sgd')
  plain = one_step(c, data)
  for kind in ('flip_crop', 'policy'):
    assert changed(plain.params, one_step(c, data, kind=kind).params)
  c.model.dropout = 0.5
  dropped = one_step(c, data)
  assert changed(plain.params, dropped.params)
  rate = {'dropout': jnp.float32(0.1)}
  assert changed(dropped.params, one_step(c, data, rate).params)


@pytest.mark.parametrize('kind', ['none', 'flip_crop', 'policy', 'dropout'])
def test_random_choices_are_made_anew_in_each_step(kind, data):
  c = config(name='sgd', lr=0.0)
  c.model.dropout = 0.5 if kind == 'dropout' else 0.0
  p = make(c, kind=kind if kind in AUGMENT else 'none')
  state, hyper = start(p, c, data)
  losses = [0.0]
  for _ in range(2):
    state = mapped(p.train_step, state, hyper, data, jnp.arange(8))
    losses.append(float(state.totals.loss))
  same = losses[1] == losses[2] - losses[1]
  assert same == (kind == 'none')


def test_an_epoch_sees_each_training_image_once_and_no_other(data):
  c = config(name='sgd')
  seen = []

  class Spy(program.Program):
    def train_step(self, state, hyper, data, index):
      jax.debug.callback(lambda i: seen.append(i), index, ordered=False)
      return state._replace(step=state.step + 1)

  made = make(c)
  spy = Spy(**{f.name: getattr(made, f.name) for f in dataclasses.fields(made)})
  state, hyper = start(spy, c, data)
  epochs = []
  for epoch in range(2):
    stop = jnp.int32((epoch + 1) * spy.steps_per_epoch)
    state = mapped(spy.train_chunk, state, hyper, data, stop)
    jax.effects_barrier()
    epochs.append(np.concatenate([np.ravel(i) for i in seen]))
    seen.clear()
  for order in epochs:
    np.testing.assert_array_equal(np.sort(order), np.arange(TRAIN))
  assert (epochs[0] != epochs[1]).any()


def test_chunks_of_any_length_give_the_same_bits(data):
  c = config(name='beta_lasso')
  p = make(c, kind='policy')
  chunk = parallel.pmap(p.train_chunk)
  state, hyper = start(p, c, data)
  args = parallel.replicate(jax.tree.map(np.asarray, (hyper, data)))
  results = []
  for stops in ([5, 10], [1, 2, 4, 5, 8, 10]):
    s = parallel.replicate(jax.tree.map(np.asarray, state))
    for stop in stops:
      s = chunk(s, *args, parallel.replicate(np.int32(stop)))
    results.append(parallel.unreplicate(s))
  jax.tree.map(np.testing.assert_array_equal, *results)
  assert results[0].totals.count == 40  # of the second epoch alone


@pytest.mark.parametrize('batch_size', [1, 7, 8, 20, 64])
@pytest.mark.parametrize('span', [(0, 40), (40, 63), (41, 42)])
def test_evaluation_counts_every_example_once(batch_size, span, data):
  c = config()
  p = make(c, batch_size=batch_size)
  state, _ = start(p, c, data)
  totals = mapped(
    p.evaluate, state.params, state.batch_stats, data, *map(jnp.int32, span)
  )
  part = slice(*span)
  x = program.normalise(data.images[part], data, jnp.float32)
  logits, _ = p.model.apply(state.params, state.batch_stats, x)
  labels = data.labels[part]
  assert totals.count == span[1] - span[0]
  assert totals.correct == (logits.argmax(-1) == labels).sum()
  log_prob = jax.nn.log_softmax(logits)
  np.testing.assert_allclose(
    totals.loss, -log_prob[jnp.arange(len(labels)), labels].sum(), rtol=1e-5
  )


def test_normalise_is_zero_mean_and_unit_variance():
  images = jax.random.bits(jax.random.key(0), (64, 8, 8, 3), jnp.uint8)
  flat = np.asarray(images).reshape(-1, 3) / 255
  stats = program.Data(
    images,
    jnp.zeros(64, jnp.int32),
    jnp.float32(flat.mean(0)),
    jnp.float32(flat.std(0)),
  )
  x = np.asarray(program.normalise(images, stats, jnp.float32)).reshape(-1, 3)
  np.testing.assert_allclose(x.mean(0), 0, atol=1e-4)
  np.testing.assert_allclose(x.std(0), 1, atol=1e-4)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_16_bit_steps_stay_close_to_float32(dtype, data):
  c = config(name='sgd')
  ends = []
  for d in ('float32', dtype):
    p = make(c, d)
    state, hyper = start(p, c, data)
    begin = state.params
    for t in range(5):
      state = mapped(p.train_step, state, hyper, data, jnp.arange(8) + 5 * t)
    leaves = jax.tree.leaves((state.params, state.batch_stats))
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    ends.append(jax.tree.map(jnp.subtract, state.params, begin))
  for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
    assert jnp.linalg.norm(a - b) < 0.1 * jnp.linalg.norm(a) + 1e-3


def test_an_overflow_changes_the_loss_scale_and_nothing_else(data):
  c = config(name='sgd', momentum=0.9)
  p = make(c, 'float16')
  state, hyper = start(p, c, data)
  index = jnp.arange(8)
  state = mapped(p.train_step, state, hyper, data, index)
  huge = precision.LossScale(jnp.float32(2.0**60), jnp.int32(7))
  before = state._replace(loss_scale=huge)
  after = mapped(p.train_step, before, hyper, data, index)
  assert after.loss_scale == (2.0**59, 0)
  jax.tree.map(
    np.testing.assert_array_equal,
    before._replace(loss_scale=None),
    after._replace(loss_scale=None),
  )


def test_a_chunk_recovers_from_overflow_and_loses_no_step(data):
  c = config(name='sgd')
  p = make(c, 'float16')
  state, hyper = start(p, c, data)
  huge = precision.LossScale(jnp.float32(2.0**24), jnp.int32(0))
  calm = mapped(p.train_chunk, state, hyper, data, jnp.int32(5))
  hard = mapped(
    p.train_chunk, state._replace(loss_scale=huge), hyper, data, jnp.int32(5)
  )
  assert (hard.step, hard.totals.count) == (5, 40)
  assert 1 < hard.loss_scale.scale < 2.0**24
  for a, b in zip(
    jax.tree.leaves(calm.params), jax.tree.leaves(hard.params), strict=True
  ):
    np.testing.assert_allclose(a, b, atol=2e-3)


def test_a_true_nan_ends_the_retries(data):
  c = config(name='sgd')
  p = make(c, 'float16')
  state, hyper = start(p, c, data)
  kernel = state.params['fc2']['kernel'].at[0, 0].set(jnp.nan)
  state.params['fc2']['kernel'] = kernel
  state = mapped(p.train_chunk, state, hyper, data, jnp.int32(2))
  assert state.step == 2
  assert jnp.isnan(state.totals.loss)


def test_nonzero_counts_kernels_only(data):
  c = config()
  state, _ = start(make(c), c, data)
  kernel = state.params['conv1']['kernel'].at[:3].set(0.0)
  state.params['conv1']['kernel'] = kernel
  counts = program.nonzero(state.params)
  assert counts['conv1'] == kernel.size - 3 * kernel.shape[1]
  assert set(counts) == {'conv1', 'fc1', 'fc2'}


# Arithmetic that rounds; data may be moved, compared and selected in 16 bits.
ARITHMETIC = {
  'add', 'add_any', 'cumsum', 'div', 'erf', 'exp', 'exp2', 'integer_pow',
  'log', 'log1p', 'logistic', 'mul', 'pow', 'psum', 'reduce_sum', 'rsqrt',
  'scatter_add', 'sqrt', 'square', 'sub', 'tanh',
}  # fmt: skip


@pytest.mark.parametrize(
  ('name', 'dtype'),
  [*((n, 'bfloat16') for n in models.NETS), ('d_local', 'float16')],
)
def test_only_products_are_in_16_bits(name, dtype, data):
  c = config(name='sgd')
  c.model.update({'name': name, 'dropout': 0.5})
  p = make(c, dtype)
  hyper = jax.tree.map(jnp.asarray, optim.Hyper.from_config(c))
  state = jax.eval_shape(p.init, hyper, data.images)
  jaxpr = jax.make_jaxpr(p.train_step, axis_env=[('devices', 1)])(
    state, hyper, data, jnp.arange(8)
  )
  dots = jaxprs.products(jaxpr.jaxpr)
  assert len(dots) >= 3 * 3 - 1
  for dot in dots:
    types = [v.aval.dtype for v in (*dot.invars, dot.outvars[0])]
    assert types == [p.dtype, p.dtype, jnp.float32], dot
  for eqn in jaxprs.equations(jaxpr.jaxpr):
    if eqn.primitive.name in ARITHMETIC:
      for v in (*eqn.invars, *eqn.outvars):
        assert v.aval.dtype not in (jnp.bfloat16, jnp.float16), (
          f'{eqn}\n{eqn.source_info.traceback}'
        )


def test_statistics_of_each_device_are_averaged_on_request(data):
  c = config(name='sgd')
  module = models.build(
    c.model, SHAPE, CLASSES, jnp.float32, parallel.AXIS, sync_batch_norm=False
  )
  single, double = (
    dataclasses.replace(
      make(c, batch_size=4 * n),
      model=models.as_functions(module),
      sync_batch_norm=False,
      num_devices=n,
    )
    for n in (1, 2)
  )
  state, hyper = start(single, c, data)
  index = jnp.arange(8).reshape(2, 4)
  halves = [mapped(single.train_step, state, hyper, data, i) for i in index]
  step = jax.vmap(double.train_step, (None, None, None, 0), axis_name='devices')
  both = jax.jit(step)(state, hyper, data, index)
  # Plain SGD: the mean of gradients is the mean of steps.
  for part in ('params', 'batch_stats'):
    want = jax.tree.map(
      lambda a, b: (a + b) / 2, *(getattr(h, part) for h in halves)
    )
    for device in (0, 1):
      jax.tree.map(
        lambda a, b, d=device: np.testing.assert_allclose(a[d], b, atol=1e-6),
        getattr(both, part),
        want,
      )


@pytest.mark.parametrize('bins', [1, 4, 31])
def test_histograms_are_numpys(bins):
  rng = np.random.default_rng(0)
  params = {
    'fc1': {'kernel': rng.standard_t(2, (30, 7)).astype(np.float32)},
    'fc2': {'kernel': np.zeros((3, 2), np.float32), 'bias': np.ones(2)},
  }
  found = jax.jit(program.histograms, static_argnums=1)(params, bins)
  assert found.keys() == params.keys()
  for name, (limit, counts) in found.items():
    kernel = params[name]['kernel']
    assert limit == np.abs(kernel).max() and counts.sum() == kernel.size
    if limit:
      want, _ = np.histogram(kernel, bins, (-limit, limit))
      # An edge may be rounded to either side of a weight.
      assert np.abs(counts - want).sum() <= 2
