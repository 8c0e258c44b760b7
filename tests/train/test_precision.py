import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lconv_jax.conv import matmul
from lconv_jax.train import precision
from tests import jaxprs

pytestmark = pytest.mark.usefixtures('optimised')

sizes = st.integers(1, 17)


@given(b=sizes, i=sizes, o=sizes, seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_matmul_and_its_gradients_equal_numpy(b, i, o, seed):
  rs = np.random.RandomState(seed)
  x, w, dy = rs.randn(b, i), rs.randn(i, o), rs.randn(b, o)
  y, vjp = jax.vjp(matmul.matmul, jnp.float32(x), jnp.float32(w))
  dx, dw = vjp(jnp.float32(dy))
  for got, want in ((y, x @ w), (dx, dy @ w.T), (dw, x.T @ dy)):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_every_product_has_16_bit_inputs_and_a_float32_result(dtype):
  def products(x, w, dy):
    y, vjp = jax.vjp(matmul.matmul, x, w)
    return y, *vjp(dy)

  args = jnp.ones((4, 5), dtype), jnp.ones((5, 3)), jnp.ones((4, 3))
  jaxpr = jax.make_jaxpr(products)(*args)
  dots = jaxprs.products(jaxpr.jaxpr)
  assert len(dots) == 3
  for dot in dots:
    assert [v.aval.dtype for v in dot.invars] == [dtype, dtype]
    assert dot.outvars[0].aval.dtype == jnp.float32
  y, dx, dw = products(*args)
  assert (y.dtype, dx.dtype, dw.dtype) == (jnp.float32, dtype, jnp.float32)


def test_products_of_float32_are_not_done_in_fewer_bits():
  def products(x, w, dy):
    y, vjp = jax.vjp(matmul.matmul, x, w)
    return y, *vjp(dy)

  args = jnp.ones((4, 5)), jnp.ones((5, 3)), jnp.ones((4, 3))
  dots = jaxprs.products(jax.make_jaxpr(products)(*args).jaxpr)
  assert len(dots) == 3
  assert all(jaxprs.is_exact(dot) for dot in dots)


def test_16_bit_products_accumulate_in_float32():
  # 4096 ones: bfloat16 would stop counting at 256.
  x, w = jnp.ones((1, 4096), jnp.bfloat16), jnp.ones((4096, 1))
  assert matmul.matmul(x, w)[0, 0] == 4096


def test_auto_is_float32_on_cpu():
  assert precision.compute_dtype('auto') == jnp.float32
  assert precision.compute_dtype('float16') == jnp.float16


def test_loss_scale_halves_on_overflow_and_doubles_after_a_calm():
  scale = precision.init_loss_scale()
  start = float(scale.scale)
  scale = precision.adjust(scale, jnp.bool_(False))
  assert scale.scale == start / 2
  for _ in range(precision.GROWTH_INTERVAL - 1):
    scale = precision.LossScale(
      *jax.tree.map(np.asarray, precision.adjust(scale, jnp.bool_(True)))
    )
  assert scale.scale == start / 2
  scale = precision.adjust(scale, jnp.bool_(True))
  assert (scale.scale, scale.good_steps) == (start, 0)
  for _ in range(60):
    scale = precision.adjust(scale, jnp.bool_(False))
  assert scale.scale == precision.MIN_SCALE
  calm = jnp.int32(precision.GROWTH_INTERVAL - 1)
  for before, after in ((2.0**23, 2.0**24), (2.0**24, 2.0**24)):
    scale = precision.LossScale(jnp.float32(before), calm)
    assert precision.adjust(scale, jnp.bool_(True)).scale == after


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_all_finite_sees_one_bad_element(bad):
  tree = {'a': jnp.ones(3), 'b': (jnp.zeros((2, 2)),)}
  assert precision.all_finite(tree)
  assert not precision.all_finite({**tree, 'a': jnp.array([1.0, bad, 1.0])})
