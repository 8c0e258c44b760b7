import jax.numpy as jnp
import numpy as np
from flax import nnx

from lconv_jax.conv import local
from lconv_jax.conv.nnx import LocalConv, from_linen

FIELDS = {'features': 16, 'kernel_size': (3, 2), 'strides': (2, 1)}
IMAGE = 5, 4, 8


def test_both_layers_compute_and_learn_the_same():
  drawn = LocalConv(IMAGE, **FIELDS, rngs=nnx.Rngs(0))
  assert drawn.kernel.shape == (3, 4, 3, 2, 8, 16)
  deviation = np.asarray(drawn.kernel[...]).std((2, 3, 4, 5))
  np.testing.assert_allclose(deviation, np.sqrt(1 / (6 * 8)), rtol=0.1)
  linen = local.LocalConv(**FIELDS)
  rng = np.random.default_rng(0)
  x = jnp.float32(rng.normal(size=(2, *IMAGE)))
  params = {
    'kernel': drawn.kernel[...],
    'bias': jnp.float32(rng.normal(size=(3, 4, 16))),
  }
  layer = from_linen(linen, params, IMAGE)

  wanted = linen.apply({'params': params}, x)
  np.testing.assert_array_equal(nnx.jit(lambda f, x: f(x))(layer, x), wanted)
  grads = nnx.grad(lambda f: f(x).sum())(layer)
  np.testing.assert_array_equal(grads.bias[...], np.full((3, 4, 16), len(x)))
  # All filters of a position see the same.
  seen = np.asarray(grads.kernel[...])
  np.testing.assert_allclose(seen, seen[..., :1].repeat(16, -1), rtol=1e-6)


def test_a_layer_may_have_no_bias():
  linen = local.LocalConv(3, (2,), padding='CAUSAL', use_bias=False)
  params = {'kernel': jnp.ones((5, 2, 1, 3))}
  layer = from_linen(linen, params, (5, 1))
  x = jnp.arange(5.0)[None, :, None]
  assert layer.bias is None
  np.testing.assert_array_equal(layer(x)[0, :, 0], [0, 1, 3, 5, 7])
