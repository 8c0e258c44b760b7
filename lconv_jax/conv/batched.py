"""Convolutions as one batched product, for which all patches are written."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array

from lconv_jax.conv.matmul import einsum, wide_dtype
from lconv_jax.conv.windows import Window


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: Array, kernel: Array, w: Window, dtype: DTypeLike) -> Array:
  """Writes all patches to memory, and multiplies all positions at once."""
  weights = _matrices(kernel, x.dtype, w)
  y = einsum('pok,pkb->pob', weights, _patches(x, w)).astype(dtype)
  return y.reshape(*w.positions, *y.shape[-2:])


def _fwd(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike
) -> tuple[Array, tuple[Array, Array]]:
  return convolve(x, kernel, w, dtype), (x, kernel)


def _bwd(
  w: Window,
  dtype: DTypeLike,
  residuals: tuple[Array, Array],
  dy: Array,
) -> tuple[Array, Array]:
  x, kernel = residuals
  weights = _matrices(kernel, x.dtype, w)
  dy = dy.astype(x.dtype).reshape(w.count, *dy.shape[-2:])
  # Cutting the patches once more costs less than keeping them.
  dw = einsum('pob,pkb->pok', dy, _patches(x, w))
  dpatches = einsum('pok,pob->pkb', weights, dy).astype(x.dtype)
  # Patches of 16 bits halve the traffic; a pixel's sum over them is in float32.
  wide = wide_dtype(x.dtype)
  cut = jax.linear_transpose(
    partial(_patches, w=w), jax.ShapeDtypeStruct(x.shape, wide)
  )
  (dx,) = cut(dpatches.astype(wide))
  return dx.astype(x.dtype), dw.reshape(kernel.shape).astype(kernel.dtype)


convolve.defvjp(_fwd, _bwd)


def _matrices(kernel: Array, dtype: DTypeLike, w: Window) -> Array:
  """Returns weights as [P, Cout, K]."""
  cout, *patch = kernel.shape[len(w.positions) :]
  return kernel.astype(dtype).reshape(w.count, cout, math.prod(patch))


def _patches(x: Array, w: Window) -> Array:
  """Returns [positions, K, B], K in the order of window and channels."""
  padded = w.pad(x)
  tail = padded.shape[-2:]

  def shifted(offset: tuple[int, ...]) -> Array:
    last = (
      o + (count - 1) * s + 1
      for o, count, s in zip(offset, w.positions, w.strides, strict=True)
    )
    return lax.slice(
      padded, (*offset, 0, 0), (*last, *tail), (*w.strides, 1, 1)
    )

  offsets = itertools.product(*map(range, w.size))
  patches = jnp.concatenate([shifted(o) for o in offsets], axis=-2)
  return patches.reshape(w.count, *patches.shape[-2:])
