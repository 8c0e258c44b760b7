import re
import shutil

import pytest

from benchmarks import tables


def test_every_page_has_the_numbers_that_were_measured():
  assert tables.main(['--check']) == 0


def test_every_table_stands_on_one_page():
  paths = [page for page, _ in tables.pages()]
  text = ''.join(path.read_text('utf-8') for path in paths)
  named = re.findall(r'<!-- table: (\w+) -->\n\|', text)
  assert sorted(named) == sorted(tables.TABLES)
  assert text.count('<!-- end -->') == len(named)


@pytest.fixture
def copied(tmp_path, monkeypatch):
  for folder in ('results', 'benchmarks/results'):
    shutil.copytree(tables.ROOT / folder, tmp_path / folder)
  shutil.copy(tables.ROOT / 'README.md', tmp_path)
  monkeypatch.setattr(tables, 'ROOT', tmp_path)
  return tmp_path


def test_a_number_that_changes_is_found_and_written(copied, capsys):
  readme = copied / 'README.md'
  before = readme.read_text('utf-8')
  path = copied / 'results' / 'connectivity.csv'
  path.write_text(path.read_text('utf-8').replace(',65.63,', ',12.34,'))
  assert tables.main(['--check']) == 1
  said = capsys.readouterr().err
  assert 'README.md differs' in said and 'results/connectivity.md' in said
  assert readme.read_text('utf-8') == before
  assert tables.main([]) == 0 and tables.main(['--check']) == 0
  assert readme.read_text('utf-8') == before.replace('| 65.6 |', '| 12.3 |')
  assert '| 12.34 |' in path.with_suffix('.md').read_text('utf-8')


def test_means_are_over_seeds_alone(copied):
  accuracies = 60.13, 60.29, 60.31  # of the three seeds by momentum
  mean = sum(accuracies) / 3
  deviation = (sum((a - mean) ** 2 for a in accuracies) / 2) ** 0.5
  assert f'| {mean:.1f} ± {deviation:.1f} |' in tables.s_fc_small()
  # The run on all 50,000 images, 55.82 %, is another experiment.
  assert '| SGD | 54.9 |' in tables.s_fc_small()


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
    row('SGD momentum=0.9 wd=5e-4', 55.0, 55.0, seed=1),
    row('β-LASSO β=50 λ=1e-4 lr=0.5', 56.0, 57.0),
    row('β-LASSO β=5 λ=1e-4 lr=0.5', 99.0, 99.0),
    row('SGD', 99.0, 99.0, epochs='12 of 30, unfinished'),
    row('SGD', 50.0, 51.0, alpha=8),
  ]
  full = [row('SGD', 70.0, 71.0, epochs=400, alpha=150)]
  found = {'scaling': rows, 'full_size': full}
  monkeypatch.setattr(tables, 'rows_of_csv', found.get)
  lines = tables.scaling().splitlines()
  assert len(lines) == 2 + 3 * 4 + 1
  assert lines[-1].startswith('| 400 | 150 | 71.0 | not run |')
  assert '| 30 | 4 | 54.5 ± 0.7 | 57.0 | +2.5 | 0.35 | 71 |' in lines
  gap = ' | '.join(['not run'] * 4)
  assert f'| 30 | 8 | 51.0 | {gap} |' in lines
  assert f'| 400 | 8 | not run | {gap} |' in lines
  tried = tables.scaling_alpha_4()
  assert '| 30 | SGD momentum=0.9 wd=5e-4 | 55.0 ± 0.0 | 54.5 ± 0.7 |' in tried
  assert len(tried.splitlines()) == 2 + 4


def test_short_runs_stand_beside_the_long_one_in_the_order_of_l1(monkeypatch):
  rows = [
    {
      'method': f'S-FC β-LASSO β=50 λ={l1 * 8 / epochs:g}/1e-5 lr=0.5',
      'data': 'x', 'epochs': epochs, 'validation (%)': 100 - epochs - l1,
      'first layer (%)': 100 * l1,
    }
    for epochs in (8, 2, 1) for l1 in (0.5, 0.002)
  ]  # fmt: skip
  monkeypatch.setattr(tables, 'rows_of_csv', lambda name: rows)
  *_, first, last = tables.short_runs().splitlines()
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
  monkeypatch.setattr(tables, 'rows_of_csv', lambda name: rows)
  *_, true, scrambled, recovered = tables.geometry_conv().splitlines()
  assert true == '| D-CONV, α = 4 | true | 61.5 ± 0.7 | not run |'
  assert scrambled == '| D-CONV, α = 4 | scrambled | not run | 5.0 |'
  assert recovered == '| D-CONV, α = 4 | recovered | 50.0 | not run |'


def test_layouts_are_named_by_their_folders(monkeypatch):
  def row(name, value, folder=None, **fields):
    values = dict.fromkeys(tables._GEOMETRY, value)
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
  monkeypatch.setattr(tables, 'rows_of_csv', found.get)
  sgd, null, untrained, lasso = tables.geometry().splitlines()[2:]
  assert '| 0.30 ± 0.07 |' in sgd and '| 0.3 ± 0.1 |' in sgd
  assert null.startswith('| SGD, weights shuffled |  | 1.0 |')
  assert '| 13.00 |' in null
  assert '±' not in untrained
  assert lasso.startswith('| β-LASSO, λ = 1.2e-4 / 8e-5, 10 epochs | 3.0')
  (wide,) = tables.geometry_varied().splitlines()[2:]
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
  monkeypatch.setattr(tables, 'rows_of_csv', lambda name: rows)
  first, second, *_ = tables.signals_geometry().splitlines()[2:]
  assert first.startswith('| NLGP | S-FC SGD | 2 ± 1 | 2 ± 1 | 2.0 ± 1.4 |')
  assert second.startswith('| NLGP | covariance of 9 signals, no net | 5 | 5 |')
