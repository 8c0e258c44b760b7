"""The locally connected layer of Flax."""

import jax
from flax import linen as nn
from jaxtyping import Array

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
    # Its kernels are [*positions, Cin · window, Cout].
    kernel = kernel.reshape(*w.positions, -1, cout)
    return module.apply({'params': {'kernel': kernel}}, x)

  layout = layer.Layout(kernel=(0, 1, 4, 2, 3, 5))
  return layer.in_jax(problem, apply, layout)
