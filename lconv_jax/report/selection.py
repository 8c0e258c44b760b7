"""Choice of the run to report: the best by validation accuracy (A.2)."""

import collections
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lconv_jax import errors

# Fields of a config whose values are chosen by validation accuracy (A.2). Runs
# that differ in any other field are different experiments.
TUNED = (
  'optim.lr',
  'optim.momentum',
  'optim.weight_decay',
  'optim.l1_conv',
  'optim.l1_fc',
  'model.dropout',
)


class Candidate(NamedTuple):
  """A setting with its seeds."""

  point: Mapping[str, Any]  # fields of the config, without the seed
  best: dict[str, Mapping[str, Any]]  # of finished seeds: metrics, by name
  seeds: int  # number of seeds, finished or not


def complete(candidates: Sequence[Candidate]) -> list[Candidate]:
  """Returns the candidates all of whose seeds are finished."""
  return [c for c in candidates if len(c.best) == c.seeds]


def winner(candidates: Sequence[Candidate]) -> Candidate | None:
  """Returns the complete candidate with the best mean validation accuracy.

  Args:
    candidates: of one experiment; the first of equal candidates wins.

  Raises:
    UsageError: runs have no validation accuracy.
  """
  return max(
    complete(candidates),
    key=lambda c: accuracy(c, 'validation')[0],
    default=None,
  )


def best_setting(
  scores: Sequence[Mapping[int, tuple[float, float]]],
) -> int:
  """Returns which setting is the best, by the seeds that most settings have.

  A winner is often repeated with seeds that the others lack.

  Args:
    scores: for each setting, by seed, a validation accuracy and the share of
      weights that are not zero. Of equal accuracies the sparser one is better,
      and of equal settings the first.
  """
  counts = collections.Counter(seed for setting in scores for seed in setting)
  most = max(counts.values())
  common = {seed for seed, count in counts.items() if count == most}

  def mean(setting: Mapping[int, tuple[float, float]]) -> tuple[float, float]:
    own = [setting[seed] for seed in common & setting.keys()]
    own = own or list(setting.values())
    accuracies, shares = zip(*own, strict=True)
    return statistics.fmean(accuracies), -statistics.fmean(shares)

  return max(range(len(scores)), key=lambda i: mean(scores[i]))


def words(mean: float | None, std: float | None) -> str:
  """Returns an accuracy as text: '55.00 ± 7.07', '55.00', or '–' for None."""
  if mean is None:
    return '–'
  return f'{mean:.2f}' if std is None else f'{mean:.2f} ± {std:.2f}'


def accuracy(c: Candidate, part: str) -> tuple[float, float | None]:
  """Returns mean and standard deviation over seeds, in per cent.

  Args:
    c: has at least one finished seed.
    part: 'train', 'validation' or 'test'.

  Returns:
    The deviation of a single seed is None.

  Raises:
    UsageError: a run has not measured that accuracy.
  """
  metric = f'{part}/accuracy'
  try:
    values = [100 * best[metric] for best in c.best.values()]
  except KeyError as e:
    raise errors.UsageError(
      f'{next(iter(c.best))} has no {metric}: nothing may be chosen by test '
      'accuracy; train with config.data.validation above 0.'
    ) from e
  std = statistics.stdev(values) if len(values) > 1 else None
  return statistics.fmean(values), std
