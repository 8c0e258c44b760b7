"""Matrix products of 16-bit inputs with 32-bit sums (paper, appendix A)."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike


@jax.custom_vjp
def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Multiplies in the dtype of x, accumulates and returns float32.

  Plain autodiff of a product with `preferred_element_type` feeds float32
  cotangents to the backward products; this rule rounds them to x's dtype, so
  that all three products run on 16-bit inputs. As `local_conv`, it has
  reverse-mode derivatives only.

  Args:
    x: [batch, in], float32, bfloat16 or float16.
    kernel: [in, out] float32, rounded to x's dtype.

  Returns:
    [batch, out] float32. Gradients have the dtypes of `x` and `kernel`.
  """
  return _dot(x, kernel.astype(x.dtype))


def _matmul_fwd(
  x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return matmul(x, kernel), (x, kernel)


def _matmul_bwd(
  residuals: tuple[jax.Array, jax.Array], dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
  x, kernel = residuals
  dy = dy.astype(x.dtype)
  dx = _dot(dy, kernel.astype(x.dtype).T).astype(x.dtype)
  xt = x.T
  if jax.default_backend() == 'cpu':
    # XLA's CPU product with a transposed left side runs at half speed; a
    # transpose in memory costs far less.
    xt = lax.optimization_barrier(xt)
  return dx, _dot(xt, dy).astype(kernel.dtype)


matmul.defvjp(_matmul_fwd, _matmul_bwd)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.matmul(
    a, b, precision=precision(a.dtype), preferred_element_type=jnp.float32
  )


def precision(dtype: DTypeLike) -> lax.Precision | None:
  """Returns what keeps products of float32 from being done in fewer bits.

  Those of 16-bit inputs need nothing: their sums are taken in float32.
  """
  return lax.Precision.HIGHEST if dtype == jnp.float32 else None


def einsum(equation: str, a: jax.Array, b: jax.Array) -> jax.Array:
  """Returns products of two arrays of one dtype, summed in `wide_dtype`."""
  return jnp.einsum(
    equation,
    a,
    b,
    precision=precision(a.dtype),
    preferred_element_type=wide_dtype(a.dtype),
  )


def wide_dtype(dtype: DTypeLike) -> DTypeLike:
  """Returns the dtype of sums: float64 for float64, else float32."""
  return jnp.promote_types(dtype, jnp.float32)
