"""A layer's locality as flat metrics of a run."""

import math

import numpy as np
from jaxtyping import Int, Real

from lconv_jax.locality import layer
from lconv_jax.locality.filters import from_kernel
from lconv_jax.locality.sharing import PAIRS

# What is logged while a run goes on is of this many filters, always the same,
# and of fewer pairs, so that a wide layer does not keep the devices waiting.
LOGGED = 1000
_LOGGED_PAIRS = 200
# At a run's end too, no more of them than this are compared with the null: in
# a grid of small nets the end of each would take longer than its training.
_COMPARED = 200


def sample(units: int) -> Int[np.ndarray, ' units']:
  """Returns the units of a layer whose filters are logged, in order."""
  rng = np.random.default_rng(0)
  return np.sort(rng.permutation(units)[:LOGGED])


def metrics(
  kernel: Real[np.ndarray, 'inputs units'],
  image_shape: tuple[int, int, int],
  quick: bool = False,
) -> dict[str, int | float]:
  """Returns the `Summary` of a dense first layer as names and numbers.

  Args:
    kernel: [H*W*C, units].
    image_shape: (H, W, C).
    quick: with fewer pairs of filters.

  Returns:
    Without what is NaN, such as medians where no filter is counted; in JSON
    there is no such number.
  """
  filters = from_kernel(kernel, image_shape)
  found = layer.summary(
    layer.measure(filters),
    layer.measure_pairs(
      filters, pairs=_LOGGED_PAIRS if quick else PAIRS, compared=_COMPARED
    ),
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
