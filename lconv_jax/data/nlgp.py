"""Draws images whose statistics make the filters of a dense net local.

They come from the non-linear Gaussian process (NLGP) of Ingrosso & Goldt,
Data-driven emergence of convolutional structure in neural networks, PNAS 2022.
A Gaussian field on the torus goes through an error function, which gives sharp
edges, and each class has its own correlation length. This needs no download,
TensorFlow or JAX.
"""

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.special

_RANGE = 1e-15, 1e15  # of lengths and gains, whose squares stay in float32
_CHUNK = 1024  # fields transformed at a time: bounds memory at about 30 MB


def draw(
  num: int,
  xi: Sequence[float],
  gain: float = 3.0,
  size: int | tuple[int, int] = 32,
  channels: int = 1,
  seed: int | Sequence[int] = 0,
) -> tuple[np.ndarray, np.ndarray]:
  """Draws images `erf(gain z / √2)` of stationary Gaussian fields z.

  A field has mean 0, variance 1 and covariance exp(-d²/ξ²) between pixels at
  distance d on the torus, so its distribution is translation-invariant. If ξ is
  larger than about a fifth of a side, this is not a valid covariance on the
  torus, and the valid one with the nearest spectrum is used. Labels are
  shuffled, and the classes' sizes differ by at most 1.

  >>> images, labels = draw(num=4, xi=(1.5, 3.0), size=8)
  >>> images.shape, sorted(labels.tolist())
  ((4, 8, 8, 1), [0, 0, 1, 1])

  Args:
    num: the number of images, at least 1.
    xi: the correlation length of each class in pixels, from 1e-15 to 1e15.
    gain: the steepness of the non-linearity, from 1e-15 to 1e15. Small gains
      give Gaussian images, large ones binary images.
    size: the height and width of an image, one number if they are equal.
      Images of height 1 are signals on a circle.
    channels: the number of channels, each of which is an independent field.
    seed: an argument of `numpy.random.default_rng`. Equal arguments give equal
      images; the global random state is neither read nor changed.

  Returns:
    images: uint8 [num, height, width, channels]; [-1, 1] mapped to 0 ... 255.
    labels: int32 [num]; image n is drawn with ξ = xi[labels[n]].

  Raises:
    ValueError: an argument is outside its range.
  """
  shape = (size, size) if isinstance(size, int) else size
  for name, value in (('num', num), ('size', size), ('channels', channels)):
    if np.min(value) < 1:
      raise ValueError(f'{name}={value} must be at least 1.')
  smallest, largest = _RANGE
  if len(xi) == 0 or not all(smallest <= x <= largest for x in xi):
    raise ValueError(
      f'xi={tuple(xi)} must hold one positive length for each class, from '
      f'{smallest:g} to {largest:g}.'
    )
  if not smallest <= gain <= largest:
    raise ValueError(
      f'gain={gain} must be positive, from {smallest:g} to {largest:g}.'
    )

  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.arange(num, dtype=np.int32) % len(xi))
  images = np.empty((num, *shape, channels), np.uint8)
  step = max(1, _CHUNK // channels)
  for label, length in enumerate(xi):
    amplitude = _amplitude(length, shape)
    members = np.flatnonzero(labels == label)
    for start in range(0, len(members), step):
      chunk = members[start : start + step]
      z = _fields(rng, len(chunk) * channels, amplitude)
      v = scipy.special.erf(np.float32(gain / np.sqrt(2)) * z)
      pixels = np.rint((v + 1) * np.float32(127.5)).astype(np.uint8)
      pixels = pixels.reshape(len(chunk), channels, *shape)
      images[chunk] = np.moveaxis(pixels, 1, -1)
  return images, labels


def _amplitude(xi: float, shape: tuple[int, int]) -> np.ndarray:
  """Returns √(spectrum / pixels) of the covariance, float32 [H, W]."""
  rows, columns = (np.minimum(np.arange(n), n - np.arange(n)) for n in shape)
  covariance = np.exp(-(rows[:, None] ** 2 + columns**2) / xi**2)
  spectrum = scipy.fft.fft2(covariance).real
  # Cutting the Gaussian off at half the image leaves eigenvalues below zero.
  spectrum = np.maximum(spectrum, 0)
  spectrum /= spectrum.mean()  # variance 1 again
  return (np.sqrt(spectrum) / math.sqrt(spectrum.size)).astype(np.float32)


def _fields(
  rng: np.random.Generator, num: int, amplitude: np.ndarray
) -> np.ndarray:
  """Draws fields by circulant embedding, float32 [num, H, W]."""
  # The real and the imaginary part of one transform are independent fields.
  noise = rng.standard_normal(
    ((num + 1) // 2, *amplitude.shape, 2), dtype=np.float32
  )
  noise = noise.view(np.complex64)[..., 0]
  z = scipy.fft.fft2(noise * amplitude, overwrite_x=True)
  return np.concatenate([z.real, z.imag])[:num]
