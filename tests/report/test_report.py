"""Names, rows, tables and pictures of runs, and python -m lconv_jax.report."""

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

UNITS = 32  # of S-FC's first layer, α = 2, on 8 x 8 pixels
LASSO = {'optim__name': 'beta_lasso', 'optim__momentum': 0.0}
LASSO |= {'optim__weight_decay': 0.0}
ENVIRONMENT = {
  'device': 'cpu',
  'cpu': 'AMD EPYC',
  'cpus': 2,
  'commit': 'abc123',
  'command': 'python main.py --config=a|b',
}


def noise(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def make(tmp_path):
  """Returns a function that writes a run by β-LASSO on small images."""

  def write(name='run', image=(8, 8, 1), done=(), **options):
    fields = {'choices': 'nlgp', 'model__base_channels': 2, **LASSO}
    path = fake_runs.write(
      tmp_path / name, image=image, **{**fields, **options}
    )
    if done:
      content = json.loads((path / 'done.json').read_text())
      (path / 'done.json').write_text(json.dumps({**content, **done}))
    return path

  return write


def read(path):
  return report.row(runs.read(path))


@pytest.mark.parametrize(
  ('fields', 'want'),
  [
    ({}, 'S-FC β-LASSO β=50 λ=1e-5'),
    ({'optim.lr': 0.5}, 'S-FC β-LASSO β=50 λ=1e-5 lr=0.5'),
    (
      {'optim.beta': 2.0, 'optim.l1_conv': 1.5e-3, 'optim.l1_fc': 2e-6},
      'S-FC β-LASSO β=2 λ=1.5e-3/2e-6',
    ),
    ({'optim.name': 'sgd'}, 'S-FC SGD'),
    (
      {'optim.name': 'sgd', 'data.permute': 0},
      'S-FC SGD on scrambled pixels',
    ),
    (
      {'optim.name': 'sgd', 'data.permute': 0, 'data.layout': 'a/b/g.npz'},
      'S-FC SGD on the grid of b',
    ),
    (
      {
        'model.name': 'fc3',
        'model.dropout': 0.5,
        'optim.name': 'sgd',
        'optim.momentum': 0.9,
        'optim.weight_decay': 5e-4,
      },
      '3-FC SGD momentum=0.9 wd=5e-4 dropout=0.5',
    ),
    (
      {'model.name': 's_local', 'model.local_norm': 'unit'}
      | {'train.init_from': 'runs/s_conv', 'model.kernel_size': 5},
      'S-LOCAL k=5 bn=unit from s_conv β-LASSO β=50 λ=1e-5',
    ),
  ],
)
def test_method_names_what_differs_from_plain_sgd(fields, want):
  config = base.base()
  config.update_from_flattened_dict(fields)
  assert report.method(config) == want


def test_row_reports_the_best_model(make):
  path = make(seed=3)
  first = runs.read(path).metrics[0]
  local = {'local_of_all': 0.25, 'spread': 2.5, 'spread_ratio': 0.5}
  done = {'best': first, 'locality': local, 'environment': ENVIRONMENT}
  got = read(make('best', done=done, seed=3))
  assert got['epochs'] == 4
  assert got['test (%)'] == pytest.approx(12.5)
  assert got['train (%)'] == pytest.approx(22.5)
  assert got['seconds'] == 8.0  # of all epochs
  # Of 1000, 200 and 10 weights, shares of 0.7525, 0.775 and 1.
  assert got['non-zero'] == 752 + 155 + 10
  assert got['non-zero (%)'] == pytest.approx(100 * 917 / 1210)
  assert got['first layer (%)'] == pytest.approx(75.25)
  assert (got['local (%)'], got['spread (px)']) == (25, 2.5)
  assert (got['data'], got['augment']) == ('nlgp', 'none')
  assert (got['seed'], got['commit']) == (3, 'abc123')
  assert got['machine'] == 'cpu, AMD EPYC, 2 CPUs'
  # Where locality was not measured, nothing is said of it.
  assert read(path)['local (%)'] is read(path)['spread (px)'] is None


def test_unfinished_run_shows_its_last_whole_line(make):
  path = make(finished=False, measured=2)
  with open(path / 'metrics.jsonl', 'a') as f:
    f.write('{"epoch": 3, "test/acc')
  got = read(path)
  assert got['epochs'] == '2 of 4, unfinished'
  assert got['test (%)'] == 25
  assert got['first layer (%)'] == pytest.approx(50.5)
  assert got['non-zero'] is got['local (%)'] is None
  assert got['commit'] == 'c0ffee'  # of the config
  with pytest.raises(errors.UsageError, match='not finished'):
    report.filters(runs.read(path))


def test_seeds_are_one_row_of_the_terminal(make, tmp_path, capsys):
  paths = [make(f'{i}', test=(5 + i) / 10, seed=i) for i in range(2)]
  paths += [make('copy', test=0.9, seed=1), make('lr', seed=2, optim__lr=0.5)]
  paths.append(make('young', finished=False, measured=2, seed=3))
  table = tmp_path / 'table.csv'
  out = ['--csv', str(table), '--out', str(tmp_path)]
  assert main([*map(str, paths), *out]) == 0
  printed = capsys.readouterr().out.splitlines()[1:5]
  want = '0, 1  55.00 ± 7.07', '1  90.00', '2  50.00', '3  25.00'
  for line, words in zip(printed, want, strict=True):
    assert ' '.join(words.split()) in ' '.join(line.split())
  with table.open(encoding='utf-8') as f:
    tests = [row['test (%)'] for row in csv.DictReader(f)]
  assert tests == ['50.0', '60.0', '90.0', '50.0', '25.0']  # every run


def test_a_number_that_a_seed_lacks_is_not_known():
  rows = [{'a': 1, 'b': 2.0, 'c': None}, {'a': 5, 'b': 2.0, 'c': 3.0}]
  assert table._joined(rows) == {'a': '3 ± 3', 'b': 2.0, 'c': None}


def test_run_that_has_just_begun(make, capsys):
  assert main([str(make(finished=False, measured=0))]) == 0
  assert '0 of 4, unfinished' in capsys.readouterr().out


def test_text_is_aligned(make, monkeypatch):
  monkeypatch.setenv('FORCE_COLOR', '1')  # as the kernel of a notebook does
  rows = [
    {**read(make('a')), 'method': 'S-FC ([red] :smile:)'},
    read(make('b', finished=False, optim__name='sgd')),
  ]
  header, first, second = report.text(rows).splitlines()
  assert first.startswith('S-FC ([red] :smile:)  ')  # not markup
  assert second.startswith('S-FC SGD  ')
  end = header.index('test (%)') + len('test (%)')
  assert first[:end].endswith('  50.00') and second[:end].endswith('  50.00')
  assert '–' in second


def test_command_line_writes_everything(make, tmp_path, capsys):
  done = {'environment': ENVIRONMENT}
  kernel = noise(64, UNITS)
  paths = [
    make('a', kernel=kernel, done=done),
    make('b', kernel=kernel, done=done, optim__name='sgd'),
  ]
  out = tmp_path / 'out'
  rows, page = out / 'sub' / 'table.csv', out / 'table.md'
  words = [*map(str, paths), f'--out={out}', f'--csv={rows}']
  assert main([*words, f'--markdown={page}']) == 0
  printed = capsys.readouterr().out
  for name in ('filters.png', 'filters.pdf', 'curves.png', 'curves.pdf'):
    assert (out / name).stat().st_size > 1000
    assert f'wrote {out / name}' in printed
  for name in ('filters.txt', 'curves.txt'):
    caption = (out / name).read_text(encoding='utf-8')
    command = f'  python -m lconv_jax.report {paths[0]} {paths[1]} --out'
    assert command in caption
    for path in paths:
      assert f'  {path}: S-FC ' in caption
    assert 'Data: NLGP (drawn on the spot); augmentation: none.' in caption
    assert caption.count('    python main.py --config=a|b\n') == 2
  assert '50.00' in printed

  with open(rows, encoding='utf-8') as f:
    first, second = csv.DictReader(f)
  assert first['method'] == 'S-FC β-LASSO β=50 λ=1e-5'
  assert second['method'] == 'S-FC SGD'
  assert (first['test (%)'], first['seconds']) == ('50.0', '8.0')
  assert first['command'] == 'python main.py --config=a|b'

  lines = page.read_text(encoding='utf-8').splitlines()
  assert len(lines) == 4
  assert len({line.replace(r'\|', '').count('|') for line in lines}) == 1
  assert '--config=a\\|b' in lines[2]


def test_figures_go_to_the_first_run_by_default(make, monkeypatch):
  folders = []
  monkeypatch.setattr(
    report, 'draw', lambda runs, out, *_: folders.append(out) or [],
    raising=False,
  )  # fmt: skip
  first, second = make('a'), make('b')
  assert main([str(first), str(second)]) == 0
  assert folders == [first]


def test_runs_of_one_method_are_told_apart_by_folder(make, drawn):
  shown = [runs.read(make(name, kernel=noise(64, UNITS))) for name in 'ab']
  report.draw(shown, shown[0].path, report.Request())
  filters, curves = (fig for fig, _ in drawn)
  want = [f'S-FC β-LASSO β=50 λ=1e-5 ({name})' for name in 'ab']
  for panels in filters.axes[:2], curves.axes[1:]:
    titles = [' '.join(ax.get_title(loc='left').split()) for ax in panels]
    assert titles == want


def test_runs_without_comparable_filters_are_named(make, tmp_path, drawn):
  paths = [
    make('odd', kernel=noise(63, 4)),
    make('grey', kernel=noise(64, UNITS)),
    make('small', image=(4, 4, 1), kernel=noise(16, 8)),
    make('lost'),
    make('young', finished=False),
  ]
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
    assert f'/{name}: ' in line and why in line
    assert '\n' not in line
  assert f'wrote {tmp_path}/out/filters.png' in lines


def test_local_filters_stand_at_their_place_in_the_image(make):
  kernel = noise(4, 4, 2, 9, 9, 1)
  run = runs.read(make(model__name='s_local', kernel=kernel))
  filters = report.filters(run)
  assert filters.shape == (32, 8, 8, 1)
  # Stride 2 on 8 pixels, SAME: 7 zeros in all, 3 of them before the image.
  for y, x, o in np.ndindex(4, 4, 2):
    padded = np.zeros((15, 15, 1))
    padded[2 * y : 2 * y + 9, 2 * x : 2 * x + 9] = kernel[y, x, o]
    want = padded[3:11, 3:11]
    np.testing.assert_array_equal(filters[(4 * y + x) * 2 + o], want)


def test_filters_of_all_kinds_of_layers_are_drawn(make, tmp_path, drawn):
  kernels = {
    's_fc': noise(64, UNITS),
    's_local': noise(4, 4, 2, 9, 9, 1),
    's_conv': noise(2, 9, 9, 1),
    'fc3': noise(64, 40),
  }
  shown = [
    runs.read(make(name, model__name=name, kernel=kernel))
    for name, kernel in kernels.items()
  ]
  lines = report.draw(shown, tmp_path / 'out', report.Request())
  assert not [line for line in lines if line.startswith('no filters')]
  notes = [ax.texts[0].get_text() for ax in drawn[0][0].axes[:4]]
  for note, units in zip(notes, (32, 32, 2, 40), strict=True):
    assert f'of {units} filters' in note


def test_filters_of_scrambled_images_are_where_the_pixels_were(make, tmp_path):
  order = np.random.RandomState(3).permutation(64)
  local = {'model__name': 's_local', 'kernel': noise(4, 4, 2, 9, 9, 1)}
  for fields in ({'kernel': noise(64, UNITS)}, local):
    plain, moved = (
      report.filters(
        runs.read(make(f'{len(fields)}{seed}', data__permute=seed, **fields))
      ).reshape(-1, 64)
      for seed in (-1, 3)
    )
    np.testing.assert_array_equal(moved[:, order], plain)
  np.savez(tmp_path / 'geometry.npz', cell=order, permute=3)  # the true one
  made = make(
    data__permute=3, data__layout=str(tmp_path / 'geometry.npz'), **local
  )
  np.testing.assert_array_equal(
    report.filters(runs.read(made)).reshape(-1, 64), plain
  )


def test_filters_are_read_once_where_they_are_shown(make, monkeypatch):
  run = runs.read(make(kernel=noise(64, UNITS)))
  filters = report.filters(run)
  monkeypatch.setattr(checkpoint, 'load_net', None)
  assert report.filters(run) is filters


def test_a_folder_without_a_run_is_a_usage_error(tmp_path, capsys):
  assert main([str(tmp_path)]) == 2
  captured = capsys.readouterr()
  assert captured.err.startswith(f'error: {tmp_path} is not a run folder')
  assert captured.err.count('\n') == 1
  assert captured.out == ''


def test_small_shares_keep_their_digits():
  assert table.show(0.0123) == '0.012'
  assert table.show(0.0) == '0.00'
  assert table.show(99.996) == '100.00'
  assert table.show(1234567) == '1,234,567'


def test_the_module_can_be_run(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'argv', ['report', str(tmp_path)])
  with pytest.raises(SystemExit) as status:
    # Not run_module: it would cache the byte code that conftest's hook makes,
    # which nobody but the tests can run.
    runpy.run_path(sys.modules[main.__module__].__file__, run_name='__main__')
  assert status.value.code == 2
