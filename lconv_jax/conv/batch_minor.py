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

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Num

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
  """Convolves by a method; see `_loop` for `kind`."""
  if method == 'loop':
    return _loop(x, kernel, w, dtype, kind)
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
  return _batched(x, kernel, w, dtype)


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
    loop = jax.default_backend() == 'cpu' and not small
    return 'loop' if loop else 'batched'
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


def _einsum(equation: str, a: Array, b: Array) -> Array:
  return jnp.einsum(
    equation,
    a,
    b,
    precision=precision(a.dtype),
    preferred_element_type=_wide(a.dtype),
  )


def _wide(dtype: DTypeLike) -> DTypeLike:
  """Returns the dtype of sums: float64 for float64, else float32."""
  return jnp.promote_types(dtype, jnp.float32)


def _pad(x: Array, w: Window) -> Array:
  return jnp.pad(x, (*w.padding, (0, 0), (0, 0)))


def _crop(x: Array, w: Window) -> Array:
  """Undoes `_pad`."""
  for axis, (before, after) in enumerate(w.padding):
    x = lax.slice_in_dim(x, before, x.shape[axis] - after, axis=axis)
  return x


# With two positions per iteration XLA runs independent products on two cores;
# those of a single position are too small to be divided.
_UNROLL = 2


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _loop(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike, kind: str
) -> Array:
  """Multiplies position by position, with one patch at a time in memory.

  The kernel is 'shared', or there is one for every position, 'filters_first' or
  'filters_last': that is its `kind`.
  """
  padded, weights = _pad(x, w), _matrices(kernel, x.dtype, kind)
  cout = weights.shape[-1 if kind == 'filters_last' else -2]

  def body(p: Array, y: Array) -> Array:
    patch = _matrix(lax.dynamic_slice(padded, *_place(p, padded, w)))
    y_p = _einsum('ok,kb->ob', _weights_at(weights, p, kind), patch)
    return lax.dynamic_update_index_in_dim(y, y_p.astype(dtype), p, 0)

  y = jnp.zeros((w.count, cout, x.shape[-1]), dtype)
  y = lax.fori_loop(0, w.count, body, y, unroll=_UNROLL)
  return y.reshape(*w.positions, *y.shape[1:])


def _loop_fwd(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike, kind: str
) -> tuple[Array, tuple[Array, Array]]:
  return _loop(x, kernel, w, dtype, kind), (x, kernel)


def _loop_bwd(
  w: Window,
  dtype: DTypeLike,
  kind: str,
  residuals: tuple[Array, Array],
  dy: Array,
) -> tuple[Array, Array]:
  x, kernel = residuals
  padded, weights = _pad(x, w), _matrices(kernel, x.dtype, kind)
  dy = dy.astype(x.dtype).reshape(w.count, *dy.shape[-2:])

  def body(p: Array, grads: tuple[Array, Array]) -> tuple[Array, Array]:
    dx, dw = grads
    start, size = _place(p, padded, w)
    patch = _matrix(lax.dynamic_slice(padded, start, size))
    dw_p = _einsum('ob,kb->ok', dy[p], patch)
    if kind == 'shared':
      dw += dw_p
    else:
      if kind == 'filters_last':
        dw_p = lax.optimization_barrier(dw_p).T
      dw = lax.dynamic_update_index_in_dim(dw, dw_p, p, 0)
    dpatch = _einsum('ok,ob->kb', _weights_at(weights, p, kind), dy[p])
    dpatch = dpatch.reshape(size) + lax.dynamic_slice(dx, start, size)
    return lax.dynamic_update_slice(dx, dpatch, start), dw

  # In a first layer dx is not used, and XLA removes it from the loop.
  wide = _wide(x.dtype)
  zeros = jnp.zeros(padded.shape, wide), jnp.zeros(weights.shape, wide)
  dx, dw = lax.fori_loop(0, w.count, body, zeros, unroll=_UNROLL)
  return (
    _crop(dx, w).astype(x.dtype),
    dw.reshape(kernel.shape).astype(kernel.dtype),
  )


_loop.defvjp(_loop_fwd, _loop_bwd)


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


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _batched(x: Array, kernel: Array, w: Window, dtype: DTypeLike) -> Array:
  """Writes all patches to memory, and multiplies all positions at once."""
  weights = _matrices(kernel, x.dtype, 'filters_first')
  y = _einsum('pok,pkb->pob', weights, _patches(x, w)).astype(dtype)
  return y.reshape(*w.positions, *y.shape[-2:])


def _batched_fwd(
  x: Array, kernel: Array, w: Window, dtype: DTypeLike
) -> tuple[Array, tuple[Array, Array]]:
  return _batched(x, kernel, w, dtype), (x, kernel)


def _batched_bwd(
  w: Window,
  dtype: DTypeLike,
  residuals: tuple[Array, Array],
  dy: Array,
) -> tuple[Array, Array]:
  x, kernel = residuals
  weights = _matrices(kernel, x.dtype, 'filters_first')
  dy = dy.astype(x.dtype).reshape(w.count, *dy.shape[-2:])
  # Cutting the patches once more costs less than keeping them.
  dw = _einsum('pob,pkb->pok', dy, _patches(x, w))
  dpatches = _einsum('pok,pob->pkb', weights, dy).astype(x.dtype)
  # Patches of 16 bits halve the traffic; a pixel's sum over them is in float32.
  wide = _wide(x.dtype)
  cut = jax.linear_transpose(
    partial(_patches, w=w), jax.ShapeDtypeStruct(x.shape, wide)
  )
  (dx,) = cut(dpatches.astype(wide))
  return dx.astype(x.dtype), dw.reshape(kernel.shape).astype(kernel.dtype)


_batched.defvjp(_batched_fwd, _batched_bwd)


def _patches(x: Array, w: Window) -> Array:
  """Returns [positions, K, B], K in the order of window and channels."""
  padded = _pad(x, w)
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
