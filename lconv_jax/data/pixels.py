"""Order of the pixels: scrambled by one permutation, laid out on a grid."""

import pathlib
import zipfile

import ml_collections
import numpy as np
from jaxtyping import Int, Shaped

from lconv_jax import errors

Order = Int[np.ndarray, ' pixels']


def origin(
  data: ml_collections.ConfigDict, image_shape: tuple[int, ...]
) -> Order | None:
  """Returns where each pixel of a run's images is in the original images.

  Args:
    data: the field `data` of `configs/base.py`.
    image_shape: height, width and channels.

  Returns:
    int64 [H*W], positions in the order of rows; None: pixels keep their places.

  Raises:
    UsageError: the layout cannot be read, or is not one of such images.
  """
  if data.permute < 0 and not data.layout:
    return None
  pixels = image_shape[0] * image_shape[1]
  order = np.arange(pixels)
  if data.permute >= 0:
    order = permutation(data.permute, pixels)
  if data.layout:
    order = order[np.argsort(cells(data, image_shape))]
  return order


def permutation(seed: int, pixels: int) -> Order:
  """Returns the original position of each pixel of scrambled images.

  Args:
    seed: equal seeds give equal permutations on any machine, with any version
      of NumPy.
    pixels: their number.
  """
  return np.random.RandomState(seed).permutation(pixels)  # frozen by NEP 19


def cells(
  data: ml_collections.ConfigDict, image_shape: tuple[int, ...]
) -> Int[np.ndarray, ' pixels']:
  """Reads the cell of a grid that `data.layout` gives to each pixel.

  The file is a .npz that `python -m lconv_jax.geometry` writes: its `cell` has
  the position of each pixel in the order of rows, and its `permute` the seed
  that had scrambled the pixels.

  Args:
    data: the field `data` of `configs/base.py`.
    image_shape: height, width and channels.

  Raises:
    UsageError: the file cannot be read, does not fill a grid of this size, or
      is of pixels that were scrambled otherwise.
  """
  path, (height, width) = data.layout, image_shape[:2]
  try:
    with np.load(pathlib.Path(path).expanduser()) as arrays:
      cell, seed = arrays['cell'], int(arrays['permute'])
  except (OSError, KeyError, ValueError, zipfile.BadZipFile) as e:
    raise errors.UsageError(
      f'data.layout={path} cannot be read ({errors.one_line(e)}); give a '
      'geometry.npz that python -m lconv_jax.geometry wrote.'
    ) from e
  if not np.array_equal(np.sort(cell, axis=None), np.arange(height * width)):
    raise errors.UsageError(
      f'data.layout={path} does not give each of {height} x {width} pixels a '
      'cell of its own; give the layout of a run on images of this size.'
    )
  if seed != data.permute:
    raise errors.UsageError(
      f'data.layout={path} is of pixels in the order of data.permute={seed}, '
      f'not {data.permute}; set data.permute={seed}.'
    )
  return cell.ravel().astype(np.int64)


def put_back(
  images: Shaped[np.ndarray, 'n h w c'], origin: Order | None
) -> Shaped[np.ndarray, 'n h w c']:
  """Returns images, or filters, in whose grid each pixel is where it was.

  Args:
    images: as `rearrange` has left them.
    origin: what the function `origin` returned.
  """
  return images if origin is None else rearrange(images, np.argsort(origin))


def rearrange(
  images: Shaped[np.ndarray, 'n h w c'], order: Order
) -> Shaped[np.ndarray, 'n h w c']:
  """Returns images whose pixel p is the pixel order[p] of the given images."""
  flat = images.reshape(len(images), len(order), images.shape[-1])
  return np.take(flat, order, axis=1).reshape(images.shape)
