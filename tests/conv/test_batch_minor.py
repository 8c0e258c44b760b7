import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

from lconv_jax.conv import batch_minor, windows
from tests import jaxprs

pytestmark = pytest.mark.usefixtures('optimised')

METHODS = batch_minor.METHODS


@st.composite
def cases(draw):
  """Shapes, strides and padding, and a seed for `arrays`."""
  n = draw(st.integers(1, 2))
  size = [draw(st.integers(1, 4)) for _ in range(n)]
  spatial = [draw(st.integers(k, 7)) for k in size]
  strides = tuple(draw(st.integers(1, 3)) for _ in range(n))
  explicit = st.tuples(st.integers(0, 2), st.integers(0, 2))
  padding = draw(
    st.sampled_from(['SAME', 'VALID', 'SAME_LOWER', 1])
    | st.tuples(*[explicit] * n)
  )
  channels = [draw(st.integers(1, 3)) for _ in range(3)]
  return spatial, size, strides, padding, channels, draw(st.integers(0, 999))


def arrays(case):
  """x, kernel, dy as NumPy float64, strides, padding, window."""
  spatial, size, strides, padding, (cin, cout, b), seed = case
  w = windows.window(spatial, size, strides, padding)
  rs = np.random.RandomState(seed)
  x = rs.randn(*spatial, cin, b)
  kernel = rs.randn(*w.positions, cout, *size, cin)
  dy = rs.randn(*w.positions, cout, b)
  return x, kernel, dy, strides, padding, w


def numpy_local(x, kernel, dy, w):
  """y, dx and dkernel, position by position as the definition says."""
  n = len(w.size)
  padded = np.pad(x, (*w.padding, (0, 0), (0, 0)))
  y, dx, dk = np.zeros_like(dy), np.zeros_like(padded), np.zeros_like(kernel)
  for p in np.ndindex(*w.positions):
    for o, offset in itertools.product(
      range(kernel.shape[n]), np.ndindex(*w.size)
    ):
      at = tuple(
        i * s + k for i, s, k in zip(p, w.strides, offset, strict=True)
      )
      y[(*p, o)] += kernel[(*p, o, *offset)] @ padded[at]
      dk[(*p, o, *offset)] += padded[at] @ dy[(*p, o)]
      dx[at] += np.outer(kernel[(*p, o, *offset)], dy[(*p, o)])
  crop = tuple(
    slice(a, length - b)
    for (a, b), length in zip(w.padding, padded.shape, strict=False)
  )
  return y, dx[crop], dk


def value_and_grads(fns, x, kernel, dy):
  """Of several functions in one program, as compiling takes the time."""

  @jax.jit
  def compute(x, kernel, dy):
    results = []
    for fn in fns:
      y, vjp = jax.vjp(fn, x, kernel)
      results.append((y, *vjp(dy)))
    return results

  return compute(*map(jnp.float32, (x, kernel, dy)))


def assert_close(got, want, tolerance=1e-4):
  for g, w in zip(got, want, strict=True):
    np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('method', METHODS)
@settings(max_examples=8, deadline=None)
@given(case=cases(), filters_last=st.booleans())
def test_local_conv_and_its_gradients_equal_numpy(method, case, filters_last):
  x, kernel, dy, strides, padding, w = arrays(case)

  def fn(x, kernel):
    if filters_last:
      kernel = jnp.moveaxis(kernel, len(w.size), -1)
    return batch_minor.local_conv(
      x, kernel, strides, padding, method=method, filters_last=filters_last
    )

  (got,) = value_and_grads([fn], x, kernel, dy)
  assert_close(got, numpy_local(x, kernel, dy, w))


@pytest.mark.parametrize('method', METHODS)
@settings(max_examples=8, deadline=None)
@given(case=cases())
def test_conv_and_its_gradients_equal_numpy(method, case):
  # XLA's simplifier aborts the process on some gradients of `lax.conv` whose
  # two dimensions differ, such as images [6, 4], windows [2, 4], stride 2.
  assume(method == 'loop' or len(case[0]) == 1)
  x, kernel, dy, strides, padding, w = arrays(case)
  n = len(w.size)
  fn = partial(
    batch_minor.conv, strides=strides, padding=padding, method=method
  )
  (got,) = value_and_grads([fn], x, kernel[(0,) * n], dy)
  every = np.broadcast_to(kernel[(0,) * n], kernel.shape)
  y, dx, dkernel = numpy_local(x, every, dy, w)
  assert_close(got, (y, dx, dkernel.sum(tuple(range(n)))))


@pytest.mark.parametrize(
  ('size', 'strides', 'padding'),
  [(3, 1, 'SAME'), (3, 2, 'SAME'), (2, 2, 'VALID'), (1, 3, 1), (4, 2, 2)],
)
@pytest.mark.parametrize('method', METHODS)
def test_conv_and_its_gradients_equal_lax(method, size, strides, padding):
  case = [7, 7], [size] * 2, (strides,) * 2, padding, (2, 3, 4), 0
  x, kernel, dy, strides, padding, w = arrays(case)

  def by_lax(x, kernel):
    return lax.conv_general_dilated(
      x, kernel, strides, w.padding, dimension_numbers=('HWCN', 'OHWI', 'HWCN')
    )

  fn = partial(
    batch_minor.conv, strides=strides, padding=padding, method=method
  )
  assert_close(*value_and_grads([fn, by_lax], x, kernel[0, 0], dy))


@settings(max_examples=60, deadline=None)
@given(
  size=st.integers(1, 5),
  length=st.integers(1, 12),
  stride=st.integers(1, 4),
  padding=st.sampled_from(['SAME', 'VALID', 'SAME_LOWER', 'same']),
)
def test_window_agrees_with_lax(size, length, stride, padding):
  if padding == 'VALID' and length < size:
    with pytest.raises(ValueError, match='does not fit'):
      windows.window((length,), (size,), stride, padding)
    return
  w = windows.window((length,), (size,), stride, padding)
  y = lax.conv_general_dilated(
    jnp.ones((1, 1, length)), jnp.ones((1, 1, size)), (stride,),
    padding.upper(),
  )  # fmt: skip
  assert w.positions == y.shape[2:]


def small(dtype=jnp.float32, shared=False):
  rs = np.random.RandomState(0)
  x = rs.randn(5, 6, 3, 4)
  kernel = rs.randn(*((4,) if shared else (3, 3, 4)), 3, 3, 3)
  return (
    jnp.asarray(x, dtype),
    jnp.float32(kernel),
    jnp.float32(rs.randn(3, 3, 4, 4)),
  )


FUNCTIONS = {
  'local': (partial(batch_minor.local_conv, strides=2), False),
  'shared': (partial(batch_minor.conv, strides=2), True),
}


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize('name', FUNCTIONS)
def test_every_product_has_16_bit_inputs_and_a_float32_result(name, dtype):
  fn, shared = FUNCTIONS[name]
  for method in METHODS if name == 'local' else ('loop',):

    def products(x, kernel, dy, method=method):
      y, vjp = jax.vjp(
        partial(fn, preferred_element_type=jnp.float32, method=method),
        x,
        kernel,
      )
      return y, *vjp(dy)

    args = small(dtype, shared)
    dots = jaxprs.products(jax.make_jaxpr(products)(*args).jaxpr)
    # Loops are unrolled twice, and have a remainder.
    assert len(dots) % 3 == 0 and dots
    for dot in dots:
      assert [v.aval.dtype for v in dot.invars] == [dtype, dtype]
      assert dot.outvars[0].aval.dtype == jnp.float32
    got = jax.jit(products)(*args)
    assert [g.dtype for g in got] == [jnp.float32, dtype, jnp.float32]
    want = jax.jit(products)(*small(jnp.float32, shared))
    assert_close(got, want, 0.15 if dtype == jnp.bfloat16 else 0.02)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', FUNCTIONS)
def test_products_of_float32_are_not_done_in_fewer_bits(name, method):
  fn, shared = FUNCTIONS[name]

  def products(x, kernel, dy):
    y, vjp = jax.vjp(partial(fn, method=method), x, kernel)
    return y, *vjp(dy)

  jaxpr = jax.make_jaxpr(products)(*small(jnp.float32, shared))
  dots = jaxprs.products(jaxpr.jaxpr)
  assert len(dots) >= 3 and all(map(jaxprs.is_exact, dots))


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', FUNCTIONS)
def test_16_bit_sums_are_taken_in_float32(name, method):
  # 4096 ones: bfloat16 would stop counting at 256.
  fn, shared = FUNCTIONS[name]
  x = jnp.ones((1, 1, 4096, 1), jnp.bfloat16)
  kernel = jnp.ones((1, 1, 1, 4096) if shared else (1, 1, 1, 1, 1, 4096))
  y, vjp = jax.vjp(lambda x, k: fn(x, k, method=method), x, kernel)
  assert y.item() == 4096
  # And over a batch of 4096, for the weights' gradient.
  x = jnp.ones((1, 1, 1, 4096), jnp.bfloat16)
  y, vjp = jax.vjp(lambda k: fn(x, k, method=method), kernel[..., :1])
  assert vjp(jnp.ones_like(y))[0].item() == 4096


@pytest.mark.parametrize('method', METHODS)
def test_a_pixels_gradient_is_summed_over_windows_in_float32(method):
  # bfloat16 would round 256.75 ... in either direction.
  weights = np.float32([0.75] * 4 + [256] + [0.75] * 4)
  kernel = np.tile(weights[:, None, None, None], (1, 1, 9, 1))
  _, vjp = jax.vjp(
    lambda x: batch_minor.local_conv(
      x, jnp.asarray(kernel), padding=((0, 8),), method=method,
      preferred_element_type=jnp.float32,
    ), jnp.ones((9, 1, 1), jnp.bfloat16)
  )  # fmt: skip
  (dx,) = vjp(jnp.ones((9, 1, 1)))
  # The last pixel is seen from all 9 positions.
  assert dx[-1].item() == weights.sum() == 262


def test_the_default_method_on_cpu_is_by_size():
  big = jnp.zeros((16, 16, 3, 512))
  few = jnp.zeros((8, 8, 3, 512))
  for x, expected in ((big, 'loop'), (few, 'batched')):
    kernel = jnp.zeros((*x.shape[:2], 2, 3, 3, 3))
    jaxpr = str(jax.make_jaxpr(batch_minor.local_conv)(x, kernel))
    assert ('while' in jaxpr or 'scan' in jaxpr) == (expected == 'loop')


@pytest.mark.parametrize('method', METHODS)
def test_vmap_equals_a_python_loop(method):
  x, kernel, dy = small()
  xs, kernels = jnp.stack([x, 2 * x]), jnp.stack([kernel, kernel**2])

  def loss(x, kernel):
    return (
      dy * batch_minor.local_conv(x, kernel, strides=2, method=method)
    ).sum()

  grad = jax.grad(loss, (0, 1))
  together = jax.vmap(grad)(xs, kernels)
  for i in range(2):
    assert_close([g[i] for g in together], grad(xs[i], kernels[i]))


@pytest.mark.parametrize('method', ['loop', 'batched'])
def test_no_patches_are_kept_for_the_backward_pass(method):
  x, kernel, _ = small()
  _, vjp = jax.vjp(
    partial(batch_minor.local_conv, strides=2, method=method), x, kernel
  )
  kept = sum(math.prod(r.shape) for r in jax.tree.leaves(vjp))
  assert kept <= x.size + kernel.size


@pytest.mark.parametrize(
  ('shape', 'kernel', 'kwargs', 'message'),
  [
    (
      (5, 6, 3, 4),
      (3, 3, 4, 3, 3, 2),
      {'strides': 2},
      r'2 channels.*3 channels',
    ),
    ((5, 6, 3, 4), (5, 5, 4, 3, 3, 3), {}, r'\(5, 5\).*\(5, 6\)'),
    ((5, 6, 3, 4), (4, 3, 3, 3), {}, r'\(5, 6, 3, 4\).*\(4, 3, 3, 3\)'),
    ((2, 6, 3, 4), (1, 4, 2, 3, 3, 3), {'padding': 'VALID'}, 'does not fit'),
    ((5, 6, 3, 4), (5, 6, 4, 3, 3, 3), {'padding': 'SANE'}, 'valid: SAME'),
    ((5, 6, 3, 4), (5, 6, 4, 3, 3, 3), {'padding': (1, 1, 1)}, '2 pairs'),
    ((5, 6, 3, 4), (5, 6, 4, 3, 3, 3), {'padding': -1}, 'none negative'),
    ((5, 6, 3, 4), (5, 6, 4, 3, 3, 3), {'strides': 0}, '2 positive'),
    ((5, 6, 3, 4), (5, 6, 4, 3, 3, 3), {'strides': (1,)}, '2 positive'),
    ((5, 6, 3, 4), (5, 6, 4, 3, 3, 3), {'method': 'fast'}, "'loop'"),
  ],
)
def test_what_does_not_fit_is_said_with_both_shapes(
  shape, kernel, kwargs, message
):
  with pytest.raises(ValueError, match=f'(?s){message}'):
    batch_minor.local_conv(jnp.ones(shape), jnp.ones(kernel), **kwargs)


def test_a_shared_kernel_that_does_not_fit_is_refused():
  for kernel in ((4, 3, 3, 2), (4, 3, 3), (5, 6, 4, 3, 3, 3)):
    with pytest.raises(ValueError, match=r'\(5, 6, 3, 4\)'):
      batch_minor.conv(jnp.ones((5, 6, 3, 4)), jnp.ones(kernel))


@pytest.mark.parametrize('which', [0, 1])
def test_integers_are_refused(which):
  args = [jnp.ones((4, 3, 2)), jnp.ones((4, 5, 3, 3))]
  args[which] = args[which].astype(jnp.int32)
  name = ('x', 'kernel')[which]
  with pytest.raises(ValueError, match=f'{name} has dtype int32; convert'):
    batch_minor.local_conv(*args)


def test_lists_are_taken_like_tuples():
  x, kernel, _ = small()
  want = batch_minor.local_conv(x, kernel, strides=2, padding='SAME')
  got = batch_minor.local_conv(x, kernel, [2, 2], [(1, 1), [0, 1]])
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', FUNCTIONS)
def test_float64_stays_float64(name, method):
  fn, shared = FUNCTIONS[name]
  with jax.enable_x64(True):
    x, kernel, dy = (jnp.asarray(np.float64(a)) for a in small(shared=shared))
    y, vjp = jax.vjp(lambda x, k: fn(x, k, method=method), x, kernel)
    results = y, *vjp(dy)
    assert [r.dtype for r in results] == [jnp.float64] * 3
    by_lax, _ = jax.vjp(lambda x, k: fn(x, k, method='batched'), x, kernel)
    np.testing.assert_allclose(y, by_lax, rtol=1e-12, atol=1e-12)
