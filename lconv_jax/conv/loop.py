"""Convolutions position by position: never more than one patch in memory."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array

from lconv_jax.conv.matmul import einsum, wide_dtype
from lconv_jax.conv.windows import Window

# With two positions per iteration XLA runs independent products on two cores;
# those of a single position are too small to be divided.
_UNROLL = 2


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike, kind: str
) -> Array:
  """Multiplies position by position, with one patch at a time in memory.

  The kernel is 'shared', or there is one for every position, 'filters_first' or
  'filters_last': that is its `kind`.
  """
  padded, weights = w.pad(x), _matrices(kernel, x.dtype, kind)
  cout = weights.shape[-1 if kind == 'filters_last' else -2]

  def body(p: Array, y: Array) -> Array:
    patch = _matrix(lax.dynamic_slice(padded, *_place(p, padded, w)))
    y_p = einsum('ok,kb->ob', _weights_at(weights, p, kind), patch)
    return lax.dynamic_update_index_in_dim(y, y_p.astype(dtype), p, 0)

  y = jnp.zeros((w.count, cout, x.shape[-1]), dtype)
  y = lax.fori_loop(0, w.count, body, y, unroll=_UNROLL)
  return y.reshape(*w.positions, *y.shape[1:])


def _fwd(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike, kind: str
) -> tuple[Array, tuple[Array, Array]]:
  return convolve(x, kernel, w, dtype, kind), (x, kernel)


def _bwd(
  w: Window,
  dtype: DTypeLike,
  kind: str,
  residuals: tuple[Array, Array],
  dy: Array,
) -> tuple[Array, Array]:
  x, kernel = residuals
  padded, weights = w.pad(x), _matrices(kernel, x.dtype, kind)
  dy = dy.astype(x.dtype).reshape(w.count, *dy.shape[-2:])

  def body(p: Array, grads: tuple[Array, Array]) -> tuple[Array, Array]:
    dx, dw = grads
    start, size = _place(p, padded, w)
    patch = _matrix(lax.dynamic_slice(padded, start, size))
    dw_p = einsum('ob,kb->ok', dy[p], patch)
    if kind == 'shared':
      dw += dw_p
    else:
      if kind == 'filters_last':
        dw_p = lax.optimization_barrier(dw_p).T
      dw = lax.dynamic_update_index_in_dim(dw, dw_p, p, 0)
    dpatch = einsum('ok,ob->kb', _weights_at(weights, p, kind), dy[p])
    dpatch = dpatch.reshape(size) + lax.dynamic_slice(dx, start, size)
    return lax.dynamic_update_slice(dx, dpatch, start), dw

  # In a first layer dx is not used, and XLA removes it from the loop.
  wide = wide_dtype(x.dtype)
  zeros = jnp.zeros(padded.shape, wide), jnp.zeros(weights.shape, wide)
  dx, dw = lax.fori_loop(0, w.count, body, zeros, unroll=_UNROLL)
  return (
    w.crop(dx).astype(x.dtype),
    dw.reshape(kernel.shape).astype(kernel.dtype),
  )


convolve.defvjp(_fwd, _bwd)


def _matrices(kernel: Array, dtype: DTypeLike, kind: str) -> Array:
  """Returns weights as [Cout, K], [P, Cout, K] or [P, K, Cout]."""
  n = kernel.ndim - 2 if kind == 'shared' else kernel.ndim // 2 - 1
  lead = 0 if kind == 'shared' else n  # axes of positions
  head, tail = kernel.shape[:lead], kernel.shape[lead:]
  split = len(tail) - 1 if kind == 'filters_last' else 1
  rows, columns = math.prod(tail[:split]), math.prod(tail[split:])
  positions = (math.prod(head),) if lead else ()
  return kernel.astype(dtype).reshape(*positions, rows, columns)


def _matrix(patch: Array) -> Array:
  """Returns a patch [*window, Cin, B] as [K, B]."""
  return patch.reshape(math.prod(patch.shape[:-1]), patch.shape[-1])


def _weights_at(weights: Array, p: Array, kind: str) -> Array:
  """Returns the matrix [Cout, K] of a position."""
  match kind:
    case 'shared':
      return weights
    case 'filters_last':
      # Transposed in memory: XLA's product with a transposed left side is slow.
      return lax.optimization_barrier(weights[p].T)
  return weights[p]


def _place(
  p: Array, padded: Array, w: Window
) -> tuple[tuple[Array | int, ...], tuple[int, ...]]:
  """Returns the corner and the shape of the patch that position `p` sees."""
  index = jnp.unravel_index(p, w.positions)
  start = [i * s for i, s in zip(index, w.strides, strict=True)]
  return (*start, 0, 0), (*w.size, *padded.shape[-2:])
