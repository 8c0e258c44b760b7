"""A measure against its null model, for each filter: z, percentile, effect."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Compared(NamedTuple):
  """A measure of each filter, and what shuffling its pixels makes of it.

  NaN in `value` where there is nothing to measure, as without any weight; in
  the others too where shuffling changes nothing, as for a single pixel.
  """

  value: Float[np.ndarray, ' units']
  null_mean: Float[np.ndarray, ' units']
  # (value - null_mean) / the null's standard deviation.
  z: Float[np.ndarray, ' units']
  # Share of the null that is at least as local, in [0, 1]: that is, no larger,
  # or no smaller where larger means more local.
  percentile: Float[np.ndarray, ' units']

  @property
  def ratio(self) -> Float[np.ndarray, ' units']:
    """The effect: value / null_mean, 1 for filters without any structure.

    Where the null hardly varies, as in a dense filter, z and percentile tell
    that there is some structure, and the ratio that there is little of it.
    """
    return self.value / self.null_mean


def with_draws(
  value: Float[np.ndarray, ' units'],
  null: Float[np.ndarray, 'units draws'],
  tie: float,
  larger_is_local: bool = False,
) -> Compared:
  """Compares with draws from the null.

  Args:
    value: the measure.
    null: the same of shuffled filters; NaN for those not to be compared.
    tie: up to which difference values are the same but for rounding.
    larger_is_local: in which direction percentiles are taken.
  """
  value = value.astype(np.float64)
  varies = np.ptp(null, axis=1) > tie  # False for NaN
  mean = null.mean(axis=1, dtype=float)
  std = null.std(axis=1, dtype=float, ddof=1)
  differences = null - value[:, None]
  if larger_is_local:
    differences = -differences
  percentile = (differences <= tie).mean(axis=1)
  return _compared(value, mean, std, percentile, varies)


def with_distribution(
  value: Float[np.ndarray, ' units'],
  probabilities: Float[np.ndarray, 'units values'],
) -> Compared:
  """Compares with the exact distribution of a whole number.

  Args:
    value: the measure, smaller where a filter is more local.
    probabilities: of 0, 1, ... under the null.
  """
  numbers = np.arange(probabilities.shape[1])
  mean = probabilities @ numbers
  square = (numbers - mean[:, None]) ** 2
  std = np.sqrt(np.einsum('un,un->u', probabilities, square))
  no_larger = numbers <= value[:, None]
  percentile = np.einsum('un,un->u', probabilities, no_larger)
  # A number that has been the same in all but one of 10¹² shuffles.
  varies = probabilities.max(axis=1) < 1 - 1e-12
  return _compared(value, mean, std, percentile, varies)


def without_null(value: Float[np.ndarray, ' units']) -> Compared:
  """Returns a measure that shuffling cannot change."""
  nothing = np.full_like(value, np.nan)
  return Compared(value, nothing, nothing, nothing)


def _compared(
  value: np.ndarray,
  mean: np.ndarray,
  std: np.ndarray,
  percentile: np.ndarray,
  varies: np.ndarray,
) -> Compared:
  mean, std, percentile = (
    np.where(varies, x, np.nan) for x in (mean, std, percentile)
  )
  return Compared(value, mean, (value - mean) / std, percentile)
