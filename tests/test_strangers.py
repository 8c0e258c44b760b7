"""Run folders and grids from strangers: what cannot be read is left out."""

import json
import os
import shutil

import pytest

from launch import roots, select, status, sweep
from lconv_jax import errors, figures, report, runs
from lconv_jax.locality import __main__ as locality
from lconv_jax.mdl import __main__ as mdl
from lconv_jax.mdl import guarantee
from lconv_jax.report import __main__ as reports
from lconv_jax.report import find, pictures
from tests import fake_runs

FILES = 'config.json', 'metrics.jsonl', 'done.json'
CONTENTS = {
  'binary': bytes(range(256)),
  'latin': '{"é": 1}'.encode('latin-1'),
  'deep': b'[' * 100_000,
  'list': b'[1, 2]\n',
  'text': b'{"best": {"epoch": "x"}, "step": 1, "epoch": "x"}\n',
  'huge': b'{"best": {"epoch": 1e999}, "step": 1, "epoch": 1e999}\n',
  'folder': None,
  'unreadable': None,
}
# Of metrics, lines that are not rows are left out with a warning.
HARMLESS = {('metrics.jsonl', k) for k in ('binary', 'latin', 'deep', 'list')}
EVIL = '=1+1|<script>[x](y)[red]$x^$\x1b[2J\n# b'


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  """A good run, and the damaged ones by file and damage."""
  root = tmp_path_factory.mktemp('runs')
  good = fake_runs.write(root / 'good')
  damaged = {}
  for file in FILES:
    for name, content in CONTENTS.items():
      if (file, name) in HARMLESS or (name == 'unreadable' and not os.getuid()):
        continue
      folder = damaged[file, name] = root / f'{file}-{name}'
      shutil.copytree(good, folder)
      path = folder / file
      if name == 'folder':
        path.unlink()
        path.mkdir()
      elif name == 'unreadable':
        path.chmod(0)
      else:
        path.write_bytes(content)
  return good, damaged


def test_what_cannot_be_read_is_named(folders):
  good, damaged = folders
  found, left_out = find.read([*damaged.values(), good])
  assert [run.path for run in found] == [good]
  for why, (file, name) in zip(left_out, damaged, strict=True):
    assert file in why or name in ('latin', 'binary', 'deep', 'text')
    assert f'{file}-{name}' in why and '\n' not in why
  with pytest.raises(errors.UsageError, match=r'config\.json-list'):
    find.read([damaged['config.json', 'list']])


def test_commands_show_the_rest(folders, capsys, monkeypatch, tmp_path):
  good, damaged = folders
  paths = [str(p) for p in (*damaged.values(), good)]
  monkeypatch.setattr(report, 'draw', lambda *a: ['drawn'])
  monkeypatch.setattr(pictures, 'draw', None)
  assert reports.main([*paths, f'--csv={tmp_path / "t.csv"}']) == 0
  said = capsys.readouterr()
  assert said.err.count('left out: ') == len(damaged)
  assert len((tmp_path / 't.csv').read_text().splitlines()) == 2

  # Its net is not there, which only this run is told of.
  assert locality.main(paths) == 2
  said = capsys.readouterr()
  assert said.err.count('left out: ') == len(damaged)
  assert f'error: no filters of {good}' in said.err

  def describe(path, *_):
    raise errors.UsageError(f'nothing in {path}')

  monkeypatch.setattr(guarantee, 'of_run', describe)
  assert mdl.main(paths) == 2
  assert f'nothing in {good}' in capsys.readouterr().err
  # A folder instead of config.json is a folder in which to look further.
  assert figures.main(['filters', str(good.parent), f'--out={tmp_path}']) == 2
  skipped = 'config.json', 'folder'
  assert capsys.readouterr().err.count('left out: ') >= len(
    damaged.keys() - {skipped}
  )


def test_the_status_of_a_damaged_run_is_that_it_failed(folders):
  good, damaged = folders
  assert status.read(good).state is status.State.FINISHED
  for folder in damaged.values():
    found = status.read(folder)
    assert found.state is status.State.FAILED and found.error


def grid(root, *names):
  root.mkdir()
  points = {
    name: {'optim.lr': float(i), 'data.policy': EVIL if i else ''}
    for i, name in enumerate(names)
  }
  whole = sweep.Sweep('sgd', 'configs/demo.py', {}, points)
  (root / 'grid.json').write_text(json.dumps(whole._asdict()))
  return root


def test_a_grid_with_damaged_points_has_a_winner(folders, tmp_path, capsys):
  good, damaged = folders
  root = grid(tmp_path / 'grid', 'good', 'bad')
  shutil.copytree(good, root / 'good')
  shutil.copytree(damaged['done.json', 'text'], root / 'bad')
  select.main([str(root)])
  said = capsys.readouterr()
  assert 'left out:' in said.err and 'bad/done.json' in said.err
  assert '1 of 1' in said.out and '0 of 1' in said.out
  assert '\x1b' not in said.out
  status.main([str(root)])
  assert 'is damaged' in capsys.readouterr().out


@pytest.mark.parametrize('name', ['../../x', '/x', '..', '', 'a\x1b[2Jb'])
def test_a_point_must_be_the_name_of_a_folder(tmp_path, name):
  root = grid(tmp_path / 'grid', 'good', name)
  with pytest.raises(ValueError, match='has a point') as e:
    roots.read(root)
  assert '\x1b' not in str(e.value)


@pytest.mark.parametrize(
  'content',
  ['[' * 100_000, '[]', '{"grid": 1}', '{"points": []}', '\xff'],
)
def test_a_damaged_grid_is_said(tmp_path, content):
  (tmp_path / 'grid.json').write_bytes(content.encode('latin-1'))
  with pytest.raises(ValueError, match='holds no grid'):
    roots.read(tmp_path)


def test_names_are_shown_and_not_obeyed(tmp_path):
  path = fake_runs.write(tmp_path / 'a', model__name=EVIL)
  content = json.loads((path / 'done.json').read_text())
  content['environment'] = {'cpu': EVIL, 'command': EVIL, 'jax': ['x']}
  (path / 'done.json').write_text(json.dumps(content))
  run = runs.read(path)
  row = report.row(run)
  for text in (
    report.text([row], list(row)),
    report.markdown([row]),
    report.caption((), [run], report.Request()),
  ):
    assert '\x1b' not in text and '[red]' in text.replace('\\[', '[')
    assert '# b' not in [line.strip() for line in text.splitlines()]
  assert '[red]' in report.text([row], ['method'])
  written = report.markdown([row])
  assert '<script>' not in written and '](y)' not in written.replace(
    '\\[x](y)', ''
  )
  header, _, line = written.splitlines()
  assert line.replace('\\|', '').count('|') == header.count('|')
  report.write_csv([row], tmp_path / 'x.csv')
  text = (tmp_path / 'x.csv').read_text(encoding='utf-8')
  assert ",'=1+1" in text and len(text.splitlines()) == 2
  # A dollar begins no formula, which matplotlib could not parse.
  metrics = [(report.method(run.config), run.metrics)]
  report.save(report.draw_curves(metrics), tmp_path / 'curves.png')
