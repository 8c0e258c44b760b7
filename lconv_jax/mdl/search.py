"""Search for the setting with the smallest bound."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lconv_jax.mdl import alphabet
from lconv_jax.mdl.shared import share
from lconv_jax.models.fold import NORMALISE, Folded, without_dead


class Setting(NamedTuple):
  """Setting by which a net is made coarse."""

  pruned: float = 0.0  # share of the non-zero kernel weights, the smallest ones
  kernels: int = 8  # values that all kernels share
  biases: int = 16  # values that the biases of a layer share
  b: int = 12  # bits of a value


# The values that are tried.
CHOICES = Setting(
  pruned=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
  kernels=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128),
  biases=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128),
  b=(6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 24),
)

# (net with quantised kernels, (layer, bias) -> bias to use) -> net
Correct = Callable[[Folded, Callable[[str, np.ndarray], np.ndarray]], Folded]


def coarse(
  folded: Folded, chain: Sequence[str], setting: Setting, correct: Correct
) -> Folded:
  """Returns a net with few values, whose biases make up for lost weights.

  Args:
    folded: a net from `balance`.
    chain: as in `balance`.
    setting: how coarse the net becomes.
    correct: returns the net with new biases. In the order of the layers, each
      bias is such that the layer's outputs have the means that they had in the
      whole net, and is then passed through the given function.

  Raises:
    UsageError: a weight is not finite.
  """
  layers = [name for name in folded if name != NORMALISE]
  result = {name: dict(leaves) for name, leaves in folded.items()}
  sizes = [np.abs(folded[name]['kernel']) for name in layers]
  if setting.pruned:
    nonzero = np.concatenate([size[size > 0] for size in sizes])
    least = np.quantile(nonzero, setting.pruned) if len(nonzero) else 0
    for name, size in zip(layers, sizes, strict=True):
      result[name]['kernel'] = np.where(size < least, 0, folded[name]['kernel'])
  result, left = without_dead(result, chain)
  kernels = [result[name]['kernel'] for name in layers]
  shared = share(kernels, setting.kernels, setting.b)
  for name, kernel in zip(layers, shared, strict=True):
    result[name]['kernel'] = kernel
  result[NORMALISE] = {
    name: alphabet.nearest(values, setting.b)
    for name, values in folded[NORMALISE].items()
  }

  def few(layer: str, bias: np.ndarray) -> np.ndarray:
    bias = np.where(left.get(layer, True), bias, 0)  # of dead channels
    (bias,) = share([bias], setting.biases, setting.b)
    return bias.astype(np.float32)

  return correct(result, few)


def smallest(cost: Callable[[Setting], float], start: Setting) -> Setting:
  """Returns a setting that no single step along `CHOICES` makes cheaper."""
  known = {}

  def at(setting: Setting) -> float:
    if setting not in known:
      known[setting] = cost(setting)
    return known[setting]

  best = start
  while True:
    before = best
    for field, choices in CHOICES._asdict().items():
      for step in (1, -1, 2, -2):
        # Further in this direction, as long as it is cheaper.
        while True:
          i = choices.index(getattr(best, field)) + step
          if not 0 <= i < len(choices):
            break
          other = best._replace(**{field: choices[i]})
          if at(other) >= at(best):
            break
          best = other
    if best == before:
      return best
