"""Tables 1 and 2: the paper's numbers beside those of runs that are made up."""

import csv
import json
import pathlib
import re

import pytest

from lconv_jax import errors, report
from lconv_jax.report import experiments, published
from lconv_jax.report.find import find
from lconv_jax.report.paper import ITEMS
from tests.fake_runs import net

# Numbers of the paper as they were noted, outside of the repository.
NOTES = pathlib.Path(__file__).parents[3] / 'shared' / 'PAPER.md'


def draw(name, root):
  """Returns the paths of what was written of the runs in a folder, and it."""
  chosen, _ = experiments.group(find([root])[0])
  path, request = root / 'out' / f'{name}.png', report.Request('the command')
  return ITEMS[name].write(chosen, path, request)


def cells(path):
  """The rows of a Markdown file's tables, without headers."""
  lines = path.read_text(encoding='utf-8').splitlines()
  rows = [line.strip('| ').split(' | ') for line in lines if line[:1] == '|']
  return {tuple(row[:2]): row[2:] for row in rows}


def test_table1_has_the_paper_beside_ours(tmp_path):
  net(tmp_path, 'd_conv', 15, 0.5, train__epochs=400)
  net(tmp_path, 'd_conv', 15, 0.6, train__epochs=400, seed=1)
  net(tmp_path, 'd_conv', 4, 0.9, train__epochs=400)  # a smaller α
  net(tmp_path, 's_fc', 8, 0.4, finished=False, measured=2)
  net(tmp_path, 's_fc', 8, 0.4, choices='beta_lasso')  # in table 2
  (page, table, caption), made = draw('table1', tmp_path)
  got = cells(page)
  assert got['net', 'method'] == [
    'ours, 4 epochs', 'ours, 400 epochs', 'paper, 400 epochs',
    'paper, 4000 epochs',
  ]  # fmt: skip
  assert got['D-CONV', 'SGD'] == [
    '– no run', '55.00 ± 7.07', '88.84 (recalled)', '89.79 (recalled)',
  ]  # fmt: skip
  assert got['S-FC', 'SGD'][0] == '20.00 (α = 8, unfinished)'
  assert len(got) == 9  # a header, a rule, seven nets
  assert list(made.missing) == ["41 of the paper's 42 cells"]
  assert '55.00 ± 7.07' in made.text and 'CIFAR-10' in made.text
  assert 'No runs of CIFAR-100, SVHN; the' in page.read_text()
  assert 'd_conv_15' in caption.read_text()
  with table.open(encoding='utf-8') as f:
    rows = {(r['net'], r['data'], r['epochs']): r for r in csv.DictReader(f)}
  row = rows['D-CONV', 'cifar10', '400']
  assert (row['test (%)'], row['paper (%)']) == ('55.0', '88.84')
  assert (row['source'], row['seeds']) == ('paper (recalled)', '2')
  row = rows['D-CONV', 'svhn_cropped', '400']
  assert (row['test (%)'], row['paper (%)'], row['finished']) == (
    '', '', 'no run'
  )  # fmt: skip


def test_table2_has_the_published_numbers_without_a_mark(tmp_path):
  net(
    tmp_path, 's_fc', 150, 0.85, choices='svhn_cropped,beta_lasso',
    train__epochs=4000,
  )  # fmt: skip
  net(tmp_path, 's_fc', 150, 0.5, choices='beta_lasso', optim__beta=7.0)
  (page, *_), _ = draw('table2', tmp_path)
  parts = page.read_text(encoding='utf-8').split('**')
  pages = dict(zip(parts[1::2], parts[2::2], strict=True))
  assert list(pages) == ['CIFAR-10', 'SVHN']  # no run is of CIFAR-100
  assert '| S-FC | β-LASSO β=50 | 85.00 | 94.07 |' in pages['SVHN']
  assert '| S-FC | β-LASSO β=50 | – no run | 85.19 |' in pages['CIFAR-10']
  assert '| S-FC | β-LASSO β=7 | 50.00 | – |' in pages['CIFAR-10']
  assert 'β=7' not in pages['SVHN']
  assert '84.50 %, 57.76 % and 93.84 %' in pages['SVHN']


# Once more, as they are printed.
TABLE1 = """
D-CONV 88.84 89.79
D-LOCAL 86.13 86.07
D-FC 64.78 63.62
S-CONV 84.14 87.05
S-LOCAL 81.52 85.86
S-FC 72.77 78.63
3-FC 69.19 75.12
"""
TABLE2 = """
S-CONV,SGD 87.05 62.51 93.38
S-LOCAL,SGD 85.86 62.03 93.98
3-FC,SGD 75.12 50.75 86.02
S-FC,SGD 78.63 51.43 91.80
S-FC,β-LASSO β=0 82.45 55.58 93.80
S-FC,β-LASSO β=1 82.52 55.96 93.66
S-FC,β-LASSO β=50 85.19 59.56 94.07
"""


def test_the_numbers_are_the_papers():
  for line in TABLE1.strip().splitlines():
    title, *numbers = line.split()
    known = published.TABLE1[published.Row(title, 'SGD')]
    got = [known['cifar10', epochs].percent for epochs in (400, 4000)]
    assert got == list(map(float, numbers))
  for line in TABLE2.strip().splitlines():
    name, *numbers = line.rsplit(' ', 3)
    known = published.TABLE2[published.Row(*name.split(','))]
    got = [known[data, 4000].percent for data in published.DATA]
    assert got == list(map(float, numbers))


def test_no_number_of_the_notes_on_the_paper_is_left_out():
  if not NOTES.exists():
    pytest.skip(f'{NOTES} is not part of the repository')
  _, text = NOTES.read_text(encoding='utf-8').split('## Published and recalled')
  text = text.partition('Figures:')[0]
  noted = set(re.findall(r'\d\d\.\d\d', text))
  words = TABLE1 + TABLE2 + ' '.join(published.NOTES.values())
  assert set(re.findall(r'\d\d\.\d\d', words)) == noted


def test_the_abstracts_numbers_alone_are_not_marked():
  rows = [published.TABLE1, published.TABLE2]
  numbers = {
    (row, cell): number
    for table in rows
    for row, known in table.items()
    for cell, number in known.items()
  }
  exact = [n.percent for n in numbers.values() if not n.recalled]
  assert exact == [85.19, 59.56, 94.07]
  both = published.TABLE1.keys() & published.TABLE2.keys()
  for row in both:
    cell = 'cifar10', 4000
    assert published.TABLE1[row][cell] == published.TABLE2[row][cell]


def test_rows_of_different_experiments_are_refused(tmp_path):
  net(tmp_path, 's_fc', 8, 0.4)
  net(tmp_path, 's_conv', 8, 0.4, data__augment='none')
  with pytest.raises(
    errors.UsageError, match=r'table1, cifar10: .*data\.augment'
  ):
    draw('table1', tmp_path)


def test_tables_are_of_nets_as_they_are_and_finished(tmp_path):
  net(tmp_path, 's_fc', 4, 0.4)
  net(tmp_path, 's_fc', 8, 0.9, finished=False)
  net(tmp_path, 's_fc', 8, 0.9, train__init_from='s_conv')
  net(tmp_path, 's_conv', 8, 0.9, model__kernel_size=5)
  net(tmp_path, 'd_fc', 8, 0.9, optim__lr=0.05)
  got = cells(draw('table1', tmp_path)[0][0])
  assert got['S-FC', 'SGD'][0] == '40.00 (α = 4)'
  assert got['S-CONV', 'SGD'][0] == '– no run'


def test_an_optimiser_of_ones_own_is_not_called_sgd(tmp_path):
  path = net(tmp_path, 's_fc', 4, 0.4)
  net(tmp_path, 's_fc', 4, 0.3)
  config = json.loads((path / 'config.json').read_text())
  config['optim']['name'] = 'sign_sgd'
  (path / 'config.json').write_text(json.dumps(config))
  chosen, _ = experiments.group(find([tmp_path])[0])
  assert [e.method for e in chosen] == ['SIGN_SGD', 'SGD']
  got = cells(draw('table1', tmp_path)[0][0])
  assert got['S-FC', 'SGD'][0] == '30.00 (α = 4)'


def test_a_cell_of_different_experiments_is_refused(tmp_path):
  net(tmp_path, 's_fc', 8, 0.4)
  net(tmp_path, 's_fc', 8, 0.4, data__limit=10)
  with pytest.raises(
    errors.UsageError, match=r'S-FC by SGD, 4 epochs: .* data\.limit'
  ):
    draw('table1', tmp_path)
