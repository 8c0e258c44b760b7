"""Locality of a layer as flat metrics of a run."""

import math

import numpy as np
from jaxtyping import Int, Real

from lconv_jax.locality import layer, null
from lconv_jax.locality.filters import from_kernel
from lconv_jax.locality.sharing import PAIRS

# During training only this many filters, always the same, and this many pairs
# are measured, so that a wide layer does not keep the devices waiting.
LOGGED = 1000
_LOGGED_PAIRS = 200
# No more pairs than this are compared with the null, even at a run's end, which
# would otherwise take longer than the training of a small net.
_COMPARED = 200
_DRAWS = null.DRAWS  # shuffles of each filter


def sample(units: int) -> Int[np.ndarray, ' units']:
  """Returns the units whose filters are logged, in ascending order."""
  rng = np.random.default_rng(0)
  return np.sort(rng.permutation(units)[:LOGGED])


def metrics(
  kernel: Real[np.ndarray, 'inputs units'],
  image_shape: tuple[int, int, int],
  quick: bool = False,
  periodic: bool = False,
) -> dict[str, int | float]:
  """Returns the `Summary` of a dense first layer as names and numbers.

  Numbers that are NaN, such as medians of no filters, are left out, as JSON
  cannot hold them.

  Args:
    kernel: [H*W*C, units].
    image_shape: (H, W, C).
    quick: whether to take fewer pairs of filters.
    periodic: whether images continue at the opposite border.
  """
  filters = from_kernel(kernel, image_shape)
  found = layer.summary(
    layer.measure(filters, _DRAWS, periodic=periodic),
    layer.measure_pairs(
      filters,
      pairs=_LOGGED_PAIRS if quick else PAIRS,
      compared=_COMPARED,
      periodic=periodic,
    ),
    layer.min_nonzero(filters),
  )
  return {k: v for k, v in flat(found).items() if not math.isnan(v)}


def flat(summary: layer.Summary) -> dict[str, int | float]:
  """Returns a summary's numbers: 'spread', 'spread_ratio', 'spread_z', ..."""
  result = {}
  for name, value in summary._asdict().items():
    if isinstance(value, layer.Typical):
      result |= {
        name if k == 'value' else f'{name}_{k}': v
        for k, v in value._asdict().items()
      }
    else:
      result[name] = value
  return result
