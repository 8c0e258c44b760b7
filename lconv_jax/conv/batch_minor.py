"""Convolutions whose batch is the last axis, with weights shared or not.

Images are [*spatial, channels, batch], the weights of one position [filters,
*window, channels]. The patch that a position sees is then a matrix [window ·
channels, batch], so that each position is a plain matrix product, and a net
that keeps this layout needs no transposes between its layers.

Both functions take one to three spatial dimensions and accumulate in float32.
Their gradients have a rule of their own, except that `conv` on accelerators is
`lax.conv`: no patches are kept for the backward pass, and all its products have
inputs of the forward pass's dtype. So reverse-mode derivatives of any order
exist, such as `jax.jacrev(jax.grad(f))`, but `jax.jvp` does not; see
`local_conv` of `lconv_jax` for what to do instead.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Num

from lconv_jax.conv import batched, loop
from lconv_jax.conv.matmul import precision
from lconv_jax.conv.windows import Padding, Strides, Window, check_fit, window

METHODS = ('loop', 'batched')


def local_conv(
  x: Num[Array, '*spatial cin b'],
  kernel: Num[Array, '*positions_cout_window kernel_cin'],
  strides: Strides = 1,
  padding: Padding = 'SAME',
  preferred_element_type: DTypeLike | None = None,
  method: str | None = None,
  filters_last: bool = False,
) -> Float[Array, '*positions cout b']:
  """Convolves with weights of its own at every position.

  Args:
    x: [*spatial, Cin, B], float32, bfloat16 or float16: the dtype of the
      products.
    kernel: [*positions, Cout, *window, Cin], rounded to x's dtype.
    strides: pixels, a number or one for each spatial dimension.
    padding: see `windows.Padding`.
    preferred_element_type: of the result; x's dtype by default.
    method: 'loop' goes from position to position and never has more than one
      patch in memory; 'batched' writes all patches, for one batched product.
      None: the loop on CPU, unless all is small; batched on accelerators.
    filters_last: whether the kernel is [*positions, *window, Cin, Cout], which
      makes the loop about a tenth slower.

  Returns:
    [*positions, Cout, B].

  Raises:
    ValueError: shapes do not fit, or a dtype is not a floating-point one.
  """
  n = x.ndim - 2
  order = '*window, Cin, Cout' if filters_last else 'Cout, *window, Cin'
  if not 1 <= n <= 3 or kernel.ndim != 2 * n + 2:
    raise ValueError(
      f'x of shape {x.shape} must be [*spatial, Cin, B] and kernel of shape '
      f'{kernel.shape} [*positions, {order}], with up to 3 spatial dimensions.'
    )
  _check_floating(x, kernel)
  first = 0 if filters_last else 1  # axes before the window
  size = kernel.shape[n + first : 2 * n + first]
  cin = kernel.shape[2 * n + first]
  w = window(x.shape[:n], size, strides, padding)
  check_fit(x, kernel, w, (x.shape[-2], cin))
  dtype = jnp.dtype(preferred_element_type or x.dtype)
  kind = 'filters_last' if filters_last else 'filters_first'
  method = _method(method, small=_is_small(x, w))
  return _convolve(x, kernel, w, dtype, kind, method)


def conv(
  x: Num[Array, '*spatial cin b'],
  kernel: Num[Array, 'cout *window kernel_cin'],
  strides: Strides = 1,
  padding: Padding = 'SAME',
  preferred_element_type: DTypeLike | None = None,
  method: str | None = None,
) -> Float[Array, '*positions cout b']:
  """Convolves with the same weights at every position.

  The result equals that of `lax.conv_general_dilated`. On CPU the loop is about
  twice as fast, gradients included. It stays so inside other loops, where the
  gradient of `lax.conv` leaves XLA's fast path.

  Args:
    x: [*spatial, Cin, B], float32, bfloat16 or float16: the dtype of the
      products.
    kernel: [Cout, *window, Cin], rounded to x's dtype.
    strides: pixels, a number or one for each spatial dimension.
    padding: see `windows.Padding`.
    preferred_element_type: of the result; x's dtype by default.
    method: 'loop', or 'batched' for `lax.conv`, which accumulates in float32
      but rounds its result to x's dtype, as cuDNN does. None: by backend.

  Returns:
    [*positions, Cout, B].

  Raises:
    ValueError: shapes do not fit, or a dtype is not a floating-point one.
  """
  n = x.ndim - 2
  if not 1 <= n <= 3 or kernel.ndim != n + 2 or kernel.shape[-1] != x.shape[-2]:
    raise ValueError(
      f'x of shape {x.shape} must be [*spatial, Cin, B] and kernel of shape '
      f'{kernel.shape} [Cout, *window, Cin], with up to 3 spatial dimensions.'
    )
  _check_floating(x, kernel)
  w = window(x.shape[:n], kernel.shape[1:-1], strides, padding)
  dtype = jnp.dtype(preferred_element_type or x.dtype)
  return _convolve(x, kernel, w, dtype, 'shared', _method(method, small=False))


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _convolve(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike, kind: str, method: str
) -> Array:
  """Convolves by a method; see `loop.convolve` for `kind`."""
  if method == 'loop':
    return loop.convolve(x, kernel, w, dtype, kind)
  if kind == 'shared':
    axes = 'DHW'[-len(w.size) :]
    return lax.conv_general_dilated(
      x,
      kernel.astype(x.dtype),
      w.strides,
      w.padding,
      dimension_numbers=(f'{axes}CN', f'O{axes}I', f'{axes}CN'),
      precision=precision(x.dtype),
    ).astype(dtype)
  if kind == 'filters_last':
    kernel = jnp.moveaxis(kernel, -1, len(w.size))
  return batched.convolve(x, kernel, w, dtype)


# On CPU the batched product is faster if positions are few and all patches fit
# into memory that malloc keeps instead of returning it (glibc: 32 MiB), as
# measured by benchmarks/local_conv.py.
_SMALL_POSITIONS = 64
_SMALL_BYTES = 24 * 2**20


def _is_small(x: Array, w: Window) -> bool:
  patches = w.count * math.prod(w.size) * math.prod(x.shape[-2:])
  return w.count <= _SMALL_POSITIONS and 4 * patches <= _SMALL_BYTES


def _method(method: str | None, small: bool) -> str:
  if method is None:
    on_cpu = jax.default_backend() == 'cpu'
    return 'loop' if on_cpu and not small else 'batched'
  if method not in METHODS:
    raise ValueError(f'method={method!r} does not exist; valid: {METHODS}.')
  return method


def _check_floating(x: Array, kernel: Array) -> None:
  for name, a in (('x', x), ('kernel', kernel)):
    if not jnp.issubdtype(a.dtype, jnp.floating) or a.dtype.itemsize < 2:
      raise ValueError(
        f'{name} has dtype {a.dtype}; convert it to float32, bfloat16 or '
        'float16.'
      )
