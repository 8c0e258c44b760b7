"""The locally connected layer of Flax."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array

import lconv_jax
from benchmarks import layer


def conv_local(problem: layer.Problem) -> layer.Candidate:
  """Returns `flax.linen.ConvLocal`, NHWC."""
  w, cout = problem.window, problem.kernel.shape[-1]
  module = nn.ConvLocal(
    cout,
    w.size,
    w.strides,
    w.padding,
    use_bias=False,
    precision=jax.lax.Precision.HIGHEST,
  )

  def apply(x: Array, kernel: Array) -> Array:
    return module.apply({'params': {'kernel': kernel}}, x)

  def kernels(a: np.ndarray) -> Array:
    params = {'kernel': jnp.asarray(a)}
    return lconv_jax.from_conv_local(params, w.size)['kernel']

  # Its kernels are [*positions, Cin · window, Cout].
  kernel = np.moveaxis(problem.kernel, -2, 2).reshape(*w.positions, -1, cout)
  return layer.Candidate(
    **layer.compiled(
      apply, problem.x, kernel, problem.dy, problem.input_gradient
    ),
    images=lambda a: a,
    kernels=kernels,
  )
