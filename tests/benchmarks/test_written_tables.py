import re
import shutil

import pytest

from benchmarks.tables import geometry, pages, read, runs, study


def test_every_page_has_the_numbers_that_were_measured():
  assert pages.main(['--check']) == 0


def test_every_table_stands_on_one_page():
  paths = [page for page, _ in pages.pages()]
  text = ''.join(path.read_text('utf-8') for path in paths)
  named = re.findall(r'<!-- table: (\w+) -->\n\|', text)
  assert sorted(named) == sorted(pages.TABLES)
  assert text.count('<!-- end -->') == len(named)


@pytest.fixture
def copied(tmp_path, monkeypatch):
  for folder in ('results', 'benchmarks/results'):
    shutil.copytree(read.ROOT / folder, tmp_path / folder)
  shutil.copy(read.ROOT / 'README.md', tmp_path)
  monkeypatch.setattr(read, 'ROOT', tmp_path)
  return tmp_path


def test_a_number_that_changes_is_found_and_written(copied, capsys):
  readme = copied / 'results' / 'README.md'
  before = readme.read_text('utf-8')
  path = copied / 'results' / 'connectivity.csv'
  path.write_text(path.read_text('utf-8').replace(',65.63,', ',12.34,'))
  assert pages.main(['--check']) == 1
  said = capsys.readouterr().err
  assert 'results/README.md differs' in said
  assert 'results/connectivity.md differs' in said
  assert readme.read_text('utf-8') == before
  assert pages.main([]) == 0 and pages.main(['--check']) == 0
  after = readme.read_text('utf-8')
  assert after == before.replace('| 65.6 |', '| 12.3 |') != before
  assert '| 12.34 |' in path.with_suffix('.md').read_text('utf-8')


def test_means_are_over_seeds_alone(copied):
  accuracies = 60.13, 60.29, 60.31  # of the three seeds by momentum
  mean = sum(accuracies) / 3
  deviation = (sum((a - mean) ** 2 for a in accuracies) / 2) ** 0.5
  assert f'| {mean:.1f} ± {deviation:.1f} |' in runs.s_fc_small()
  # The run on all 50,000 images, 55.82 %, is another experiment.
  assert '| SGD | 54.9 |' in runs.s_fc_small()


def test_winners_are_chosen_by_validation_and_gaps_are_shown(monkeypatch):
  def row(method, validation, test, seed=0, epochs=30, alpha=4):
    return {
      'method': f'S-FC {method}', 'α': alpha, 'epochs': epochs, 'seed': seed,
      'validation (%)': validation, 'test (%)': test, 'first layer (%)': 0.35,
      'local (%)': 71.2,
    }  # fmt: skip

  rows = [
    row('SGD', 50.0, 60.0),
    row('SGD momentum=0.9 wd=5e-4', 55.0, 54.0),
    row('SGD momentum=0.9 wd=5e-4', 40.0, 55.0, seed=1),
    row('SGD lr=0.5', 49.0, 99.0),
    row('SGD lr=0.5 momentum=0.9 wd=5e-4', 54.0, 99.0),  # has no second seed
    row('β-LASSO β=50 λ=1e-4 lr=0.5', 56.0, 56.0),
    row('β-LASSO β=50 λ=1e-4 lr=0.5', 56.0, 58.0, seed=1),
    row('β-LASSO β=1 λ=1e-4 lr=0.5', 56.0, 44.0),
    row('β-LASSO β=5 λ=1e-4 lr=0.5', 99.0, 99.0),
    row('SGD', 99.0, 99.0, epochs='12 of 30, unfinished'),
    row('SGD', 50.0, 51.0, alpha=8),
  ]
  full = [row('SGD momentum=0.9 wd=5e-4', 70.0, 71.0, epochs=400, alpha=150)]
  found = {'scaling': rows, 'full_size': full}
  monkeypatch.setattr(read, 'rows_of_csv', found.get)
  lines = study.scaling().splitlines()
  assert len(lines) == 2 + 3 * 4 + 1
  assert lines[-1].startswith('| 400 | 150 | 71.0 | not run |')
  (cell,) = [line for line in lines if line.startswith('| 30 | 4 |')]
  assert cell == (
    '| 30 | 4 | 54.5 ± 0.7 | 60.0 | not run | 44.0 | 57.0 ± 1.4 | +2.5 ± 1.6 | '
    '0.35 | 71 |'
  )
  gap = ' | '.join(['not run'] * 7)
  assert f'| 30 | 8 | not run | 51.0 | {gap[10:]} |' in lines
  assert f'| 400 | 8 | not run | {gap} |' in lines


def test_nets_and_betas_are_those_of_one_setting(monkeypatch):
  def row(method, test, alpha=8, **fields):
    return {
      'method': method, 'α': alpha, 'epochs': 400, 'test (%)': test,
      'train (%)': 50.0, 'weights': 1234, 'validation (%)': 60.0,
      'first layer (%)': 7.6, 'local (%)': 73.0, **fields,
    }  # fmt: skip

  nets = 'S-CONV', 'S-LOCAL', 'S-FC', '3-FC', 'D-CONV', 'D-LOCAL', 'D-FC'
  l1 = '9e-6/6e-6', '1.8e-5/1.2e-5'
  rows = [
    *(
      row(f'{net} SGD momentum=0.9 wd=5e-4', i, alpha)
      for i, net in enumerate(nets) for alpha in (4, 8)
    ),
    row('D-FC SGD momentum=0.9 wd=5e-4', 8.0, 4),
    row('D-FC SGD momentum=0.9 wd=5e-4', 99.0, 4, epochs=30),
    row('D-FC SGD momentum=0.9 wd=1e-3', 99.0, 4),
    *(
      row(f'S-FC β-LASSO β={beta} λ={x} lr=0.5', beta / 2)
      for beta in (0, 1, 50) for x in l1
    ),
    row('S-FC β-LASSO β=50 λ=9e-6/6e-6 lr=1', 99.0),
  ]  # fmt: skip
  monkeypatch.setattr(read, 'rows_of_csv', lambda name: rows)
  lines = study.small_nets().splitlines()[2:]
  assert lines[0] == '| S-CONV | 8 | 1,234 | 0.0 | 50.0 |'
  assert lines[-1] == '| D-FC | 4 | 1,234 | 7.0 ± 1.4 | 50.0 ± 0.0 |'
  lines = study.betas().splitlines()[2:]
  assert [line.split(' | ')[:3] for line in lines[:3]] == [
    ['| 9e-6 / 6e-6', '0', '0.0'],
    ['| 9e-6 / 6e-6', '1', '0.5'],
    ['| 9e-6 / 6e-6', '50', '25.0'],
  ]
  assert len(lines) == 6


@pytest.mark.parametrize('alpha', [2, 8])
def test_a_study_of_which_one_cell_was_run_has_gaps(monkeypatch, alpha):
  rows = [
    row for row in read.rows_of_csv('scaling')
    if (row['α'], row['epochs']) == (alpha, 400)
  ]  # fmt: skip
  monkeypatch.setattr(read, 'rows_of_csv', lambda name: rows)
  for make in (
    study.scaling,
    study.small_nets,
    study.betas,
    study.l1_by_length,
  ):
    assert make().startswith('| ')
  assert (
    '| not run |' in study.small_nets() and '| not run |' in study.scaling()
  )


def test_the_largest_l1_that_costs_no_accuracy_is_shown(monkeypatch):
  def row(l1, validation, alpha=2, epochs=30, seed=0, lr='lr=0.5'):
    return {
      'method': f'S-FC β-LASSO β=50 λ={l1} {lr}', 'α': alpha, 'seed': seed,
      'epochs': epochs, 'validation (%)': validation, 'first layer (%)': 2.0,
    }  # fmt: skip

  rows = [
    row('1e-5/2e-5', 60.0), row('2e-5/4e-5', 59.5), row('4e-5/8e-5', 59.4),
    row('8e-5/1e-4', 99.0, lr='lr=1'), row('8e-5/1e-4', 99.0, seed=1),
    row('8e-5/1e-4', 50.0, epochs=400),
  ]  # fmt: skip
  monkeypatch.setattr(read, 'rows_of_csv', lambda name: rows)
  first, second, *_ = study.l1_by_length().splitlines()[2:]
  assert first == '| 1 | not run | not run | not run |'
  assert second == '| 2 | 2e-5 (2.0 %) | not run | 8e-5 (2.0 %) |'


def test_short_runs_stand_beside_the_long_one_in_the_order_of_l1(monkeypatch):
  rows = [
    {
      'method': f'S-FC β-LASSO β=50 λ={l1 * 8 / epochs:g}/1e-5 lr=0.5',
      'data': 'x', 'epochs': epochs, 'validation (%)': 100 - epochs - l1,
      'first layer (%)': 100 * l1,
    }
    for epochs in (8, 2, 1) for l1 in (0.5, 0.002)
  ]  # fmt: skip
  monkeypatch.setattr(read, 'rows_of_csv', lambda name: rows)
  *_, first, last = study.short_runs().splitlines()
  assert (
    first == '| x | 0.002 / 1e-5 | 99.0 / 98.0 / 92.0 | 0.20 / 0.20 / 0.20 |'
  )
  assert last == '| x | 0.5 / 1e-5 | 98.5 / 97.5 / 91.5 | 50 / 50 / 50 |'


def test_grids_are_told_by_the_command_and_averaged_over_seeds(monkeypatch):
  def row(augment, test, more=''):
    return {
      'method': 'D-CONV SGD', 'α': 4, 'augment': augment, 'test (%)': test,
      'command': f'python main.py{more} --workdir=runs/x',
    }  # fmt: skip

  permuted = ' --config.data.permute=1'
  rows = [
    row('none', 61.0), row('none', 62.0), row('flip_crop', 5.0, permuted),
    row('none', 50.0, f'{permuted} --config.data.layout=runs/a/geometry.npz'),
  ]  # fmt: skip
  monkeypatch.setattr(read, 'rows_of_csv', lambda name: rows)
  *_, true, scrambled, recovered = geometry.geometry_conv().splitlines()
  assert true == '| D-CONV, α = 4 | true | 61.5 ± 0.7 | not run |'
  assert scrambled == '| D-CONV, α = 4 | scrambled | not run | 5.0 |'
  assert recovered == '| D-CONV, α = 4 | recovered | 50.0 | not run |'


def test_layouts_are_named_by_their_folders(monkeypatch):
  def row(name, value, folder=None, **fields):
    values = dict.fromkeys(geometry._GEOMETRY, value)
    command = folder and f'python main.py --workdir=runs/geometry/{folder}'
    return {'similarity': name, 'command': command, **values, **fields}

  null = {'test (%)': None, 'r.m.s. (px)': 13.0}
  found = {
    'geometry': [
      row('a', 0.25, 'sgd_0'),
      row('b', 0.35, 'sgd_1'),
      row('the same weights, shuffled', 1.0, **null),
      row('an untrained net', 2.0),
    ],
    'geometry_more': [
      row('c', 3.0, 'lasso_10'),
      row('d', 4.0, 'alpha_16'),
      row('an untrained net', 5.0),
    ],
  }
  monkeypatch.setattr(read, 'rows_of_csv', found.get)
  sgd, null, untrained, lasso = geometry.geometry().splitlines()[2:]
  assert '| 0.30 ± 0.07 |' in sgd and '| 0.3 ± 0.1 |' in sgd
  assert null.startswith('| SGD, weights shuffled |  | 1.0 |')
  assert '| 13.00 |' in null
  assert '±' not in untrained
  assert lasso.startswith('| β-LASSO, λ = 1.2e-4 / 8e-5, 10 epochs | 3.0')
  (wide,) = geometry.geometry_varied().splitlines()[2:]
  assert wide.startswith('| α = 16 | 4.0')


def test_orders_of_signals_are_grouped_by_data_and_source(monkeypatch):
  columns = (
    'near (%)', 'agreement (%)', 'r.m.s. (px)', 'own cell (%)',
    'cell ≤ 1.5 px (%)',
  )  # fmt: skip
  rows = [
    {'method': f'S-FC SGD on scrambled pixels {i}', **dict.fromkeys(columns, i)}
    for i in (1, 3)
  ] + [
    {
      'method': None, 'similarity': 'covariance of 9 images, no net',
      **dict.fromkeys(columns, 5.0),
    }
  ]  # fmt: skip
  monkeypatch.setattr(read, 'rows_of_csv', lambda name: rows)
  first, second, *_ = geometry.signals_geometry().splitlines()[2:]
  assert first.startswith('| NLGP | S-FC SGD | 2 ± 1 | 2 ± 1 | 2.0 ± 1.4 |')
  assert second.startswith('| NLGP | covariance of 9 signals, no net | 5 | 5 |')
