"""Windows that move over an image: size, strides, padding and positions."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

# str: one of `NAMES`; int: zeros on every side; or one int or
# (before, after) pair for each spatial dimension.
NAMES = 'SAME', 'VALID', 'SAME_LOWER'
Padding = str | int | Sequence[int | Sequence[int]]
Strides = int | Sequence[int]


class Window(NamedTuple):
  """Movement of a window over an image; an entry for each dimension."""

  size: tuple[int, ...]  # pixels
  strides: tuple[int, ...]  # pixels
  padding: tuple[tuple[int, int], ...]  # zeros before and after
  positions: tuple[int, ...]  # of the window, that is, the output's shape

  @property
  def count(self) -> int:
    """Number of positions."""
    return math.prod(self.positions)

  def pad(self, x: Array) -> Array:
    """Returns images [*spatial, C, B] with zeros around."""
    return jnp.pad(x, (*self.padding, (0, 0), (0, 0)))

  def crop(self, x: Array) -> Array:
    """Undoes `pad`."""
    for axis, (before, after) in enumerate(self.padding):
      x = lax.slice_in_dim(x, before, x.shape[axis] - after, axis=axis)
    return x


def window(
  spatial: Sequence[int],
  size: Sequence[int],
  strides: Strides = 1,
  padding: Padding = 'SAME',
) -> Window:
  """Returns how a window of some size moves over an image.

  Args:
    spatial: the image's shape without channels.
    size: the window's shape.
    strides: one for all dimensions, or one for each.
    padding: see `Padding`; strings as in `lax.conv`.

  Raises:
    ValueError: strides or padding do not suit such an image, or the window
      does not fit into it.
  """
  spatial, size = tuple(spatial), tuple(size)
  n = len(spatial)
  strides = (strides,) * n if isinstance(strides, int) else tuple(strides)
  if len(strides) != n or min(strides) < 1:
    raise ValueError(
      f'strides={strides} must be {n} positive numbers, one for each dimension '
      f'of an image of shape {spatial}.'
    )
  if isinstance(padding, str):
    check_name(padding, NAMES)
    padding = lax.padtype_to_pads(spatial, size, strides, padding.upper())
  elif isinstance(padding, int):
    padding = (padding,) * n
  pads = tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)
  if len(pads) != n or any(len(p) != 2 or min(p) < 0 for p in pads):
    raise ValueError(
      f'padding={pads} must be {n} pairs (before, after), none negative, one '
      f'for each dimension of an image of shape {spatial}.'
    )
  positions = tuple(
    (s + sum(p) - k) // stride + 1
    for s, p, k, stride in zip(spatial, pads, size, strides, strict=True)
  )
  if min(size) < 1 or min(positions) < 1:
    raise ValueError(
      f'A window of shape {size} does not fit into an image of shape {spatial} '
      f'with padding {pads}.'
    )
  return Window(size, strides, pads, positions)


def sides(image: Sequence[int], size: int) -> tuple[int, int]:
  """Returns height and width of a square window of some size.

  On signals, which are images of height 1, the window is one row of the square.

  Args:
    image: height and width of the images that a net sees. The image of a later
      layer may have shrunk to height 1 and is not a signal for that.
    size: pixels.
  """
  return (size if image[0] > 1 else 1), size


def check_name(padding: str, names: Sequence[str]) -> None:
  """Raises a ValueError if a padding is not among `names`, in any case."""
  if padding.upper() not in names:
    raise ValueError(
      f'padding={padding!r} does not exist; valid: {", ".join(names)}, a '
      'number, or a number or pair for each spatial dimension.'
    )


def check_fit(
  x: Array, kernel: Array, w: Window, channels: tuple[int, int]
) -> None:
  """Raises a ValueError for a kernel of other positions or channels.

  Args:
    x: the image; only its shape is used.
    kernel: its leading axes are the positions.
    w: how the window moves over the image.
    channels: of the image, and of the kernel's input.
  """
  positions = kernel.shape[: len(w.positions)]
  if positions != w.positions or channels[0] != channels[1]:
    raise ValueError(
      f'kernel of shape {kernel.shape} has weights for positions {positions} '
      f'and {channels[1]} channels, but x of shape {x.shape} with strides '
      f'{w.strides} and padding {w.padding} has positions {w.positions} and '
      f'{channels[0]} channels.'
    )
