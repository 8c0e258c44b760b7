"""The notebook runs top to bottom, in a kernel of its own as a reader's."""

import base64
import importlib.util
import pathlib
import re
import sys

import nbformat
import pytest
from IPython.core import inputtransformer2

from notebooks import execute

PATH = pathlib.Path(__file__).parents[1] / 'notebooks' / 'quickstart.ipynb'


def read():
  return nbformat.read(PATH, as_version=4)


def said(cell):
  """What a cell printed."""
  return ''.join(o.text for o in cell.outputs if o.output_type == 'stream')


def pictures(cell):
  data = [o.get('data', {}) for o in cell.outputs]
  return [base64.b64decode(d['image/png']) for d in data if 'image/png' in d]


@pytest.fixture(scope='module')
def cells(tmp_path_factory):
  """The code cells by id, after a run with small sizes."""
  notebook, switched = read(), 0
  for cell in notebook.cells:
    switched += cell.source.count('SMALL = False')
    cell.source = cell.source.replace('SMALL = False', 'SMALL = True')
    cell.pop('outputs', None)
    if cell.cell_type == 'code':
      cell.outputs = []
  assert switched == 1
  cwd = tmp_path_factory.mktemp('notebook')
  monkeypatch = pytest.MonkeyPatch()
  # The kernel finds the package that is tested, whatever is installed.
  monkeypatch.setenv('PYTHONPATH', str(PATH.parents[1]))
  try:
    execute.execute(notebook, cwd)  # raises if a cell does
  finally:
    monkeypatch.undo()
  runs = {path.parent.name for path in cwd.rglob('done.json')}
  assert runs == {'sgd', 'beta_lasso', 'beta_0'}
  return {c.id: c for c in notebook.cells if c.cell_type == 'code'}


def test_nothing_is_installed_where_the_package_is(cells):
  assert not cells['install'].outputs


def test_where_the_package_is_missing_a_named_repository_is_installed(
  tmp_path, monkeypatch
):
  (source,) = (c.source for c in read().cells if c.get('id') == 'install')
  cell = inputtransformer2.TransformerManager().transform_cell(source)
  package = importlib.util.find_spec('lconv_jax')
  found = iter([None, None, package])
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: next(found))
  monkeypatch.setattr(sys, 'path', list(sys.path))
  monkeypatch.chdir(tmp_path)
  shell = Shell()
  with pytest.raises(RuntimeError, match='address of your copy'):
    exec(cell, {'get_ipython': lambda: shell})
  assert not shell.commands
  names = {'get_ipython': lambda: shell}
  exec(cell.replace('OWNER/', 'somebody/'), names)
  clone, install = (command.format(**names) for command in shell.commands)
  assert clone.endswith('https://github.com/somebody/lconv_jax checkout')
  extras = re.search(r"install .* -e './checkout\[(.*)\]'", install)[1]
  setup = (PATH.parents[1] / 'setup.py').read_text(encoding='utf-8')
  for extra in extras.split(','):
    assert re.search(f"^    '{extra}': ", setup, re.MULTILINE), extra
  assert sys.path[0] == str(tmp_path / 'checkout')


class Shell:
  """Records what a cell runs; a clone becomes a folder."""

  def __init__(self):
    self.commands = []

  def system(self, command):
    self.commands.append(command)
    pathlib.Path(command.split()[-1]).mkdir()

  def run_line_magic(self, magic, line):
    self.commands.append(f'{magic} {line}')


def test_what_is_trained_is_the_same_net_three_times(cells):
  for cell in ('sgd', 'beta-lasso', 'change'):
    assert 's_fc α=1: 268,336 weights' in said(cells[cell])
    assert 'Done: test accuracy' in said(cells[cell])


def test_every_picture_is_one(cells):
  drawn = [name for name, cell in cells.items() if pictures(cell)]
  assert drawn == ['data', 'filters', 'compare']
  for name in drawn:
    (png,) = pictures(cells[name])
    assert png.startswith(b'\x89PNG') and len(png) > 5000


def test_the_table_shows_what_the_threshold_does(cells):
  _, *rows = said(cells['compare']).splitlines()
  first_layer = {
    re.search(r'SGD|β=\d+', row)[0]: float(row.split()[-1]) for row in rows
  }
  assert first_layer.keys() == {'SGD', 'β=100', 'β=0'}
  assert first_layer['SGD'] == first_layer['β=0'] == 100
  assert 0 < first_layer['β=100'] < 100


def test_locality_is_printed_for_each_run(cells):
  lines = said(cells['locality']).splitlines()
  assert len(lines) == 3
  assert all('such filters are local' in line for line in lines)


def test_parts_alone_train_other_nets(cells):
  pattern = r'test accuracy ([\d.]+)%, ([\d,]+) of ([\d,]+) parameters'
  found = {
    name: [
      (float(accuracy), *(int(n.replace(',', '')) for n in counts))
      for accuracy, *counts in re.findall(pattern, said(cells[name]))
    ]
    for name in ('own-tx', 'own-layer')
  }
  (_, kept, size), (_, few, again) = found['own-tx']
  assert size == again == 1024 * 256 + 256 + 256 * 2 + 2
  assert few < 0.9 * kept
  # At 16 × 16 positions a 5 × 5 kernel, and a bias, of 4 channels each.
  local, conv = (size for _, _, size in found['own-layer'])
  last = 256 * 4 * 2 + 2
  assert local == 256 * (25 + 1) * 4 + last
  assert conv == (25 + 1) * 4 + last


def test_the_guarantee_is_said(cells):
  assert re.search(
    r'bytes: with probability 0.95, at most [\d.]+% of all',
    said(cells['guarantee']),
  )


def test_what_is_committed_ran_and_is_of_no_machine():
  notebook = read()
  nbformat.validate(notebook)
  assert notebook.metadata.keys() == {
    'accelerator', 'colab', 'kernelspec', 'language_info',
  }  # fmt: skip
  assert notebook.metadata.kernelspec.name == 'python3'
  assert notebook.metadata.language_info == {'name': 'python'}
  code = [c for c in notebook.cells if c.cell_type == 'code']
  assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
  assert all(c.metadata == {} for c in notebook.cells)
  text = PATH.read_text(encoding='utf-8')
  assert len(text) < 300_000
  for cell in notebook.cells:
    words = cell.source + ''.join(said(cell) if 'outputs' in cell else '')
    # A path from the root or the home folder of some machine.
    assert not re.search(r'(?<![\w.:/<])(?:~|/(?!dev/nvidia0\b))\w*/', words)
    for output in cell.get('outputs', ()):
      assert output.get('name') != 'stderr' and output.output_type != 'error'
