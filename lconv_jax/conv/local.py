"""Locally connected layer: a convolution without weight sharing.

`local_conv` is the function, `LocalConv` the Linen module that can replace
`flax.linen.ConvLocal`; `lconv_jax.conv.nnx` has the same layer for `flax.nnx`.
All take images of one, two or three dimensions with channels last; a chain of
such layers avoids transposes if it uses `lconv_jax.conv.batch_minor` instead.

  >>> import jax, jax.numpy as jnp
  >>> x = jnp.ones((8, 32, 32, 3))
  >>> kernel = jnp.ones((16, 16, 9, 9, 3, 4))
  >>> local_conv(x, kernel, strides=2).shape
  (8, 16, 16, 4)
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key, Num

from lconv_jax.conv import batch_minor, windows


def local_conv(
  x: Num[Array, 'b *spatial cin'],
  kernel: Num[Array, '*positions_and_window kernel_cin cout'],
  strides: windows.Strides = 1,
  padding: windows.Padding = 'SAME',
  preferred_element_type: DTypeLike | None = None,
  method: str | None = None,
) -> Float[Array, 'b *positions cout']:
  """Convolves with weights of its own at every position.

  If all positions have the same weights, the result equals that of
  `lax.conv_general_dilated`. Sums are taken in float32; gradients have the
  dtypes of `x` and `kernel`, and their products have inputs of x's dtype.

  Derivatives are reverse-mode, of any order; `jax.jvp` raises a TypeError. Take
  `jax.jacrev` for `jax.jacfwd`, `jax.jacrev(jax.grad(f))` for `jax.hessian`,
  and for the derivative along v the transpose of the reverse-mode derivative::

    y, vjp = jax.vjp(f, x)
    (dy,) = jax.vjp(lambda ct: vjp(ct)[0], jnp.zeros_like(y))[1](v)

  Args:
    x: [B, H, W, Cin], [B, W, Cin] or [B, D, H, W, Cin], float32, bfloat16 or
      float16: the dtype of the products.
    kernel: [Ho, Wo, Kh, Kw, Cin, Cout], and for other images as many positions
      and sizes as they have dimensions, rounded to x's dtype.
    strides: pixels, a number or one for each spatial dimension.
    padding: 'SAME', 'VALID', 'SAME_LOWER', a number of zeros around the image,
      or a number or (before, after) for each spatial dimension.
    preferred_element_type: of the result; x's dtype by default.
    method: see `batch_minor.local_conv`.

  Returns:
    [B, Ho, Wo, Cout] or [B, Wo, Cout].

  Raises:
    ValueError: shapes do not fit, or a dtype is not a floating-point one.
  """
  n = x.ndim - 2
  if n < 1 or kernel.ndim != 2 * n + 2:
    raise ValueError(
      f'x of shape {x.shape} must be [B, H, W, Cin] or [B, W, Cin], and kernel '
      f'of shape {kernel.shape} [Ho, Wo, Kh, Kw, Cin, Cout] or '
      '[Wo, Kw, Cin, Cout].'
    )
  w = windows.window(x.shape[1:-1], kernel.shape[n:-2], strides, padding)
  windows.check_fit(x, kernel, w, (x.shape[-1], kernel.shape[-2]))
  return _channels_last(x, kernel, w, preferred_element_type, method)


@partial(jax.jit, static_argnums=(2, 3, 4))
def _channels_last(
  x: Array,
  kernel: Array,
  w: windows.Window,
  preferred_element_type: DTypeLike | None,
  method: str | None,
) -> Array:
  y = batch_minor.local_conv(
    jnp.moveaxis(x, 0, -1),
    kernel,
    w.strides,
    w.padding,
    preferred_element_type,
    method,
    filters_last=True,
  )
  return jnp.moveaxis(y, -1, 0)


class LocalConv(nn.Module):
  """Locally connected layer in place of `flax.linen.ConvLocal`.

  It has the same fields, except for dilation, groups, mask and `precision`:
  float32 is multiplied as float32. The kernel is [*positions, *kernel_size,
  Cin, features]; `from_conv_local` converts flax's. The bias is the same.
  Derivatives are reverse-mode; `local_conv` says what to do without `jax.jvp`.

  Attributes:
    features: number of filters at every position.
    kernel_size: pixels; a sequence has one number for each spatial dimension.
    strides: pixels, a number or one for each spatial dimension.
    padding: see `local_conv`; or 'CIRCULAR', 'REFLECT', and for one dimension
      'CAUSAL', as in flax.
    use_bias: whether there is a bias [*positions, features].
    dtype: of the products and the result; None: the one to which input and
      parameters are promoted.
    param_dtype: of kernel and bias.
    kernel_init: draws the kernel of each position as that of a convolution, so
      that the fan-in is window times Cin.
    bias_init: draws the bias.
  """

  features: int
  kernel_size: int | Sequence[int]
  strides: windows.Strides | None = 1
  padding: windows.Padding = 'SAME'
  _: dataclasses.KW_ONLY
  use_bias: bool = True
  dtype: DTypeLike | None = None
  param_dtype: DTypeLike = jnp.float32
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
  bias_init: nn.initializers.Initializer = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: Float[Array, '...']) -> Float[Array, '...']:
    """Returns [..., *positions, features] of x [..., *spatial, Cin]."""
    size = self.kernel_size
    size = (size,) if isinstance(size, int) else tuple(size)
    batch, image = x.shape[: -len(size) - 1], x.shape[-len(size) - 1 :]
    if len(image) <= len(size):
      raise ValueError(
        f'x of shape {x.shape} must be [..., *spatial, Cin] with a spatial '
        f'dimension for each one of kernel_size={size}.'
      )
    x, padding = x.reshape(math.prod(batch), *image), self.padding
    strides = 1 if self.strides is None else self.strides
    if isinstance(padding, str):
      windows.check_name(padding, (*windows.NAMES, *_MODES))
      if (name := padding.upper()) in _MODES:
        x, padding = jnp.pad(x, **_borders(name, size)), 'VALID'
    w = windows.window(x.shape[1:-1], size, strides, padding)
    kernel = self.param(
      'kernel',
      per_position(self.kernel_init, len(size)),
      (*w.positions, *size, image[-1], self.features),
      self.param_dtype,
    )
    bias = None
    if self.use_bias:
      shape = (*w.positions, self.features)
      bias = self.param('bias', self.bias_init, shape, self.param_dtype)
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    y = local_conv(x, kernel, w.strides, w.padding)
    y = y.reshape(*batch, *y.shape[1:])
    return y if bias is None else y + bias


# Borders that are not zeros on all sides, by jnp.pad's names.
_MODES = {'CIRCULAR': 'wrap', 'REFLECT': 'reflect', 'CAUSAL': 'constant'}


def _borders(padding: str, size: Sequence[int]) -> dict[str, Any]:
  """Returns the arguments of jnp.pad for [B, *spatial, Cin]."""
  if padding == 'CAUSAL':
    if len(size) != 1:
      raise ValueError(
        f'CAUSAL padding is for one spatial dimension, not kernel_size={size}.'
      )
    widths = [(size[0] - 1, 0)]
  else:
    widths = [((k - 1) // 2, k // 2) for k in size]
  return {'pad_width': [(0, 0), *widths, (0, 0)], 'mode': _MODES[padding]}


def per_position(
  init: nn.initializers.Initializer, spatial_dims: int
) -> nn.initializers.Initializer:
  """Returns an initializer that draws for each position separately.

  Initializers count all leading axes of a kernel in the fan-in. If positions
  are among them, as in flax's ConvLocal, a layer's weights start √positions too
  small. Batch norm hides the scale, but β-LASSO's threshold does not.

  Args:
    init: draws the kernel of one position.
    spatial_dims: how many leading axes are positions.
  """

  def draw(
    key: Key[Array, ''], shape: Sequence[int], dtype: DTypeLike = jnp.float32
  ) -> Array | nn.meta.AxisMetadata:
    positions, kernel = shape[:spatial_dims], shape[spatial_dims:]
    keys = jax.random.split(key, math.prod(positions))
    kernels = jax.vmap(lambda k: init(k, kernel, dtype))(keys)
    # flax's `with_partitioning` puts the array into a box, which is a tree.
    return jax.tree.map(lambda k: k.reshape(shape), kernels)

  return draw


def from_conv_local(
  params: Mapping[str, Array], kernel_size: int | Sequence[int]
) -> dict[str, Array]:
  """Converts the parameters of a flax `ConvLocal` for `LocalConv`.

  Args:
    params: {'kernel': [*positions, Cin · window, features]}, and perhaps a
      'bias', which has the same shape in both.
    kernel_size: as given to both layers.

  Raises:
    ValueError: the kernel does not belong to such a window.
  """
  size = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
  kernel, n = params['kernel'], len(size)
  if kernel.ndim != n + 2 or kernel.shape[-2] % math.prod(size):
    raise ValueError(
      f'The kernel has shape {kernel.shape}, but that of a ConvLocal with '
      f'kernel_size={size} is [*positions, Cin · window, features].'
    )
  positions, features = kernel.shape[:n], kernel.shape[-1]
  channels = kernel.shape[-2] // math.prod(size)
  kernel = kernel.reshape(*positions, channels, *size, features)
  return {**params, 'kernel': jnp.moveaxis(kernel, n, -2)}
