"""Filters of a dense layer, and the distribution of their energy."""

import numpy as np
from jaxtyping import Float, Real


def from_kernel(
  kernel: Real[np.ndarray, '...'], image_shape: tuple[int, int, int]
) -> Real[np.ndarray, 'units height width channels']:
  """Returns the filters of a dense layer that sees a flattened image.

  `models.embed.dense` makes such a layer's kernel of CONV and LOCAL kernels.

  Args:
    kernel: [H*W*C, units], the input flattened in the order H, W, C.
    image_shape: (H, W, C).

  Returns:
    [units, H, W, C], of the kernel's dtype; a view.

  Raises:
    ValueError: the kernel is not that of a dense layer on such images.
  """
  if kernel.ndim != 2 or len(kernel) != np.prod(image_shape):
    raise ValueError(
      f'A kernel of shape {kernel.shape} is not that of a dense layer on '
      f'images of shape {tuple(image_shape)}, which is '
      f'[{np.prod(image_shape)}, units].'
    )
  return kernel.T.reshape(-1, *image_shape)


def energy(
  filters: Real[np.ndarray, 'units height width channels'],
) -> Float[np.ndarray, 'units height width']:
  """Returns each pixel's share of its filter's energy.

  A pixel's energy is the sum over channels of its squared weights.

  Args:
    filters: [units, H, W, C], of any real dtype.

  Returns:
    [units, H, W] float64 with sum 1; NaN for filters whose weights are all zero
    or not all finite.
  """
  # einsum keeps the order of the kernel's memory, in which units are last.
  energies = np.einsum('uhwc,uhwc->uhw', filters, filters, dtype=np.float64)
  total = energies.sum(axis=(1, 2), keepdims=True)
  alive = np.isfinite(total) & (total > 0)
  shares = np.full_like(energies, np.nan)
  return np.divide(energies, total, out=shares, where=alive)
