import pytest

from lconv_jax import errors
from lconv_jax.report import selection


def candidate(lr, *validation, seeds=None):
  best = {
    f'lr={lr},seed={seed}': {'validation/accuracy': v, 'test/accuracy': 1 - v}
    for seed, v in enumerate(validation)
  }
  return selection.Candidate({'optim.lr': lr}, best, seeds or len(validation))


def test_the_best_mean_of_a_complete_candidate_wins():
  a = candidate(0.1, 0.9, 0.1)
  b = candidate(0.2, 0.625, 0.5)  # the best mean
  c = candidate(0.3, 0.99, seeds=2)  # a seed is missing
  d = candidate(0.4, 0.5, 0.625)  # as good as b, and later
  assert selection.winner([a, b, c, d]) is b
  assert selection.winner([c]) is None
  assert selection.winner([]) is None
  assert selection.complete([a, c]) == [a]


def test_accuracy_is_in_per_cent_over_seeds():
  assert selection.accuracy(candidate(0.1, 0.25), 'test') == (75, None)
  mean, std = selection.accuracy(candidate(0.1, 0.5, 0.6), 'validation')
  assert mean == pytest.approx(55)
  assert std == pytest.approx(50**0.5)


def test_nothing_is_chosen_by_test_accuracy():
  c = selection.Candidate({}, {'run': {'test/accuracy': 0.5}}, 1)
  with pytest.raises(errors.UsageError, match='nothing may be chosen by test'):
    selection.winner([c])


def test_settings_compete_with_the_seeds_that_most_of_them_have():
  best = selection.best_setting
  assert best([{0: (60.0, 1.0), 1: (0.0, 1.0)}, {0: (59.0, 1.0)}]) == 0
  assert best([{0: (60.0, 1.0)}, {1: (61.0, 1.0)}]) == 1  # none in common
  odd = {0: (70.0, 1.0), 1: (50.0, 1.0)}, {0: (65.0, 1.0)}, {5: (10.0, 1.0)}
  assert best(odd) == 0
  # Of equal accuracies the sparser is better, of equal settings the first.
  assert best([{0: (60.0, 0.5)}, {0: (60.0, 0.1)}, {0: (59.0, 0.0)}]) == 1
  assert best([{0: (60.0, 1.0)}, {0: (60.0, 1.0)}]) == 0
