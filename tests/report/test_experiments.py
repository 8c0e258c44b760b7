import shutil

import pytest

from lconv_jax import errors
from lconv_jax.report import experiments
from lconv_jax.report.find import find, only
from tests import fake_runs


def grouped(root):
  chosen, left_out = experiments.group(find([root])[0])
  assert all('has not measured' in why for why in left_out)
  return chosen


def test_runs_are_found_once_wherever_they_are(tmp_path):
  a = fake_runs.write(tmp_path / 'x' / 'a')
  b = fake_runs.write(tmp_path / 'b')
  fake_runs.write(a / 'checkpoints' / 'no_run_of_its_own')
  (tmp_path / 'empty').mkdir()
  assert [run.path for run in find([tmp_path])[0]] == [b, a]
  assert [run.path for run in find([a, tmp_path])[0]] == [a, b]
  for path in (tmp_path / 'empty', tmp_path / 'nowhere'):
    with pytest.raises(errors.UsageError, match='not a run folder and holds'):
      find([tmp_path, path])


def test_seeds_are_averaged_and_what_is_tuned_competes(tmp_path):
  for name, seed, decay, validation, test in (
    ('a', 0, 5e-4, 0.6, 0.5),
    ('b', 1, 5e-4, 0.6, 0.6),  # the winner, with a
    ('c', 0, 1e-4, 0.5, 0.9),  # the best in the test
    ('d', 0, 1e-3, 0.99, 0.1),
  ):
    fake_runs.write(
      tmp_path / name, test, validation, finished=name != 'd', seed=seed,
      optim__weight_decay=decay,
    )  # fmt: skip
  (won,) = grouped(tmp_path)
  assert [run.path.name for run in won.runs] == ['a', 'b']
  assert won.finished
  mean, std = won.accuracy('test')
  assert mean == pytest.approx(55)
  assert std == pytest.approx(50**0.5)


def test_a_winner_may_have_more_seeds_than_others(tmp_path):
  for name, seed, decay, validation in (
    ('a', 0, 5e-4, 0.7),
    ('b', 1, 5e-4, 0.5),  # their mean is less than that of c
    ('c', 0, 1e-4, 0.65),
  ):
    fake_runs.write(
      tmp_path / name, validation=validation, seed=seed,
      optim__weight_decay=decay,
    )  # fmt: skip
  (won,) = grouped(tmp_path)
  assert [run.path.name for run in won.runs] == ['a', 'b']


def test_a_winner_whose_next_seed_still_trains_stays_the_winner(tmp_path):
  fake_runs.write(tmp_path / 'a', validation=0.9, seed=0)
  fake_runs.write(tmp_path / 'b', validation=0.1, seed=1, finished=False)
  fake_runs.write(tmp_path / 'c', validation=0.5, optim__weight_decay=1e-4)
  (won,) = grouped(tmp_path)
  assert [run.path.name for run in won.runs] == ['a']


def test_a_copy_of_a_run_is_no_repetition(tmp_path):
  fake_runs.write(tmp_path / 'a', finished=False)
  fake_runs.write(tmp_path / 'b')
  shutil.copytree(tmp_path / 'b', tmp_path / 'c')
  (won,) = grouped(tmp_path)
  assert len(won.runs) == 1 and won.finished


def test_runs_that_are_not_finished_count_where_no_other_is(tmp_path):
  fake_runs.write(tmp_path / 'a', 0.5, finished=False, measured=2)
  fake_runs.write(tmp_path / 'new', finished=False, measured=0, data__limit=9)
  (won,) = grouped(tmp_path)
  assert not won.finished
  assert won.accuracy('test')[0] == pytest.approx(25)
  assert won.label.endswith('(unfinished)')


def test_what_changes_no_result_makes_no_experiment(tmp_path):
  fields = {
    'optim__beta': (50.0, 1.0),  # of β-LASSO alone
    'optim__l1_conv': (1e-5, 1e-6),
    'data__nlgp__gain': (3.0, 4.0),
    'data__dir': ('', 'elsewhere'),
    'train__checkpoint_every_epochs': (1, 2),
    'model__local_norm': ('channel', 'unit'),
  }
  for i, name in enumerate('ab'):
    values = {field: value[i] for field, value in fields.items()}
    fake_runs.write(tmp_path / name, **values)
  assert len(grouped(tmp_path)) == 1


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('model__base_channels', 3),
    ('data__augment', 'none'),
    ('data__limit', 100),
    ('train__epochs', 2),
    ('precision', 'bfloat16'),
    ('model__kernel_size', 5),
  ],
)
def test_anything_else_does(tmp_path, field, value):
  fake_runs.write(tmp_path / 'a')
  fake_runs.write(tmp_path / 'b', **{field: value})
  assert len(grouped(tmp_path)) == 2


def test_beta_tells_experiments_of_beta_lasso_apart(tmp_path):
  for beta in (0.0, 1.0):
    fake_runs.write(
      tmp_path / f'{beta}', choices='beta_lasso', optim__beta=beta
    )
  assert [e.method for e in grouped(tmp_path)] == ['β-LASSO β=0', 'β-LASSO β=1']


def test_experiments_that_differ_too_much_are_refused(tmp_path):
  for name, limit in (('a', 0), ('b', 100), ('c', 0)):
    fake_runs.write(
      tmp_path / name, data__limit=limit, train__epochs=ord(name) - 95
    )
  chosen = grouped(tmp_path)
  with pytest.raises(
    errors.UsageError,
    match=r'what: .* data.limit \(0, 100\); choose, as by --only data.limit=0',
  ):
    experiments.agree(chosen, ['train.epochs'], 'what')
  experiments.agree(chosen, ['train.epochs', 'data.limit'], 'what')


def test_only_takes_what_a_condition_names(tmp_path):
  for name in ('a', 'b'):
    fake_runs.write(tmp_path / name, train__epochs=ord(name) - 95)
  runs, _ = find([tmp_path])
  (b,) = only(runs, {'train.epochs': '3', 'data.name': 'cifar10'})
  assert b.path.name == 'b'
  with pytest.raises(errors.UsageError, match='there is 2, 3'):
    only(runs, {'train.epochs': '4'})
  with pytest.raises(errors.UsageError, match=r'Did you mean train\.epochs'):
    only(runs, {'train.epoch': '4'})


def test_runs_on_a_part_of_the_data_do_not_stand_beside_whole_ones(tmp_path):
  for name, limit in (('a', 0), ('b', 100)):
    fake_runs.write(tmp_path / name, data__limit=limit)
  (kept,), (why,) = experiments.on_whole_data(grouped(tmp_path))
  assert kept.fields['data.limit'] == 0
  assert why.startswith(f'{tmp_path}/b is a run on 100 images')
  assert '--only data.limit=100' in why
  # By itself it is shown.
  kept, left_out = experiments.on_whole_data(grouped(tmp_path / 'b'))
  assert len(kept) == 1 and not left_out


def test_all_of_the_largest_are_returned(tmp_path):
  for alpha, epochs in ((1, 9), (2, 3), (2, 5)):
    fake_runs.write(
      tmp_path / f'{alpha}{epochs}',
      model__base_channels=alpha,
      train__epochs=epochs,
    )
  found = experiments.largest(grouped(tmp_path), lambda e: e.alpha)
  assert sorted(e.epochs for e in found) == [3, 5]
  assert experiments.largest([], lambda e: e.alpha) == []
