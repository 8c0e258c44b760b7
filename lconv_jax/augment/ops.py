"""Pillow's image operations on one image of uint8 [h, w, 3].

Results are bit-identical to those of the named functions of Pillow on an RGB
image, on any backend, and under `jit`, `vmap` and `scan`, as
tests/augment/test_augment_ops.py shows for Pillow 9.5 to 13.0 (x86-64).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer, UInt8

Image = UInt8[Array, 'h w 3']
Scalar = Float[Array, '']

_GREY = (125, 123, 114)  # of Cutout, in Lim et al.'s code


def transform(image: Image, matrix: Integer[Array, '6']) -> Image:
  """`Image.transform(size, AFFINE, ...)`: nearest pixel, black outside."""
  height, width, _ = image.shape
  y, x = jnp.arange(height)[:, None], jnp.arange(width)
  a, b, c, d, e, f = matrix
  column, row = (a * x + b * y + c) >> 16, (d * x + e * y + f) >> 16
  inside = (0 <= column) & (column < width) & (0 <= row) & (row < height)
  pixels = image.reshape(-1, 3)
  found = pixels.at[jnp.where(inside, row * width + column, 0)].get(
    mode='promise_in_bounds'
  )
  return jnp.where(inside[..., None], found, jnp.uint8(0))


def invert(image: Image) -> Image:
  """`ImageOps.invert`."""
  return 255 - image


def solarize(image: Image, threshold: Scalar) -> Image:
  """`ImageOps.solarize`: inverts what is not below the threshold."""
  return jnp.where(image < threshold, image, 255 - image)


def posterize(image: Image, bits: Scalar) -> Image:
  """`ImageOps.posterize(image, int(bits))`: keeps the 1 to 8 highest bits."""
  dropped = 8 - bits.astype(jnp.uint8)
  return image >> dropped << dropped


def auto_contrast(image: Image) -> Image:
  """`ImageOps.autocontrast`: each channel's range becomes 0 to 255."""
  lo = image.min((0, 1)).astype(jnp.int32)[:, None]
  hi = image.max((0, 1)).astype(jnp.int32)[:, None]
  i = jnp.arange(256, dtype=jnp.int32)
  exact = lax.div((i - lo) * 255, jnp.maximum(hi - lo, 1))
  below = jnp.asarray(_rounded_below())[lo[:, 0], hi[:, 0]]  # [3, 32] of bits
  below = (below[..., None] >> jnp.arange(8, dtype=jnp.uint8) & 1).reshape(
    3, -1
  )
  table = jnp.where(hi > lo, jnp.clip(exact - below, 0, 255), i)
  return _point(image, table)


def equalize(image: Image) -> Image:
  """`ImageOps.equalize`: flattens each channel's histogram."""
  height, width, _ = image.shape
  offset = 256 * jnp.arange(3)
  count = jnp.zeros(3 * 256, jnp.int32).at[image + offset].add(1)
  count = count.reshape(3, 256)
  brightest = jnp.take_along_axis(
    count, image.max((0, 1)).astype(jnp.int32)[:, None], axis=1
  )
  step = (height * width - brightest) // 255
  below = jnp.cumsum(count, axis=1) - count
  table = lax.div(step // 2 + below, jnp.maximum(step, 1))
  table = jnp.where(step > 0, jnp.minimum(table, 255), jnp.arange(256))
  return _point(image, table)


def color(image: Image, factor: Scalar) -> Image:
  """`ImageEnhance.Color`: 0 is grey, 1 the image."""
  return _blend(_grey(image)[..., None], image, factor)


def contrast(image: Image, factor: Scalar) -> Image:
  """`ImageEnhance.Contrast`: 0 is the mean grey, 1 the image."""
  count = image.shape[0] * image.shape[1]
  mean = (2 * _grey(image).sum() + count) // (2 * count)  # halves rounded up
  return _blend(mean, image, factor)


def brightness(image: Image, factor: Scalar) -> Image:
  """`ImageEnhance.Brightness`: 0 is black, 1 the image."""
  return _blend(jnp.int32(0), image, factor)


def sharpness(image: Image, factor: Scalar) -> Image:
  """`ImageEnhance.Sharpness`: 0 is smooth but for the border, 1 the image."""
  height, width, _ = image.shape
  if height < 3 or width < 3:
    return image
  x = image.astype(jnp.int32)
  centre = x[1:-1, 1:-1]
  rows = x[:-2] + x[1:-1] + x[2:]
  total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * centre
  smooth = (2 * total + 13) // 26  # total / 13, halves rounded up
  sharp = _blend(smooth, centre, factor)
  return lax.dynamic_update_slice(image, sharp, (1, 1, 0))


def cutout(image: Image, box: Integer[Array, '4']) -> Image:
  """`ImageDraw.rectangle(box, (125, 123, 114))`.

  Args:
    image: the image.
    box: x0, y0, x1, y1, both ends included; nothing is drawn if x1 < x0.
  """
  height, width, _ = image.shape
  y, x = jnp.arange(height)[:, None], jnp.arange(width)
  inside = (box[0] <= x) & (x <= box[2]) & (box[1] <= y) & (y <= box[3])
  return jnp.where(inside[..., None], jnp.uint8(_GREY), image)


def _grey(image: Image) -> Integer[Array, 'h w']:
  """`Image.convert('L')`: ITU-R 601-2 luma in units of 2^-16, rounded."""
  r, g, b = jnp.moveaxis(image.astype(jnp.int32), -1, 0)
  return (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16


def _blend(
  start: Integer[Array, '...'], image: Integer[Array, '...'], factor: Scalar
) -> UInt8[Array, '...']:
  """`Image.blend(start, image, factor)`."""
  # In C the product is rounded to float32 before it is added. A compiler would
  # fuse it with an addition, so what is added first is a zero unknown to it.
  zero = jnp.minimum(jnp.abs(factor), 0)
  step = factor * (image.astype(jnp.int32) - start).astype(jnp.float32) + zero
  return jnp.clip(start.astype(jnp.float32) + step, 0, 255).astype(jnp.uint8)


def _point(image: Image, table: Integer[Array, '3 256']) -> Image:
  """`Image.point(table)`."""
  look_up = jax.vmap(
    lambda t, x: t.at[x].get(mode='promise_in_bounds'), (0, -1), -1
  )
  return look_up(table.astype(jnp.uint8), image)


@functools.cache
def _rounded_below() -> np.ndarray:
  """Finds where Pillow's table for AutoContrast is one below the exact value.

  Pillow computes int(i * scale + offset) in float64, with scale = 255 / (hi -
  lo) and offset = -lo * scale. If (i - lo) * 255 / (hi - lo) is a whole number,
  the result may lie just below it, which is the case 12,094 times.

  Returns:
    Bits, uint8 [256, 256, 32]: bit i of entry [lo, hi].
  """
  i, below = np.arange(256), np.zeros((256, 256, 256), bool)
  for lo in range(255):
    hi = np.arange(lo + 1, 256)[:, None]
    scale = 255.0 / (hi - lo)
    pillow = (i * scale + -lo * scale).astype(int)
    seen = (lo <= i) & (i <= hi)
    below[lo, lo + 1 :] = seen & (pillow < (i - lo) * 255 // (hi - lo))
  return np.packbits(below, axis=-1, bitorder='little')
