import json
import re
import subprocess

import pytest

from benchmarks import evidence
from configs.grids import scaling
from launch import sweep


@pytest.fixture(scope='module')
def parts():
  return evidence.parts()


def test_every_result_has_a_part(parts):
  folder = evidence.read.ROOT
  files = [*folder.glob('results/*.csv'), *folder.glob('benchmarks/results/*')]
  names = {
    str(f.relative_to(folder)) for f in files if '_jax_0_12' not in f.name
  }
  assert names <= {p.writes for p in parts.values()}
  assert {f'scaling:{name}' for name in scaling.PARTS} <= parts.keys()


def test_runs_are_trained_again_as_they_were(parts):
  rows = evidence.read.rows_of_csv('connectivity')
  *train, report = parts['connectivity'].commands
  assert len(train) == len(rows)
  for row, command in zip(rows, train, strict=True):
    fields = dict(re.findall(r'--config\.([\w.]+)=(\S+)', command))
    # The default of this field was another when D-nets were measured.
    assert fields.pop('data.augment') == row['augment'] == 'flip_crop'
    config = re.search(r'--config=(\S+)', command)[1]
    sweep.expand('single', config, fields)  # or raises
    folder = re.search(r'--workdir=(\S+)', command)[1]
    assert folder.startswith('runs/evidence/connectivity/')
    assert folder in report.split()
  seconds = sum(row['seconds'] for row in rows)
  assert parts['connectivity'].hours == pytest.approx(seconds / 3600)


def test_convolutional_nets_get_the_layouts_of_the_part_before(parts):
  names = list(parts)
  assert names.index('geometry') < names.index('geometry_conv')
  *_, lay_out = parts['geometry'].commands
  laid_out = lay_out.split(' --csv')[0].split()[3:]
  *train, report = parts['geometry_conv'].commands
  layouts = [re.search(r'data.layout=(\S+)/geometry.npz', c) for c in train]
  found = [layout[1] for layout in layouts if layout]
  assert found and set(found) <= set(laid_out)
  folders = [command.rpartition('--workdir=')[2] for command in train]
  assert folders == report.split(' --csv')[0].split()[3:]
  assert all(f.startswith('runs/evidence/geometry/') for f in folders)


def test_the_plan_comes_first_and_nothing_runs_unasked(monkeypatch, capsys):
  monkeypatch.setattr(evidence, '_run', lambda command: pytest.fail(command))
  assert evidence.main([]) == 0
  said = capsys.readouterr().out
  assert re.search(r'^connectivity +results/connectivity.csv', said, re.M)
  assert evidence.main(['chaos', '--dry_run']) == 0
  assert '$ python -m benchmarks.chaos' in capsys.readouterr().out
  assert evidence.main(['lop']) == 2
  assert 'Did you mean loop' in capsys.readouterr().err


def test_what_needs_a_gpu_is_left_out_of_all(parts, monkeypatch, capsys):
  assert [n for n, part in parts.items() if part.gpu] == ['full_size', 'gpu']
  assert evidence.main(['all', '--dry_run']) == 0
  said = capsys.readouterr().out
  assert 'results/s_fc_small.csv' in said and 'full_size' not in said
  monkeypatch.setattr(evidence, '_run', lambda command: 0)
  assert evidence.main(['full_size', '--dry_run']) == 0
  said = capsys.readouterr().out
  assert 'needs a GPU' in said and '--config=configs/s_fc.py:momentum' in said


def test_parts_run_in_order_until_one_fails(monkeypatch, capsys):
  ran = []
  monkeypatch.setattr(evidence.pages, 'main', lambda argv: ran.append('tables'))
  monkeypatch.setattr(evidence, '_run', lambda c: ran.append(c) or 0)
  evidence.main(['step', 'loop'])
  assert [r.split()[2] for r in ran[:-1]] == [
    'benchmarks.step',
    'benchmarks.loop',
  ]
  assert ran[-1] == 'tables'
  monkeypatch.setattr(evidence, '_run', lambda c: 3)
  assert evidence.main(['step']) == 1
  assert 'status 3' in capsys.readouterr().err


def test_a_command_runs_in_the_root_of_the_project(tmp_path):
  code = 'import json, os, sys; json.dump([os.getcwd(), sys.argv], open'
  out = tmp_path / 'said.json'
  assert evidence._run(f'python -c \'{code}("{out}", "w"))\' README.m*') == 0
  cwd, argv = json.loads(out.read_text())
  assert cwd == str(evidence.read.ROOT) and argv[1:] == ['README.md']


def test_make_knows_it():
  said = subprocess.run(
    ['make', '-n', 'evidence', 'PARTS=demo'], cwd=evidence.read.ROOT,
    capture_output=True, text=True, check=True,
  ).stdout  # fmt: skip
  assert 'python -m benchmarks.evidence demo' in said
