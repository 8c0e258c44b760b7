"""β-LASSO against NumPy, scikit-learn, optax.sgd and flax."""

import doctest
import functools
import re
import typing

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.typing import ArrayLike
from sklearn import linear_model

from lconv_jax import add_l1, beta_lasso, kernel_mask, lasso, threshold

pytestmark = pytest.mark.usefixtures('optimised')

F32 = np.float32
JITS = ['jit', 'eager']
# XLA may contract p + η · g into a fused multiply-add, which rounds only once.
# With η a power of two both round alike: jitted results are NumPy's, bit for
# bit. Other η are tested without jit, or to a tolerance.
LR = 2.0**-4
ODD_LR = 0.037
L1, BETA = 0.013, 8.0
STEPS = 6


def settings(max_examples):
  return hypothesis.settings(
    max_examples=max_examples, deadline=None, derandomize=True
  )


def normal(seed, shape, scale=1.0, dtype=F32):
  values = np.random.default_rng(seed).standard_normal(shape) * scale
  return np.asarray(values, dtype)


def numpy_step(p, g, lr, l1, level):
  """PAPER.md's two formulas for one array, each operation in float32."""
  p, g = np.asarray(p), np.asarray(g)
  with np.errstate(all='ignore'):
    p = p - F32(lr) * (g + F32(l1) * np.sign(p))
    return p * (np.abs(p) >= F32(level))


def numpy_loop(p, grads, lr=LR, l1=L1, beta=BETA):
  for g in grads:
    p = numpy_step(p, g, lr, l1, beta * l1)
  return p


def to_jax(tree):
  return jax.tree.map(jnp.asarray, tree)


def apply(tx, params, state, grads):
  params, grads = to_jax((params, grads))
  updates, state = tx.update(grads, state, params)
  return optax.apply_updates(params, updates), state


@functools.partial(jax.jit, static_argnums=0)
def once(tx, params, grads):
  return apply(tx, params, tx.init(params), grads)[0]


@functools.partial(jax.jit, static_argnums=0)
def run(tx, params, grads):
  """Returns the params after each step: grads has a leading axis of steps."""

  def body(carry, g):
    params, state = apply(tx, *carry, g)
    return (params, state), params

  return jax.lax.scan(body, (params, tx.init(params)), grads)[1]


def last(tree):
  return jax.tree.map(lambda x: np.asarray(x)[-1], tree)


def equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def bits(x):
  x = np.asarray(x)
  x = np.where(np.isnan(x), F32(np.nan), x)  # a NaN's payload has no meaning
  return x.view(np.uint32)


# Magnitudes whose products stay clear of subnormal numbers.
MAGNITUDES = st.floats(2.0**-20, 2.0**20, width=32)
ODD = st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan])
ODD |= MAGNITUDES | MAGNITUDES.map(lambda x: -x)
SHAPES = st.sampled_from([(), (0, 2)]) | hnp.array_shapes(max_side=4)


class Problem(typing.NamedTuple):
  p: np.ndarray
  grads: np.ndarray
  lrs: np.ndarray
  l1s: np.ndarray
  betas: np.ndarray


@st.composite
def problems(draw):
  """Normal numbers of a random shape, with odd ones among them."""
  shape = draw(SHAPES)
  rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
  values = rng.standard_normal((STEPS + 1, *shape)).astype(F32)
  odd = draw(st.lists(ODD, max_size=5))
  values.flat[rng.permutation(values.size)[: len(odd)]] = odd[: values.size]
  lrs = 2.0 ** rng.integers(-6, 1, STEPS)
  l1s = rng.uniform(0, 0.5, STEPS) * draw(st.sampled_from([0, 0.1, 1]))
  betas = rng.uniform(0, 4, STEPS) * draw(st.sampled_from([0, 1, 10]))
  tables = [x.astype(F32) for x in (lrs, l1s, betas)]
  return Problem(values[0], values[1:], *tables)


@jax.jit
def scheduled_run(problem):
  p, grads, *tables = problem
  schedules = [functools.partial(jnp.take, x) for x in tables]
  return run(beta_lasso(*schedules, mask=True), p, grads)


@settings(40)
@hypothesis.given(problems())
def test_schedules_match_numpy_bit_for_bit(problem):
  got = scheduled_run(problem)
  p, grads, lrs, l1s, betas = problem
  for t in range(STEPS):
    p = numpy_step(p, grads[t], lrs[t], l1s[t], betas[t] * l1s[t])
    np.testing.assert_array_equal(got[t], p, f'step {t}')


@pytest.mark.parametrize(
  'l1, beta', [(1e-2, 50.0), (3e-3, 1), (0.1, 0.0), (0, 50.0), (1 / 3, 0.7)]
)
def test_many_steps_with_scalars_match_numpy(l1, beta):
  shapes = [(), (0, 3), (50,), (3, 3, 4, 5)]
  params = [normal(0, shape) for shape in shapes]
  grads = [normal(1, (300, *shape)) for shape in shapes]
  got = last(run(beta_lasso(LR, l1, beta, mask=True), params, grads))
  for new, p, g in zip(got, params, grads, strict=True):
    np.testing.assert_array_equal(new, numpy_loop(p, g, LR, l1, beta))


def test_without_jit_any_learning_rate_matches_numpy():
  p, grads = normal(0, (20, 30)), normal(1, (100, 20, 30))
  rates = np.linspace(0.2, 0.001, 100, dtype=F32)
  tx = beta_lasso(functools.partial(jnp.take, rates), L1, BETA)
  state, got, wanted = tx.init(jnp.asarray(p)), p, p
  for t, g in enumerate(grads):
    got, state = apply(tx, got, state, g)
    wanted = numpy_step(wanted, g, rates[t], L1, BETA * L1)
    np.testing.assert_array_equal(got, wanted, f'step {t}')


def test_with_jit_any_learning_rate_is_close_to_numpy():
  p, grads = normal(0, (20, 30)), normal(1, (100, 20, 30))
  new = last(run(beta_lasso(ODD_LR, L1, BETA), p, grads))
  wanted = numpy_loop(p, grads, ODD_LR)
  np.testing.assert_allclose(new, wanted, rtol=1e-4, atol=1e-6)
  equal(new == 0, wanted == 0)


@jax.jit
def pair_of_runs(p, grads, lr):
  ours = beta_lasso(lr, l1=0.0, mask=True)
  return run(ours, p, grads), run(optax.sgd(lr), p, grads)


@settings(20)
@hypothesis.given(problems())
def test_l1_zero_is_sgd_bit_for_bit(problem):
  ours, sgd = pair_of_runs(problem.p, problem.grads, problem.lrs[0])
  np.testing.assert_array_equal(bits(ours), bits(sgd))


@pytest.mark.parametrize('jit', [jax.jit, lambda f, **_: f], ids=JITS)
@pytest.mark.parametrize('l1', [0, 0.0, {'w': 0.0}, lambda count: 0.0])
def test_l1_zero_is_sgd_bit_for_bit_at_any_learning_rate(l1, jit):
  step = jit(apply, static_argnums=0)
  ours, sgd = beta_lasso(ODD_LR, l1), optax.sgd(ODD_LR)
  a = b = to_jax({'w': normal(0, (20, 30))})
  s, t = ours.init(a), sgd.init(b)
  for g in normal(1, (20, 20, 30)):
    a, s = step(ours, a, s, {'w': g})
    b, t = step(sgd, b, t, {'w': g})
    np.testing.assert_array_equal(bits(a['w']), bits(b['w']))


def test_beta_zero_is_subgradient_descent():
  p, grads = normal(0, (20, 30)), normal(1, (100, 20, 30))
  p[:2] = 0  # here the subgradient is 0
  penalty = jax.grad(lambda p: L1 * jnp.abs(p).sum())
  with_l1 = optax.stateless(
    lambda u, p: u + penalty(p) * (p != 0)  # JAX says 1 for |p| at p = 0
  )
  reference = optax.chain(with_l1, optax.sgd(LR))
  got = run(beta_lasso(LR, L1, beta=0.0), p, grads)
  equal(got, run(reference, p, grads))


@pytest.mark.parametrize('l1, beta', [(1e-5, 50), (2e-6, 50), (0.07, 1 / 3)])
@pytest.mark.parametrize('jit', [jax.jit, lambda f: f], ids=JITS)
def test_nothing_remains_between_zero_and_the_level(l1, beta, jit):
  lr = LR if jit is jax.jit else ODD_LR
  level = F32(beta * l1)
  p = normal(0, (300, 1000), float(level))
  near = level * (1 + np.random.default_rng(1).integers(-4, 5, p.shape) / 2**23)
  wanted = np.sign(normal(2, p.shape)) * near  # within 4 ulp of the level
  grads = ((p - wanted) / lr - l1 * np.sign(p)).astype(F32)
  tx = beta_lasso(lr, l1, beta)
  new, _ = jit(functools.partial(apply, tx))(p, tx.init(jnp.asarray(p)), grads)
  new = np.asarray(new)
  assert not np.any((new != 0) & (np.abs(new) < level))
  equal(new, numpy_loop(p, [grads], lr, l1, beta))
  assert 0.1 < np.mean(new == 0) < 0.9


@settings(60)
@hypothesis.given(MAGNITUDES, st.booleans())
def test_threshold_keeps_the_level_and_cuts_the_float_below(level, negative):
  sign = F32(-1 if negative else 1)
  below = np.nextafter(F32(level), F32(0))
  p = sign * np.array([level, below, 0], F32)
  tx = threshold(level)
  new = np.asarray(apply(tx, p, tx.init(p), np.zeros(3, F32))[0])
  np.testing.assert_array_equal(new, sign * np.array([level, 0, 0], F32))
  assert not np.signbit(new[1]), 'a cut weight is +0'


def test_the_level_is_beta_times_l1_whatever_the_learning_rate():
  # Every number here is exact in float32; βλ = 0.5.
  p = np.array([[0.5, 0.4375, -0.4375, 0.5625, -0.5]], F32)
  for lr in (2.0**-10, 0.25, 1.0):
    grads = -0.125 * np.sign(p)  # what the ℓ1 term adds, with the other sign
    new = once(beta_lasso(lr, l1=0.125, beta=4.0), p, grads)
    np.testing.assert_array_equal(new, [[0.5, 0, 0, 0.5625, -0.5]])


def test_a_cut_weight_returns_when_its_step_reaches_the_level():
  tx = beta_lasso(0.25, l1=0.125, beta=4.0)  # βλ = 0.5
  p = once(tx, np.full((1, 4), 0.25, F32), np.zeros((1, 4), F32))
  np.testing.assert_array_equal(p, np.zeros((1, 4)))
  grads = np.array([[1.9375, 2.0, -2.0625, 0.0]], F32)  # steps of g / 4
  new = once(tx, p, grads)  # sign(0) = 0: no ℓ1 term here
  np.testing.assert_array_equal(new, [[0, -0.5, 0.515625, 0]])


def test_nan_and_inf_are_not_hidden():
  p = np.array([[0.0, 0.1, 5.0, -5.0, np.nan, 5.0]], F32)
  grads = np.array([[np.nan, np.nan, np.nan, np.inf, 0.0, 0.0]], F32)
  for lr in (LR, 0.0):
    new = once(beta_lasso(lr, 0.1, beta=10.0), p, grads)
    assert np.isnan(new[0, :3]).all() and np.isnan(new[0, 4])
    assert np.isinf(new[0, 3]) or lr == 0
    assert np.isfinite(new[0, 5])  # nor do they spread


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize('as_array', [float, F32])
def test_sixteen_bits(dtype, as_array):
  # All numbers and all results are exact in 8 bits of mantissa; βλ = 0.5.
  p = jnp.array([[0.5, 0.4375, -0.75, -0.5, 0.0, 1.0]], dtype)
  grads = jnp.array([[-0.125, 0.0, -0.375, 0.0, -4.0, 0.125]], dtype)
  wanted = [[0.5, 0.0, -0.625, 0.0, 1.0, 0.9375]]
  tx = beta_lasso(0.25, as_array(0.125), as_array(4.0))
  new = once(tx, p, grads)
  assert new.dtype == dtype
  np.testing.assert_array_equal(np.asarray(new, F32), wanted)


L1_KINDS = {
  'number': L1,
  'array': jnp.float32(L1),
  'schedule': lambda count: jnp.float32(L1),
  'layers': {'w': F32(L1)},
}


@pytest.mark.parametrize('l1', L1_KINDS.values(), ids=L1_KINDS)
def test_updates_keep_sixteen_bits(l1):
  params = {'w': jnp.ones((2, 3), jnp.bfloat16)}
  tx = beta_lasso(LR, l1, BETA)
  update = functools.partial(jax.eval_shape, tx.update)
  updates, _ = update(params, tx.init(params), params)
  assert updates['w'].dtype == jnp.bfloat16


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_many_steps_in_sixteen_bits(dtype):
  p = jnp.asarray(normal(0, (40, 50)), dtype)
  grads = jnp.asarray(normal(1, (50, 40, 50)), dtype)
  new = last(run(beta_lasso(LR, L1, BETA), p, grads))
  assert new.dtype == dtype
  new = np.asarray(new, F32)
  level = float(jnp.asarray(L1 * BETA, dtype))
  assert not np.any((new != 0) & (np.abs(new) < level))
  exact = numpy_loop(np.asarray(p, F32), np.asarray(grads, F32))
  assert np.mean((new == 0) == (exact == 0)) > 0.95
  assert np.mean(np.abs(new - exact) < 0.1) > 0.95


def test_float64_params():
  with jax.enable_x64(True):
    p = normal(0, (20, 30), dtype=float)
    grads = normal(1, (100, 20, 30), dtype=float)
    new = last(run(beta_lasso(LR, L1, BETA), p, grads))
    assert new.dtype == np.float64
  wanted = p
  for g in grads:
    wanted = wanted - LR * (g + L1 * np.sign(wanted))
    wanted = wanted * (np.abs(wanted) >= L1 * BETA)
  np.testing.assert_array_equal(new, wanted)


def test_parts_are_usable_with_other_optimisers():
  p, grads = normal(0, (20, 30)), normal(1, (50, 20, 30))
  level = 0.2
  tx = optax.chain(optax.clip(1.0), optax.adam(LR), threshold(level))
  adam = optax.chain(optax.clip(1.0), optax.adam(LR))
  params = jnp.asarray(p)
  state, free = tx.init(params), adam.init(params)
  for g in grads:
    wanted, free = apply(adam, params, free, g)  # Adam from where we are
    params, state = apply(tx, params, state, g)
    equal(params, np.where(np.abs(wanted) < F32(level), 0, wanted))
  assert 0 < np.mean(params == 0) < 1
  p[0] = 0
  tx, (g, w) = add_l1(L1), to_jax((grads[0], p))
  updates, _ = tx.update(g, tx.init(w), w)
  equal(updates, grads[0] + F32(L1) * np.sign(p))


def test_momentum_by_chaining_the_parts():
  p, grads = normal(0, (20, 30)), normal(1, (50, 20, 30))
  tx = optax.chain(add_l1(L1), optax.sgd(LR, 0.5), threshold(0.1))
  got = last(run(tx, p, grads))
  velocity = np.zeros_like(p)
  for g in grads:
    velocity = (g + F32(L1) * np.sign(p)) + F32(0.5) * velocity
    p = p - F32(LR) * velocity
    p = p * (np.abs(p) >= F32(0.1))
  equal(got, p)


def net():
  """Params of four layers; some biases and scales are of many dimensions."""
  shapes = {
    'conv': {'kernel': (3, 3, 2, 4)},
    'local': {'kernel': (2, 2, 5, 3), 'bias': (2, 2, 3)},
    'norm': {'scale': (2, 4), 'bias': (4,)},
    'fc': {'kernel': (6, 5)},
  }
  leaves, tree = jax.tree.flatten(shapes, is_leaf=lambda x: type(x) is tuple)
  return tree.unflatten([normal(i, s) for i, s in enumerate(leaves)])


def net_grads():
  leaves, tree = jax.tree.flatten(net())
  return tree.unflatten(
    [normal(10 + i, (50, *p.shape)) for i, p in enumerate(leaves)]
  )


def test_default_mask_leaves_biases_and_batch_norm_to_sgd():
  params, grads = net(), net_grads()
  got = run(beta_lasso(LR, L1, BETA), params, grads)
  sgd = run(optax.sgd(LR), params, grads)
  for layer, name in ('local', 'bias'), ('norm', 'scale'), ('norm', 'bias'):
    a, b = got[layer][name], sgd[layer][name]
    np.testing.assert_array_equal(bits(a), bits(b))
  for layer in ('conv', 'local', 'fc'):
    p, g = params[layer]['kernel'], grads[layer]['kernel']
    equal(last(got[layer]['kernel']), numpy_loop(p, g))


class Layer(typing.NamedTuple):
  kernel: ArrayLike
  bias: ArrayLike
  scale: ArrayLike | None = None


def test_kernel_mask_selects_by_name_and_rank():
  w, b = jnp.ones((2, 3)), jnp.ones(3)
  params = {
    'named': Layer(w, w, w),
    'listed': [w, b, jnp.ones(())],
    'bias_free': {'w': w, 'b': b},  # a part of a name is no match
    'norm': {'scale': w, 'bias': b, 'none': None},
  }
  wanted = {
    'named': Layer(True, False, False),
    'listed': [True, False, False],
    'bias_free': {'w': True, 'b': False},
    'norm': {'scale': False, 'bias': False, 'none': None},
  }
  assert kernel_mask(params) == wanted
  assert kernel_mask(w) is True


def test_kernel_mask_takes_vectors_where_there_are_no_kernels():
  w = jnp.ones(3)
  assert kernel_mask(w) is True
  assert kernel_mask({'w': w, 'bias': w}) == {'w': True, 'bias': False}


PER_LAYER = {
  'layers': {'conv': 0.02, 'local': 0.005, 'norm': 0.5, 'fc': 0},
  'leaves': {
    'conv': {'kernel': 0.02},
    'local': {'kernel': 0.005, 'bias': 7.0},
    'norm': 0.5,
    'fc': {'kernel': 0},
  },
  'arrays': {
    'conv': jnp.float32(0.02),
    'local': F32(0.005),
    'norm': 0.5,
    'fc': np.zeros((6, 5), F32),
  },
  'schedules': {
    'conv': lambda count: jnp.float32(0.02),
    'local': optax.constant_schedule(0.005),
    'norm': 0.5,
    'fc': 0.0,
  },
}


@pytest.mark.parametrize('l1', PER_LAYER.values(), ids=PER_LAYER)
def test_l1_per_layer(l1):
  params, grads = net(), net_grads()
  got = last(run(beta_lasso(LR, l1, 10.0), params, grads))
  for layer, value in {'conv': 0.02, 'local': 0.005, 'fc': 0.0}.items():
    p, g = params[layer]['kernel'], grads[layer]['kernel']
    wanted = numpy_loop(p, g, LR, value, 10.0)
    np.testing.assert_array_equal(got[layer]['kernel'], wanted, layer)


def test_a_schedule_for_each_layer():
  params = [normal(i, (9, 8)) for i in range(3)]
  grads = [normal(3 + i, (20, 9, 8)) for i in range(3)]
  rates = np.repeat(2.0 ** -np.arange(1, 6), 4).astype(F32)
  tables = np.linspace([0.01, 0.1], [0.2, 0], 20, dtype=F32).T
  l1 = [functools.partial(jnp.take, x) for x in tables] + [0.05]
  betas = np.linspace(2, 6, 20, dtype=F32)
  tx = beta_lasso(
    functools.partial(jnp.take, rates), l1, functools.partial(jnp.take, betas)
  )
  got = run(tx, params, grads)
  for i, lambdas in enumerate([*tables, np.full(20, 0.05, F32)]):
    p = params[i]
    for t in range(20):
      level = betas[t] * lambdas[t]
      p = numpy_step(p, grads[i][t], rates[t], lambdas[t], level)
      np.testing.assert_array_equal(got[i][t], p, f'layer {i}, step {t}')


@pytest.mark.parametrize(
  'l1',
  [
    {'conv': 0.1, 'local': 0.1, 'norm': 0.1, 'fc': 0.1, 'conv2': 0.1},
    {'conv': 0.1, 'local': 0.1, 'norm': 0.1, 'fc2': 0.1},
    {'conv': 0.1},
    {'conv': {'weight': 0.1}, 'local': 0.1, 'norm': 0.1, 'fc': 0.1},
    [0.1, 0.1, 0.1, 0.1],
  ],
)
def test_l1_that_is_no_prefix_of_the_params_is_an_error(l1):
  params = to_jax(net())
  for tx in (beta_lasso(LR, l1), add_l1(l1), threshold(l1)):
    with pytest.raises(ValueError, match='prefix'):
      tx.update(params, tx.init(params), params)


@pytest.mark.parametrize(
  ('l1', 'message'),
  [
    ({'fc': {'kernl': 0.1}}, "params['fc'] have no 'kernl'. Did you mean kern"),
    ({'fc1': 0.1}, "the params have no 'fc1'. Did you mean fc?"),
    ({}, "it lacks 'fc', which the params have."),
    ({'fc': [0.1]}, "params['fc'] are a dict, not a list."),
  ],
)
def test_a_wrong_layer_in_l1_is_named(l1, message):
  params = {'fc': {'kernel': jnp.ones((2, 2))}}
  tx = add_l1(l1)
  with pytest.raises(ValueError, match=re.escape(message)):
    tx.update(params, tx.init(params), params)


@pytest.mark.parametrize('wrong', [-0.1, float('nan'), np.array([0.1, -1])])
def test_negative_numbers_and_nan_are_refused(wrong):
  for make in (
    lambda: beta_lasso(LR, wrong),
    lambda: beta_lasso(LR, {'fc': wrong}),
    lambda: beta_lasso(LR, L1, beta=wrong),
    lambda: add_l1(wrong),
    lambda: threshold(jnp.asarray(wrong)),
  ):
    with pytest.raises(ValueError, match='must be 0 or more'):
      make()
  jax.eval_shape(lambda l1: beta_lasso(LR, l1).init({}), wrong)  # not known


@pytest.mark.parametrize(
  'tx',
  [
    beta_lasso(LR, L1),
    beta_lasso(LR, optax.constant_schedule(L1), mask=True),
    add_l1(L1),
    threshold(L1),
    optax.chain(optax.trace(0.9), beta_lasso(LR, L1)),
    optax.masked(beta_lasso(LR, L1), True),
    optax.partition({'all': beta_lasso(LR, L1)}, 'all'),
  ],
)
def test_missing_params_is_a_clear_error(tx):
  params = jnp.ones((2, 3))
  with pytest.raises(ValueError, match='params'):
    tx.update(params, tx.init(params))


@pytest.mark.parametrize('mask', [None, True])
def test_none_leaves_pass_through(mask):
  params = {'w': normal(0, (3, 4)), 'frozen': None, 'deep': [None]}
  grads = {'w': normal(1, (3, 4)), 'frozen': None, 'deep': [None]}
  new = once(beta_lasso(LR, L1, BETA, mask), params, grads)
  assert new['frozen'] is None and new['deep'] == [None]
  equal(new['w'], numpy_loop(params['w'], [grads['w']]))


@pytest.mark.parametrize('tx', [add_l1(L1), threshold(L1)])
def test_none_among_updates_only_passes_through(tx):
  w = jnp.ones((2, 3))
  params, grads = {'a': w, 'b': w}, {'a': w, 'b': None}
  updates, _ = tx.update(grads, tx.init(params), params)
  assert updates['b'] is None and updates['a'].shape == w.shape


@pytest.mark.parametrize('make', [np.ones, jax.ShapeDtypeStruct])
def test_leaves_need_not_be_jax_arrays(make):
  w = make((2, 3), F32)
  assert kernel_mask({'kernel': w}) == {'kernel': True}
  beta_lasso(LR, L1).init({'kernel': w})


def test_map_params_of_optax_with_l1_per_layer():
  tx = beta_lasso(LR, {'a': optax.constant_schedule(L1)})
  state = tx.init({'a': jnp.ones((2, 3))})
  mapped = optax.tree.map_params(tx, lambda p: p + 1, state)
  equal(mapped, state)  # nothing in it is as large as params


def test_empty_tree_and_bare_array():
  tx = beta_lasso(LR, L1)
  assert once(tx, {}, {}) == {}
  p, g = normal(0, (3, 4)), normal(1, (3, 4))
  equal(once(tx, p, g), numpy_loop(p, [g], beta=50.0))


MASK = {'conv': True, 'local': False, 'norm': False, 'fc': True}


def test_mask_argument_and_optax_masked():
  params, grads = net(), net_grads()
  tx = beta_lasso(LR, L1, BETA, mask=lambda params: MASK)
  got = last(run(tx, params, grads))
  for layer, chosen in MASK.items():
    for name, p in params[layer].items():
      l1 = L1 if chosen else 0.0
      wanted = numpy_loop(p, grads[layer][name], l1=l1)
      np.testing.assert_array_equal(got[layer][name], wanted, layer)
  # Unlike `mask`, optax.masked leaves the rest as raw gradients: SGD for them.
  rest = optax.masked(optax.sgd(LR), {k: not m for k, m in MASK.items()})
  masked = optax.masked(beta_lasso(LR, L1, BETA, mask=True), MASK)
  equal(got, last(run(optax.chain(masked, rest), params, grads)))


def test_a_mask_by_layers_beside_l1_by_leaves():
  params, grads = net(), net_grads()
  l1 = {k: dict.fromkeys(p, L1) for k, p in params.items()}
  tx = beta_lasso(LR, l1, BETA, mask=MASK)
  got = last(run(tx, params, grads))
  equal(got, last(run(beta_lasso(LR, L1, BETA, mask=MASK), params, grads)))
  assert np.any(got['conv']['kernel'] == 0)


def test_partition_with_different_l1():
  params, grads = net(), net_grads()
  labels = {'conv': 'conv', 'local': 'conv', 'norm': 'sgd', 'fc': 'fc'}
  each_l1 = {'conv': 0.004, 'fc': 0.03}
  parts = {k: beta_lasso(LR, v, BETA) for k, v in each_l1.items()}
  tx = optax.partition({**parts, 'sgd': optax.sgd(LR)}, labels)
  got = last(run(tx, params, grads))
  for layer, label in labels.items():
    for name, p in params[layer].items():
      l1 = each_l1[label] if name == 'kernel' else 0.0
      wanted = numpy_loop(p, grads[layer][name], l1=l1)
      np.testing.assert_array_equal(got[layer][name], wanted, layer)


def test_vmap_over_l1_and_beta():
  p, grads = normal(0, (9, 8)), normal(1, (100, 9, 8))
  l1s, betas = np.meshgrid(
    np.array([0, 0.001, 0.02], F32), np.array([0, 1, 50], F32)
  )
  l1s, betas = l1s.ravel(), betas.ravel()

  @jax.jit
  @jax.vmap
  def sweep(l1, beta):
    return run(beta_lasso(LR, l1, beta), p, grads)[-1]

  got = sweep(l1s, betas)
  for i, (l1, beta) in enumerate(zip(l1s, betas, strict=True)):
    wanted = numpy_loop(p, grads, LR, l1, beta)
    np.testing.assert_array_equal(got[i], wanted, f'{l1=} {beta=}')


def test_vmap_over_params():
  p, grads = normal(0, (5, 9, 8)), normal(1, (5, 20, 9, 8))
  got = jax.vmap(functools.partial(run, beta_lasso(LR, L1, BETA)))(p, grads)
  for i in range(5):
    equal(got[i, -1], numpy_loop(p[i], grads[i]))


def test_inject_hyperparams():
  p, grads = normal(0, (9, 8)), normal(1, (20, 9, 8))
  l1s = np.linspace(0.1, 0.01, 20, dtype=F32)
  tx = optax.inject_hyperparams(beta_lasso)(
    LR, functools.partial(jnp.take, l1s), beta=4.0
  )
  got = run(tx, p, grads)
  state = tx.init(jnp.asarray(p))
  for t in range(20):
    p = numpy_step(p, grads[t], LR, l1s[t], 4 * l1s[t])
    np.testing.assert_array_equal(got[t], p, f'step {t}')
  assert set(state.hyperparams) == {'learning_rate', 'l1', 'beta'}


def test_injected_beta_can_be_changed_between_steps():
  tx = optax.inject_hyperparams(beta_lasso)(LR, l1=0.125, beta=0.0)
  p = jnp.full((2, 2), 0.4)
  grads = jnp.zeros_like(p)
  step = jax.jit(functools.partial(apply, tx))
  new, state = step(p, tx.init(p), grads)
  assert np.all(new != 0)
  state.hyperparams['beta'] = jnp.float32(4.0)
  equal(step(new, state, grads)[0], grads)


def test_multi_steps_cuts_only_with_the_step():
  p = normal(0, (9, 8))
  grads = normal(1, (2, 9, 8))
  got = run(optax.MultiSteps(beta_lasso(LR, L1, BETA), 2), p, grads)
  equal(got[0], p)
  wanted = numpy_loop(p, [grads.mean(0)])
  np.testing.assert_allclose(got[1], wanted, rtol=1e-6)
  equal(got[1] == 0, wanted == 0)


def cosine():
  return optax.cosine_decay_schedule(0.1, 10)


NO_RETRACE = {
  'scalars': lambda: beta_lasso(LR, L1, BETA),
  'schedules': lambda: beta_lasso(cosine(), cosine(), cosine()),
  'layers': lambda: beta_lasso(cosine(), PER_LAYER['layers']),
  'layer schedules': lambda: beta_lasso(LR, PER_LAYER['schedules']),
  'add_l1': lambda: optax.chain(add_l1(cosine()), optax.sgd(LR)),
  'threshold': lambda: optax.chain(optax.adam(LR), threshold(cosine())),
  'chain': lambda: optax.chain(optax.trace(0.9), beta_lasso(LR, cosine())),
  'masked': lambda: optax.masked(beta_lasso(LR, cosine()), MASK),
  'partition': lambda: optax.partition(
    {True: beta_lasso(cosine(), cosine()), False: optax.sgd(LR)}, MASK
  ),
  'inject': lambda: optax.inject_hyperparams(beta_lasso)(LR, cosine(), 2.0),
  'multi': lambda: optax.MultiSteps(beta_lasso(LR, cosine()), 2),
}


@pytest.mark.parametrize('make', NO_RETRACE.values(), ids=NO_RETRACE)
def test_no_retracing_from_step_to_step(make):
  tx, traces = make(), 0

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def step(params, state, grads):
    nonlocal traces
    traces += 1
    return apply(tx, params, state, grads)

  params = to_jax(net())
  grads = jax.tree.map(jnp.ones_like, params)
  state = tx.init(params)
  kind = jax.tree.map(jax.typeof, (params, state))
  for _ in range(4):
    params, state = step(params, state, grads)
    assert jax.tree.map(jax.typeof, (params, state)) == kind
  assert traces == 1


@pytest.mark.parametrize('alpha', [0.02, 0.1, 0.5])
def test_lasso_regression_has_scikit_learns_solution(alpha):
  rng = np.random.default_rng(0)
  n, features, used = 100, 40, 8
  x = rng.standard_normal((n, features)) @ (  # correlated features
    np.eye(features) + 0.3 * np.eye(features, k=1)
  )
  w = np.zeros(features)
  w[:used] = rng.choice([-1, 1], used) * rng.uniform(0.5, 2, used)
  y = x @ w + 0.3 * rng.standard_normal(n)
  wanted = linear_model.Lasso(
    alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=100_000
  ).fit(x, y)
  x, y = jnp.asarray(x, F32), jnp.asarray(y, F32)

  # Cut weights stay cut once η < β; the ℓ1 term swings by no more than ηλ.
  beta, steps = 0.01, 4000
  rate = optax.exponential_decay(0.2, steps, 1e-3)
  tx = beta_lasso(rate, alpha, beta)  # a vector of weights, no kernel
  grad = jax.grad(lambda w: jnp.mean((x @ w - y) ** 2) / 2)

  @jax.jit
  def solve(w):
    def body(carry, _):
      return apply(tx, *carry, grad(carry[0])), None

    return jax.lax.scan(body, (w, tx.init(w)), length=steps)[0][0]

  got = np.asarray(solve(jnp.zeros(features)))
  np.testing.assert_allclose(got, wanted.coef_, atol=1e-4)
  large = np.abs(wanted.coef_) > 2 * alpha * beta
  np.testing.assert_array_equal(got[wanted.coef_ == 0], 0)
  assert np.all(got[large] != 0)
  assert 0 < np.sum(got == 0) < features


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dense(8)(x)
    x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
    return nn.Dense(3)(x)


def test_flax_linen():
  x, model = normal(0, (16, 20)), Linen()
  variables = jax.jit(model.init)(jax.random.key(0), x)
  stats, params = variables['batch_stats'], variables['params']
  tx, sgd = beta_lasso(LR, L1, 2.0), optax.sgd(LR)
  state = tx.init(params)
  step = jax.jit(apply, static_argnums=0)

  @jax.jit
  def grad(params):
    def loss(params):
      variables = {'params': params, 'batch_stats': stats}
      out, _ = model.apply(variables, x, mutable='batch_stats')
      return jnp.mean((out - 1) ** 2)

    return jax.grad(loss)(params)

  seen = set()
  for _ in range(5):
    grads = grad(params)
    new, state = step(tx, params, state, grads)
    free, _ = step(sgd, params, sgd.init(params), grads)
    for (path, p), g, n, f in zip(
      jax.tree.leaves_with_path(params),
      *map(jax.tree.leaves, (grads, new, free)),
      strict=True,
    ):
      seen.add(path[-1].key)
      if path[-1].key == 'kernel':
        wanted = numpy_loop(p, [g], beta=2.0)
        np.testing.assert_array_equal(n, wanted, str(path))
      else:
        np.testing.assert_array_equal(bits(n), bits(f), str(path))
    params = new
  assert seen == {'kernel', 'bias', 'scale'}


class Nnx(nnx.Module):
  def __init__(self, rngs):
    self.hidden = nnx.Linear(20, 8, rngs=rngs)
    self.norm = nnx.BatchNorm(8, rngs=rngs)
    self.out = nnx.Linear(8, 3, rngs=rngs)

  def __call__(self, x):
    return self.out(nnx.relu(self.norm(self.hidden(x))))


def test_flax_nnx():
  x, model = normal(0, (16, 20)), nnx.jit(lambda: Nnx(nnx.Rngs(0)))()
  l1 = {'hidden': 0.03, 'norm': 0.5, 'out': 0.1}
  tx = beta_lasso(LR, nnx.State(l1), 2.0)
  optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
  grad = nnx.grad(lambda model, x: jnp.mean((model(x) - 1) ** 2))
  grads = nnx.jit(grad)(model, x)
  before = nnx.to_pure_dict(nnx.state(model, nnx.Param))
  before = jax.tree.map(np.array, before)
  nnx.jit(nnx.Optimizer.update)(optimizer, model, grads)
  after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
  grads = nnx.to_pure_dict(grads)
  for layer, names in before.items():
    for name, p in names.items():
      here = l1[layer] if name == 'kernel' else 0.0
      wanted = numpy_loop(p, [grads[layer][name]], LR, here, 2.0)
      np.testing.assert_array_equal(after[layer][name], wanted, name)
  assert np.any(after['out']['kernel'] == 0)


def test_docstring_examples():
  result = doctest.testmod(lasso)
  assert result.attempted > 0 and result.failed == 0
