import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

import lconv_jax
from lconv_jax.conv import local

pytestmark = pytest.mark.usefixtures('optimised')


def layer(features, kernel_size, strides, padding, **fields):
  return {
    'features': features,
    'kernel_size': kernel_size,
    'strides': strides,
    'padding': padding,
    **fields,
  }


# Shape of x, and what both layers are made from.
CASES = [
  ((2, 6, 5, 3), layer(2, (3, 2), (2, 1), 'SAME')),
  ((3, 4, 6, 1), layer(3, (2, 3), (1, 2), ((1, 0), (0, 2)))),
  ((1, 7, 2), layer(3, (4,), (3,), 2, use_bias=False)),
  ((2, 5, 2), layer(1, (2,), (1,), 'VALID')),
  ((2, 3, 4, 5, 2), layer(2, (2, 3, 2), (1, 2, 1), 'SAME')),
]


def normal(*shape, seed=0):
  return jnp.float32(np.random.default_rng(seed).normal(size=shape))


def drawn(module, x):
  """Parameters for a module; drawing them by init takes XLA a second."""
  like = jax.eval_shape(module.init, jax.random.key(0), x)['params']
  return {k: normal(*v.shape, seed=i) for i, (k, v) in enumerate(like.items())}


def grads_of(module, params, x):
  """The result and the gradients of a loss that tells all outputs apart."""

  def loss(params, x):
    y = module.apply({'params': params}, x)
    return jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

  grads, y = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x)
  return y, *grads


@pytest.mark.parametrize(('shape', 'fields'), CASES)
def test_local_conv_replaces_flaxs(shape, fields):
  x, size = normal(*shape, seed=9), fields['kernel_size']
  theirs, ours = nn.ConvLocal(**fields), lconv_jax.LocalConv(**fields)
  params = drawn(theirs, x)
  converted = lconv_jax.from_conv_local(params, size)
  mine = jax.eval_shape(ours.init, jax.random.key(0), x)['params']
  assert jax.tree.map(jnp.shape, mine) == jax.tree.map(jnp.shape, converted)

  y, dparams, dx = grads_of(theirs, params, x)
  y_, dparams_, dx_ = grads_of(ours, converted, x)
  dparams = lconv_jax.from_conv_local(dparams, size)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
    (y_, dparams_, dx_),
    (y, dparams, dx),
  )


@pytest.mark.parametrize(('shape', 'f'), CASES[:2])
def test_shared_filters_make_it_a_convolution(shape, f):
  x, size = normal(*shape, seed=9), f['kernel_size']
  shared = normal(*size, shape[-1], f['features'])

  def conv(x, kernel):
    return lax.conv_general_dilated(
      x, kernel, f['strides'], f['padding'],
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )  # fmt: skip

  def local(x, kernel):
    positions = jax.eval_shape(conv, x, kernel).shape[1:-1]
    everywhere = jnp.broadcast_to(kernel, (*positions, *kernel.shape))
    return lconv_jax.local_conv(x, everywhere, f['strides'], f['padding'])

  def both(fn):
    y, vjp = jax.vjp(fn, x, shared)
    return y, *vjp(jnp.cos(jnp.arange(y.size)).reshape(y.shape))

  got, want = jax.jit(lambda: (both(local), both(conv)))()
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_local_conv_equals_the_definition():
  rs = np.random.RandomState(0)
  x, kernel = rs.randn(2, 5, 4, 3), rs.randn(3, 2, 3, 2, 3, 4)
  y = lconv_jax.local_conv(jnp.float32(x), jnp.float32(kernel), strides=2)
  padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
  for i, j in np.ndindex(3, 2):
    patch = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 2]
    want = np.einsum('bhwc,hwco->bo', patch, kernel[i, j])
    np.testing.assert_allclose(y[:, i, j], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('size', [3, (5, 5)])
def test_fan_in_is_the_window_times_the_channels(size):
  n = 1 if isinstance(size, int) else len(size)
  x = jnp.ones((1, *(6,) * n, 7))
  layer = lconv_jax.LocalConv(64, size, kernel_init=nn.initializers.he_normal())
  kernel = layer.init(jax.random.key(0), x)['params']['kernel']
  fan_in = math.prod(kernel.shape[n:-1])
  assert fan_in == 7 * (3 if n == 1 else 25)
  np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_in), rtol=0.03)
  first = np.asarray(kernel).reshape(6**n, -1)[:, 0]
  assert len(np.unique(first)) == 6**n  # no two positions are alike


def test_parameters_can_be_partitioned():
  names = (*[None] * 5, 'model')
  init = nn.initializers.lecun_normal()
  boxed = nn.with_partitioning(init, names)
  x, key = jnp.ones((1, 4, 4, 1)), jax.random.key(0)

  def make(init):
    layer = lconv_jax.LocalConv(2, (2, 2), kernel_init=init)
    return layer.init_with_output(key, x)

  (y, params), (want, plain) = jax.jit(lambda: (make(boxed), make(init)))()
  spec = nn.get_partition_spec(params)['params']['kernel']
  assert tuple(spec) == names
  jax.tree.map(np.testing.assert_array_equal, nn.unbox(params), plain)
  np.testing.assert_array_equal(y, want)


def test_what_the_docstring_says_instead_of_jvp():
  x, v, kernel = normal(1, 3, 1), normal(1, 3, 1, seed=1), normal(2, 2, 1, 1)

  def f(x):
    return jnp.sin(lconv_jax.local_conv(x, kernel, padding='VALID'))

  def g(x):
    patches = jnp.stack([x[0, :2, 0], x[0, 1:, 0]])
    return jnp.sin((patches * kernel[:, :, 0, 0]).sum(1)).reshape(1, 2, 1)

  with pytest.raises(TypeError, match='jvp'):
    jax.jvp(f, (x,), (v,))

  @jax.jit
  def ours():
    y, vjp = jax.vjp(f, x)
    (dy,) = jax.vjp(lambda ct: vjp(ct)[0], jnp.zeros_like(y))[1](v)
    return dy, jax.jacrev(jax.grad(lambda x: f(x).sum()))(x)

  @jax.jit
  def wanted():
    dy = jax.jvp(g, (x,), (v,))[1]
    return dy, jax.hessian(lambda x: g(x).sum())(x)

  for got, want in zip(ours(), wanted(), strict=True):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_leading_axes_are_kept():
  layer = lconv_jax.LocalConv(5, (3, 3))
  x = normal(2, 4, 6, 6, 3, seed=9)
  params = {'params': drawn(layer, x)}
  y = layer.apply(params, x)
  assert y.shape == (2, 4, 6, 6, 5)
  np.testing.assert_allclose(
    y[1, 2], layer.apply(params, x[1, 2]), rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_dtypes_are_those_of_flax(dtype):
  x = jnp.ones((1, 6, 6, 3), dtype)
  for fields in ({'dtype': dtype}, {}, {'param_dtype': dtype}):
    fields = {'features': 2, 'kernel_size': (3, 3), **fields}
    (y, ours), (want, theirs) = (
      jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
      for layer in (lconv_jax.LocalConv(**fields), nn.ConvLocal(**fields))
    )
    assert y.dtype == want.dtype
    assert ours['params']['kernel'].dtype == theirs['params']['kernel'].dtype


def test_the_result_can_be_wider_than_the_products():
  x = jnp.ones((1, 4, 4, 1), jnp.bfloat16)
  kernel = jnp.ones((4, 4, 1, 1, 1, 1))
  assert lconv_jax.local_conv(x, kernel).dtype == jnp.bfloat16
  wide = partial(lconv_jax.local_conv, preferred_element_type=jnp.float32)
  assert wide(x, kernel).dtype == jnp.float32


@pytest.mark.parametrize(
  ('x', 'kernel', 'message'),
  [
    ((2, 8, 8, 3), (8, 8, 3, 3, 4, 5), r'8, 8.* 4 channels.*\(2, 8, 8, 3\)'),
    ((2, 8, 8, 3), (4, 4, 3, 3, 3, 5), r'positions \(4, 4\).*\(8, 8\)'),
    ((2, 8, 3), (8, 8, 3, 3, 3, 5), r'\(2, 8, 3\).*\(8, 8, 3, 3, 3, 5\)'),
  ],
)
def test_what_does_not_fit_is_said_with_both_shapes(x, kernel, message):
  with pytest.raises(ValueError, match=message):
    lconv_jax.local_conv(jnp.ones(x), jnp.ones(kernel))


def test_strides_and_padding_of_a_layer_are_checked():
  x = jnp.ones((1, 6, 6, 3))

  def init(init):
    jax.eval_shape(init, jax.random.key(0), x)

  with pytest.raises(ValueError, match=r'strides=\(0, 0\)'):
    init(lconv_jax.LocalConv(2, (3, 3), strides=0).init)
  with pytest.raises(ValueError, match=r'SAMEE.*SAME_LOWER, CIRCULAR, REFLECT'):
    init(lconv_jax.LocalConv(2, (3, 3), padding='SAMEE').init)
  with pytest.raises(
    ValueError, match=r'CIRCULAR.*valid: \w+, \w+, SAME_LOWER, a'
  ):
    lconv_jax.local_conv(x, jnp.ones((6, 6, 3, 3, 3, 2)), padding='CIRCULAR')


def test_a_layer_for_another_rank_is_refused():
  with pytest.raises(ValueError, match=r'\(6, 3\).*kernel_size=\(3, 3\)'):
    lconv_jax.LocalConv(2, (3, 3)).init(jax.random.key(0), jnp.ones((6, 3)))


def test_a_kernel_of_another_window_is_not_converted():
  with pytest.raises(ValueError, match=r'\(6, 6, 27, 2\).*\(5, 5\)'):
    local.from_conv_local({'kernel': jnp.ones((6, 6, 27, 2))}, (5, 5))


@pytest.mark.parametrize(
  ('padding', 'shape', 'size'),
  [
    ('CIRCULAR', (2, 6, 5, 3), (3, 4)),
    ('REFLECT', (2, 6, 5, 3), (3, 4)),
    ('CAUSAL', (2, 6, 3), (3,)),
  ],
)
def test_borders_are_those_of_flax(padding, shape, size):
  fields = {'features': 2, 'kernel_size': size, 'padding': padding}
  theirs, ours = nn.ConvLocal(**fields), lconv_jax.LocalConv(**fields)
  x = normal(*shape, seed=9)
  params = drawn(theirs, x)
  converted = lconv_jax.from_conv_local(params, size)
  y, want = jax.jit(
    lambda: (
      ours.apply({'params': converted}, x),
      theirs.apply({'params': params}, x),
    )
  )()
  np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


def test_an_empty_batch_gives_an_empty_result():
  layer = lconv_jax.LocalConv(4, (3, 3), strides=None)
  params = {'params': drawn(layer, jnp.ones((1, 6, 6, 3)))}
  assert layer.apply(params, jnp.ones((0, 6, 6, 3))).shape == (0, 6, 6, 4)


def test_causal_padding_is_for_one_dimension():
  layer = lconv_jax.LocalConv(4, (3, 3), padding='CAUSAL')
  with pytest.raises(ValueError, match=r'CAUSAL .* kernel_size=\(3, 3\)'):
    layer.init(jax.random.key(0), jnp.ones((1, 6, 6, 3)))
