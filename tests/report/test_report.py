import csv
import json
import runpy
import sys

import numpy as np
import pytest

from configs import base
from lconv_jax import errors, report, runs
from lconv_jax.report import table
from lconv_jax.report.__main__ import main
from lconv_jax.runs import checkpoint
from tests import fake_runs

SHAPE = [8, 8, 1]
UNITS = 32


def config(**changes):
  """A config, changed by fields with __ for dots."""
  result = base.choose(base.base(), 'nlgp')
  result.seed, result.model.base_channels, result.train.epochs = 3, 2, 2
  result.update_from_flattened_dict(
    {field.replace('__', '.'): value for field, value in changes.items()}
  )
  return result


CONFIG = config()


def row(epoch, test, conv1):
  return {
    'epoch': epoch,
    'step': 10 * epoch,
    'train/accuracy': 0.9,
    'validation/accuracy': test + 0.01,
    'test/accuracy': test,
    'nonzero/conv1': conv1,
    'nonzero/fc1': 0.5,
    'seconds': 6.25 * epoch,
  }


METRICS = [row(1, 0.8125, 0.25), row(2, 0.75, 0.125)]
DONE = {
  'best': METRICS[0],
  'last': METRICS[1],
  'weights': {'conv1': 64 * UNITS, 'fc1': 100},
  'image_shape': SHAPE,
  'locality': {'local_of_all': 0.25, 'spread': 2.5, 'spread_ratio': 0.5},
  'environment': {
    'device': 'cpu',
    'cpu': 'AMD EPYC',
    'cpus': 2,
    'jax': '0.10.2',
    'commit': 'abc123',
    'command': 'python main.py --config=a|b',
  },
}


def local_kernel():
  """A quarter of the filters are 3 x 3 patches, the others are noise."""
  rng = np.random.default_rng(0)
  filters = rng.normal(size=(UNITS, 8, 8))
  filters[::4] *= np.pad(np.ones((3, 3)), ((2, 3), (4, 1)))
  return filters.reshape(UNITS, -1).T.astype(np.float32)


@pytest.fixture
def make_run(tmp_path, monkeypatch):
  """Returns a function that writes a run folder."""
  kernels = {}

  def load_net(path, which='best'):
    assert which == 'best'
    if kernels.get(path.name) is None:
      raise errors.UsageError(f'{path} holds no checkpoint; train there first.')
    run = runs.read(path)
    image = tuple(run.done['image_shape'])
    return fake_runs.variables(run.config.model, kernels[path.name], image)

  def make(name='run', config=CONFIG, metrics=METRICS, done=DONE, kernel=None):
    path = tmp_path / name
    path.mkdir()
    (path / 'config.json').write_text(config.to_json())
    lines = ''.join(json.dumps(m) + '\n' for m in metrics)
    (path / 'metrics.jsonl').write_text(lines)
    if done:
      (path / 'done.json').write_text(json.dumps(done))
    kernels[name] = local_kernel() if kernel is None else kernel
    return path

  make.kernels = kernels
  monkeypatch.setattr(checkpoint, 'load_net', load_net)
  return make


@pytest.mark.parametrize(
  ('changes', 'want'),
  [
    ({}, 'S-FC β-LASSO β=50 λ=1e-5'),
    ({'optim__lr': 0.5}, 'S-FC β-LASSO β=50 λ=1e-5 lr=0.5'),
    (
      {'optim__beta': 2.0, 'optim__l1_conv': 1.5e-3, 'optim__l1_fc': 2e-6},
      'S-FC β-LASSO β=2 λ=1.5e-3/2e-6',
    ),
    ({'optim__name': 'sgd'}, 'S-FC SGD'),
    (
      {
        'model__name': 'fc3',
        'model__dropout': 0.5,
        'optim__name': 'sgd',
        'optim__momentum': 0.9,
        'optim__weight_decay': 5e-4,
      },
      '3-FC SGD momentum=0.9 wd=5e-4 dropout=0.5',
    ),
  ],
)
def test_method_names_what_differs_from_plain_sgd(changes, want):
  assert report.method(config(**changes)) == want


def test_row_reports_the_best_model(make_run):
  got = report.row(runs.read(make_run()))
  assert got['epochs'] == 2
  assert got['test (%)'] == pytest.approx(81.25)
  assert got['validation (%)'] == pytest.approx(82.25)
  assert got['non-zero'] == 16 * UNITS + 50
  assert got['non-zero (%)'] == pytest.approx(
    100 * (16 * UNITS + 50) / (64 * UNITS + 100)
  )
  assert got['first layer (%)'] == 25
  assert (got['local (%)'], got['spread (px)']) == (25, 2.5)
  assert (got['data'], got['seed'], got['commit']) == ('nlgp', 3, 'abc123')
  assert got['augment'] == 'none'
  assert got['machine'] == 'cpu, AMD EPYC, 2 CPUs'


def test_nothing_is_said_of_locality_where_none_was_measured(make_run):
  done = {k: v for k, v in DONE.items() if k != 'locality'}
  got = report.row(runs.read(make_run(done=done)))
  assert got['local (%)'] is got['spread (px)'] is None


def test_unfinished_run_shows_its_last_whole_line(make_run):
  path = make_run(done=None)
  with open(path / 'metrics.jsonl', 'a') as f:
    f.write('{"epoch": 3, "test/acc')
  run = runs.read(path)
  got = report.row(run)
  assert got['epochs'] == '2 of 2, unfinished'
  assert got['test (%)'] == 75
  assert got['first layer (%)'] == 12.5
  assert got['non-zero'] is None
  assert got['local (%)'] is None
  with pytest.raises(errors.UsageError, match='not finished'):
    report.filters(run)


def test_run_that_has_just_begun(make_run, capsys):
  path = make_run(done=None, metrics=[])
  assert main([str(path)]) == 0
  assert '0 of 2, unfinished' in capsys.readouterr().out


def test_environment_of_an_unfinished_run_is_its_configs(make_run):
  began = config()
  began.environment = {'device': 'NVIDIA H200', 'commit': 'c0'}
  got = report.row(runs.read(make_run(config=began, done=None)))
  assert (got['machine'], got['commit']) == ('NVIDIA H200', 'c0')


def test_text_is_aligned(make_run):
  sgd = config(optim__name='sgd')
  rows = [
    report.row(runs.read(make_run('a'))),
    report.row(runs.read(make_run('b', config=sgd, done=None))),
  ]
  header, first, second = report.text(rows).splitlines()
  assert len(header) == len(first) == len(second)
  assert first.startswith('S-FC β-LASSO β=50 λ=1e-5  ')
  assert second.startswith('S-FC SGD  ')
  assert header.index('test (%)') + len('test (%)') == first.index('81.25') + 5
  assert '–' in second


def test_what_looks_like_markup_is_text(make_run):
  path = make_run('[red] :smile:')
  row = {**report.row(runs.read(path)), 'method': f'S-FC ({path.name})'}
  _, line = report.text([row]).splitlines()
  assert line.startswith('S-FC ([red] :smile:)  ')


def test_command_line_writes_everything(make_run, tmp_path, capsys):
  paths = [make_run('a'), make_run('b', config=config(optim__name='sgd'))]
  out = tmp_path / 'out'
  rows, page = out / 'sub' / 'table.csv', out / 'table.md'
  status = main(
    [*map(str, paths), f'--out={out}', f'--csv={rows}', f'--markdown={page}']
  )
  assert status == 0
  printed = capsys.readouterr().out
  for name in ('filters.png', 'filters.pdf', 'curves.png', 'curves.pdf'):
    assert (out / name).stat().st_size > 1000
    assert f'wrote {out / name}' in printed
  for name in ('filters.txt', 'curves.txt'):
    words = (out / name).read_text(encoding='utf-8')
    assert f'  python -m lconv_jax.report {paths[0]} {paths[1]} --out' in words
    for path in paths:
      assert f'  {path}: S-FC ' in words
    assert 'Data: NLGP (drawn on the spot); augmentation: none.' in words
    assert words.count('    python main.py --config=a|b\n') == 2
  assert '81.25' in printed

  with open(rows, encoding='utf-8') as f:
    first, second = csv.DictReader(f)
  assert first['method'] == 'S-FC β-LASSO β=50 λ=1e-5'
  assert second['method'] == 'S-FC SGD'
  assert first['test (%)'] == '81.25'
  assert first['command'] == 'python main.py --config=a|b'
  assert first['seconds'] == '12.5'

  lines = page.read_text(encoding='utf-8').splitlines()
  assert len(lines) == 4
  assert len({line.replace(r'\|', '').count('|') for line in lines}) == 1
  assert '--config=a\\|b' in lines[2]


def test_figures_go_to_the_first_run_by_default(make_run, monkeypatch):
  folders = []
  monkeypatch.setattr(
    report, 'draw', lambda runs, out, *_: folders.append(out) or []
  )
  first, second = make_run('a'), make_run('b')
  assert main([str(first), str(second)]) == 0
  assert folders == [first]


def test_runs_of_one_method_are_told_apart_by_folder(make_run, drawn):
  shown = [runs.read(make_run(name)) for name in ('a', 'b')]
  report.draw(shown, shown[0].path, report.Request())
  filters, curves = (fig for fig, _ in drawn)
  want = [f'S-FC β-LASSO β=50 λ=1e-5 ({name})' for name in 'ab']
  for panels in filters.axes[:2], curves.axes[1:]:
    titles = [ax.get_title(loc='left').replace('\n', ' ') for ax in panels]
    assert titles == want


def test_runs_without_comparable_filters_are_named(make_run, tmp_path, drawn):
  paths = [
    make_run('odd', kernel=np.ones((63, 4), np.float32)),
    make_run('grey'),
    make_run(
      'small',
      done={**DONE, 'image_shape': [4, 4, 1]},
      kernel=np.ones((16, 8), np.float32),
    ),
    make_run('lost'),
    make_run('young', done=None),
  ]
  make_run.kernels['lost'] = None
  shown = [runs.read(path) for path in paths]
  lines = report.draw(shown, tmp_path / 'out', report.Request())
  skipped = [line for line in lines if line.startswith('no filters of')]
  for line, (name, why) in zip(
    skipped,
    {
      'odd': 'is float32[63, 4] there, but the config asks for',
      'small': 'images are (4, 4, 1), others (8, 8, 1)',
      'lost': 'no checkpoint',
      'young': 'not finished',
    }.items(),
    strict=True,
  ):
    assert f'/{name}: ' in line
    assert why in line
    assert '\n' not in line
  assert f'wrote {tmp_path}/out/filters.png' in lines


def test_local_filters_stand_at_their_place_in_the_image(make_run):
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(4, 4, 2, 9, 9, 1)).astype(np.float32)
  path = make_run(config=config(model__name='s_local'), kernel=kernel)
  run = runs.read(path)
  filters = report.filters(run)
  assert filters.shape == (32, 8, 8, 1)
  # Stride 2 on 8 pixels, SAME: 7 zeros in all, 3 of them before the image.
  for y, x, o in np.ndindex(4, 4, 2):
    padded = np.zeros((15, 15, 1))
    padded[2 * y : 2 * y + 9, 2 * x : 2 * x + 9] = kernel[y, x, o]
    want = padded[3:11, 3:11]
    np.testing.assert_array_equal(filters[(4 * y + x) * 2 + o], want)


def test_filters_of_conv_and_local_nets_are_drawn(make_run, tmp_path, drawn):
  rng = np.random.default_rng(0)
  kernels = {
    's_fc': local_kernel(),
    's_local': rng.normal(size=(4, 4, 2, 9, 9, 1)),
    's_conv': rng.normal(size=(2, 9, 9, 1)),
    'fc3': rng.normal(size=(64, 40)),
  }
  shown = [
    runs.read(
      make_run(name, config(model__name=name), kernel=np.float32(kernel))
    )
    for name, kernel in kernels.items()
  ]
  lines = report.draw(shown, tmp_path / 'out', report.Request())
  assert not [line for line in lines if line.startswith('no filters')]
  notes = [ax.texts[0].get_text() for ax in drawn[0][0].axes[:4]]
  for note, units in zip(notes, (32, 32, 2, 40), strict=True):
    assert f'of {units} filters' in note


def test_filters_are_read_only_where_they_are_shown(make_run, monkeypatch):
  run = runs.read(make_run())
  monkeypatch.setattr(checkpoint, 'load_net', None)
  assert run.metrics == METRICS


def test_a_folder_without_a_run_is_a_usage_error(tmp_path, capsys):
  assert main([str(tmp_path)]) == 2
  captured = capsys.readouterr()
  assert captured.err.startswith(f'error: {tmp_path} is not a run folder')
  assert captured.err.count('\n') == 1
  assert captured.out == ''


def test_small_shares_keep_their_digits():
  assert table._show(0.0123) == '0.012'
  assert table._show(0.0) == '0.00'
  assert table._show(99.996) == '100.00'
  assert table._show(1234567) == '1,234,567'


def test_the_module_can_be_run(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'argv', ['report', str(tmp_path)])
  with pytest.raises(SystemExit) as status:
    # Not run_module: it would cache the byte code that conftest's hook makes,
    # which nobody but the tests can run.
    runpy.run_path(sys.modules[main.__module__].__file__, run_name='__main__')
  assert status.value.code == 2
