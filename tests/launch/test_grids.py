import functools
import importlib
import subprocess
import sys

import jax
import pytest

from configs import base, grids
from launch import options, roots, sweep
from lconv_jax import models
from lconv_jax.train import check, optim

# Runs of each grid: what the paper says, or what its docstring does.
RUNS = {
  'sgd': 20, 'sgd:mini': 20,
  'beta_lasso': 50, 'beta_lasso:mini': 25,
  'learning_rate': 3, 'learning_rate:mini': 3,
  'table1': 42, 'table1:nested': 840, 'table1:mini': 14,
  'table2': 21, 'table2:nested': 690, 'table2:mini': 7,
  'width': 42, 'width:nested': 840, 'width:mini': 18,
  'resnet_kernel': 8, 'resnet_kernel:nested': 280, 'resnet_kernel:mini': 8,
  'scaling': 234, 'scaling:mini': 4,
  'single': 1, 'single:mini': 1,
}  # fmt: skip
CLASSES = {'cifar10': 10, 'cifar100': 100, 'svhn_cropped': 10, 'nlgp': 2}


def test_there_is_no_other_grid():
  files = {p.stem for p in base_folder().glob('*.py')}
  helpers = {'__init__', 'nets', 'product'}
  assert files - helpers == set(grids.NAMES) == {g.split(':')[0] for g in RUNS}


def base_folder():
  return sweep.pathlib.Path(grids.__file__).parent


@pytest.mark.parametrize('grid', RUNS)
def test_the_number_of_runs_is_what_the_docstring_says(grid):
  _, points = grids.load(grid)
  assert len(points) == RUNS[grid]
  name, _, variant = grid.partition(':')
  doc = importlib.import_module(f'configs.grids.{name}').__doc__
  first, _, rest = doc.partition('\n')
  same = variant == 'mini' and RUNS[grid] == RUNS[name]
  where = first if not variant or same else rest
  assert f'{RUNS[grid]} run' in ' '.join(where.split())


@functools.cache
def build(net, image_shape, num_classes, lasso, has_momentum):
  """Builds a net and its optimiser without computing anything."""
  config = base.base()
  config.model.update(dict(net))
  described = models.describe(config.model, image_shape, num_classes)
  params, of = described.shapes['params'], described.convolutional
  structure = optim.Structure(lasso, has_momentum, 10, of)
  tx = optim.make(structure, optim.Hyper.from_config(config), params)
  jax.eval_shape(tx.update, params, jax.eval_shape(tx.init, params), params)


@pytest.mark.parametrize('grid', RUNS)
def test_every_point_builds_its_net_and_optimiser(grid):
  whole = sweep.expand(grid)
  path, _, choices = whole.config.partition(':')
  module = importlib.import_module(path.removesuffix('.py').replace('/', '.'))
  for point in whole.points.values():
    config = module.get_config(choices or None)
    config.update_from_flattened_dict(point)
    check.check(config)
    net = {k: v for k, v in config.model.items() if k != 'dropout'}
    build(
      tuple(net.items()),
      (32, 32, 3),
      CLASSES[config.data.name],
      config.optim.name,
      config.optim.momentum > 0,
    )


def test_the_papers_values():
  points = grids.load('sgd')[1]
  assert {p['optim.momentum'] for p in points} == {0, 0.9}
  decays = {0, 1e-4, 2e-4, 5e-4, 1e-3}
  assert {p['optim.weight_decay'] for p in points} == decays
  points = grids.load('beta_lasso')[1]
  l1 = {1e-6, 2e-6, 5e-6, 1e-5, 2e-5}
  pairs = {(p['optim.l1_conv'], p['optim.l1_fc']) for p in points}
  assert pairs == {(a, b) for a in l1 for b in l1}
  assert {p['optim.beta'] for p in points} == {50}
  assert {p['optim.momentum'] for p in points} == {0}
  assert [p['optim.lr'] for p in grids.load('learning_rate')[1]] == [
    0.01,
    0.1,
    1,
  ]
  points = grids.load('table2:nested')[1]
  assert {p['train.epochs'] for p in points} == {4000}
  betas = {p['optim.beta'] for p in points if p['optim.name'] == 'beta_lasso'}
  assert betas == {0, 1, 50}


def test_the_parts_of_the_scaling_study_are_disjoint():
  whole = [repr(sorted(point.items())) for point in grids.load('scaling')[1]]
  parts = grids._content('scaling')['PARTS']
  found = [
    repr(sorted(point.items()))
    for name in parts
    for point in grids.load(f'scaling:{name}')[1]
  ]
  assert sorted(found) == sorted(set(whole))


@pytest.mark.parametrize('epochs', [30, 100, 400])
@pytest.mark.parametrize('alpha', [1, 2, 4, 8])
def test_a_cell_of_the_scaling_study_has_all_methods(epochs, alpha):
  points = grids.load(f'scaling:a{alpha}_e{epochs}')[1]
  assert {p['train.epochs'] for p in points} == {epochs}
  assert {p['model.base_channels'] for p in points} == {alpha}
  methods = {
    (p['optim.name'], p['optim.momentum'], p.get('optim.beta')) for p in points
  }
  assert methods == {
    ('sgd', 0.9, None),
    ('sgd', 0.0, None),
    *(('beta_lasso', 0.0, beta) for beta in (0, 1, 50)),
  }
  for method in methods:
    rates = {
      p['optim.lr'] for p in points
      if (p['optim.name'], p['optim.momentum'], p.get('optim.beta')) == method
    }  # fmt: skip
    assert rates == {0.1, 0.5, 1} or method[2] in (0, 1)
  # λ × epochs is the same, up to these factors.
  l1 = {p['optim.l1_conv'] * epochs for p in points if 'optim.beta' in p}
  assert {round(x / 3.6e-3, 2) for x in l1} == {0.25, 0.5, 1, 2}
  point = next(p for p in points if 'optim.beta' in p)
  assert point['optim.l1_conv'] == pytest.approx(9e-6 * 400 / epochs)
  assert point['optim.l1_fc'] == pytest.approx(6e-6 * 400 / epochs)


def test_expanding_imports_no_jax():
  code = (
    'import sys\nfrom launch import sweep\nsweep.expand("table1:nested")\n'
    'print("jax" in sys.modules)'
  )
  result = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert result.stdout == 'False\n'


def test_names_say_what_differs():
  whole = sweep.expand(
    'sgd', 'configs/d_conv.py', {'data.name': 'svhn_cropped'}
  )
  name = 'momentum=0.9,weight_decay=0.0005,dropout=0.5,seed=0'
  point = whole.points[name]
  assert point['optim.weight_decay'] == 5e-4
  words = sweep.flags(whole, name, 'runs/x')
  assert words[0] == '--config=configs/d_conv.py'
  assert '--config.data.name=svhn_cropped' in words
  assert '--config.optim.weight_decay=0.0005' in words
  assert words[-1] == f'--workdir=runs/x/{name}'
  whole = sweep.expand('single', seeds=[3, 4])
  assert list(whole.points) == ['seed=3', 'seed=4']
  assert list(sweep.expand('single', None, {'seed': '7'}).points) == ['seed=7']
  names = sweep.expand('table1').points
  assert 'model.name=fc3,base_channels=150,data.name=cifar10' in ' '.join(names)


def test_a_grid_of_ones_own(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'CONFIG = "configs/s_fc.py"\n'
    'def sweep(): return [{"optim.beta": b} for b in (1, 2.5)]\n'
  )
  assert list(sweep.expand(str(path)).points) == [
    'beta=1,seed=0',
    'beta=2.5,seed=0',
  ]
  path.write_text('def sweep(): return []')
  with pytest.raises(ValueError, match='not a grid, as it has no CONFIG'):
    sweep.expand(str(path))
  for text, hint in (
    ('def sweep(: pass', 'SyntaxError'),
    ('CONFIG = ""\ndef sweep(): return [1]', 'a list of dicts'),
    ('CONFIG = ""\ndef sweep(): return 1 / 0', 'ZeroDivisionError'),
  ):
    path.write_text(text)
    with pytest.raises(ValueError, match=hint):
      sweep.expand(str(path))
  path.write_text(
    'CONFIG = "configs/s_fc.py"\n'
    'def sweep(): return [{"data.nlgp.xi": x} for x in ((1., 2.), (3., 4.))]'
  )
  for _ in range(2):  # JSON has no tuples
    roots.claim(tmp_path / 'root', sweep.expand(str(path)))


@pytest.mark.parametrize(
  ('args', 'hint'),
  [
    (('sgdd',), 'Did you mean sgd'),
    (('sgd:nested',), 'Valid: sgd, sgd:mini'),
    (('sgd', 'configs/x.py'), 'configs/x.py does not exist'),
    (('sgd', 'configs/s_fc.py:nlpg'), 'Did you mean nlgp'),
    (('sgd', None, {'optim.momentum': '1'}), 'sgd sets optim.momentum itself'),
    (('sgd', None, {'optim.lrr': '1'}), 'Did you mean optim.lr'),
    (('sgd', None, {'seed': '1'}, [1]), 'seed is set more than once'),
    (('sgd', None, None, [1, 1]), 'more than once'),
    (('sgd', None, None, []), 'no points'),
    (('sgd', None, {'seed': 'a'}), 'seed=a is not a whole'),
  ],
)
def test_bad_input_is_one_sentence(args, hint):
  with pytest.raises(ValueError, match=hint) as e:
    sweep.expand(*args)
  assert '\n' not in str(e.value)


@pytest.mark.parametrize(
  ('point', 'hint'),
  [
    ('{"optim.lrr": 1.0}', 'Point 0 .* sets optim.lrr.*Did you mean optim.lr'),
    ('{"train.epochs": 1.5}', 'train.epochs=1.5, but it must be int'),
    ('{"optim.name": 1}', 'must be str'),
  ],
)
def test_a_point_that_cannot_be_right_is_named(point, hint, tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    f'CONFIG = "configs/s_fc.py"\ndef sweep(): return [{point}]\n'
  )
  with pytest.raises(ValueError, match=hint):
    sweep.expand(str(path))


def test_a_root_keeps_its_grid(tmp_path):
  root = tmp_path / 'root'
  first = sweep.expand('learning_rate', None, {'data.dir': 'a'})
  roots.claim(root, first, free=['data.dir'])
  assert roots.read(root) == first
  # More seeds, and what does not matter, may come later.
  more = sweep.expand('learning_rate', None, {'data.dir': 'b'}, [0, 1])
  roots.claim(root, more, free=['data.dir'])
  assert len(roots.read(root).points) == 6
  roots.claim(root, first, free=['data.dir'])
  assert len(roots.read(root).points) == 6
  for other in (
    sweep.expand('sgd', 'configs/s_fc.py', {'data.dir': 'b'}),
    sweep.expand('learning_rate', 'configs/s_conv.py', {'data.dir': 'b'}),
    sweep.expand('learning_rate', None, {'train.epochs': '1'}),
    sweep.expand('learning_rate:mini', None, {'data.dir': 'b'}),
  ):
    with pytest.raises(ValueError, match='choose another'):
      roots.claim(root, other, free=['data.dir'])
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'config.json').write_text('{}')
  with pytest.raises(ValueError, match='started without a grid'):
    roots.claim(tmp_path, first)
  with pytest.raises(ValueError, match='holds no grid'):
    roots.read(tmp_path)


def test_one_launcher_at_a_time(tmp_path):
  with roots.only(tmp_path, '.lock'):
    with (
      pytest.raises(ValueError, match='Another launcher'),
      roots.only(tmp_path, '.lock'),
    ):
      pass
  with roots.only(tmp_path, '.lock'):
    pass


def test_the_command_line_of_launchers(capsys):
  made = options.parser('launch.x', 'Does x.\n\nMore.')
  words = ['sgd', '--root=r', '--seeds=1,2', '--config.data.dir=d']
  args, whole = options.parse(made, words)
  assert str(args.root) == 'r' and len(whole.points) == 40
  assert whole.overrides == {'data.dir': 'd'}
  for words, hint in (
    (['sgd', '--root=r', '--seeds=x'], 'not a list such as 0,1,2'),
    (['sgd', '--root=r', '--sedes=1'], 'unknown argument --sedes'),
    (['sgd', '--root=r', '--config.lr'], 'unknown argument --config.lr'),
    (['sdg', '--root=r'], 'Did you mean sgd'),
  ):
    with pytest.raises(SystemExit) as e:
      options.parse(made, words)
    assert hint in capsys.readouterr().err + str(e.value)
