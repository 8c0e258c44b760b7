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
