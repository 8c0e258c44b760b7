"""Comparison of a measure with its null model: z, percentile and effect."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Compared(NamedTuple):
  """Measure of each filter, compared with filters of shuffled pixels.

  All fields are NaN where there is nothing to measure, as without any weight.
  All but `value` are NaN if shuffling changes nothing, as for a single pixel.
  """

  value: Float[np.ndarray, ' units']
  null_mean: Float[np.ndarray, ' units']
  # (value - null_mean) / the null's standard deviation.
  z: Float[np.ndarray, ' units']
  # Share of the null that is at least as local, in [0, 1]: values that are not
  # larger, or not smaller if larger means more local.
  percentile: Float[np.ndarray, ' units']

  @property
  def ratio(self) -> Float[np.ndarray, ' units']:
    """Size of the effect: value / null_mean, 1 for filters without structure.

    The null of a dense filter hardly varies. Then z and percentile can say that
    there is some structure while the ratio says that there is little.
    """
    return self.value / self.null_mean


def with_draws(
  value: Float[np.ndarray, ' units'],
  null: Float[np.ndarray, 'units draws'],
  tie: float,
  larger_is_local: bool = False,
) -> Compared:
  """Compares a measure with draws from the null.

  Args:
    value: the measure.
    null: the measure of shuffled filters; NaN for filters not to be compared.
    tie: the largest difference that may be due to rounding.
    larger_is_local: whether larger values are more local.
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
  """Compares a measure with its exact distribution over whole numbers.

  Args:
    value: the measure; smaller values are more local.
    probabilities: of 0, 1, ... under the null.
  """
  numbers = np.arange(probabilities.shape[1])
  mean = probabilities @ numbers
  square = (numbers - mean[:, None]) ** 2
  std = np.sqrt(np.einsum('un,un->u', probabilities, square))
  no_larger = numbers <= value[:, None]
  percentile = np.einsum('un,un->u', probabilities, no_larger)
  # The null varies unless all but one of 10¹² shuffles agree.
  varies = probabilities.max(axis=1) < 1 - 1e-12
  return _compared(value, mean, std, percentile, varies)


def without_null(value: Float[np.ndarray, ' units']) -> Compared:
  """Returns a measure that has no null, as shuffling cannot change it."""
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
