"""The command line python -m lconv_jax.geometry."""

import csv

import numpy as np
import pytest

from configs import base
from lconv_jax import data
from lconv_jax.data import dataset
from lconv_jax.geometry.__main__ import main
from tests import fake_runs

SIDE, SEED = 12, 4
ORDER = np.random.RandomState(SEED).permutation(SIDE * SIDE)


def local_kernel(units=288):
  """Weights of an S-FC that sees scrambled pixels: bumps at true places."""
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:SIDE, :SIDE].reshape(2, -1)[:, ORDER]
  y, x = rng.uniform(0, SIDE, (2, units))
  squared = (rows[:, None] - y) ** 2 + (columns[:, None] - x) ** 2
  noise = 0.1 * rng.normal(size=squared.shape)
  return np.float32(np.exp(-squared / 6) * rng.choice([-1, 1], units) + noise)


@pytest.fixture
def run(tmp_path, monkeypatch):
  images = np.random.RandomState(0).randint(0, 256, (60, SIDE, SIDE, 1))
  split = data.Split(np.uint8(images), np.int32(np.arange(60) % 10))
  monkeypatch.setattr(dataset, 'read', lambda name, folder: (split, split, ()))

  def write(name, **fields):
    fields = {
      'model__base_channels': 8, 'data__permute': SEED,
      'data__validation': 10, 'data__augment': 'none',
      'kernel': local_kernel(), 'image': (SIDE, SIDE, 1), **fields,
    }  # fmt: skip
    return fake_runs.write(tmp_path / name, choices='momentum', **fields)

  return write


def test_a_scrambled_run_gets_a_table_pictures_and_a_layout(
  run, tmp_path, capsys
):
  paths = [str(run('sgd')), str(run('long', train__epochs=5))]
  out = tmp_path / 'out'
  args = ['--images', '20', '--out', str(out), '--csv', str(out / 'a.csv')]
  args += ['--surface', 'plane']
  assert main([*paths, *args]) == 0
  lines = capsys.readouterr().out.splitlines()
  table = {line[:4]: line.split() for line in lines[3:8]}
  assert float(table['S-FC'][-2]) > 90  # own cell
  assert float(table['the '][-2]) < 20 and float(table['cova'][-2]) < 20
  assert {p.name for p in out.iterdir()} == {'a.csv'} | {
    f'{name}.{end}'
    for name in ('geometry', 'images')
    for end in ('png', 'pdf', 'txt')
  }
  with (out / 'a.csv').open(encoding='utf-8') as f:
    first, second, null, *_ = csv.DictReader(f)
  assert (first['epochs'], second['epochs']) == ('4', '5')
  assert first['method'] and not null['method']  # which is no run's
  assert float(first['own cell (%)']) > 90
  # On its grid, up to a turn or mirror, the images are as they were.
  c = base.base().data
  c.update({'permute': SEED, 'validation': 10})
  c.layout = f'{paths[0]}/geometry.npz'
  got = data.load(c).test.images[0, ..., 0]
  original = dataset.read('', '')[1].images[0, ..., 0]
  turned = [np.rot90(x, k) for x in (original, original.T) for k in range(4)]
  assert max((got == x).mean() for x in turned) > 0.9


def test_signals_are_laid_out_on_a_line(tmp_path, monkeypatch, capsys):
  length, rng = 30, np.random.RandomState(0)
  signals = np.uint8(rng.randint(0, 256, (60, 1, length, 2)))
  split = data.Split(signals, np.int32(np.arange(60) % 10))
  monkeypatch.setattr(dataset, 'read', lambda name, folder: (split, split, ()))
  order = np.random.RandomState(SEED).permutation(length)
  centre = rng.uniform(-2, length + 2, 300)
  kernel = np.exp(-((order[:, None] - centre) ** 2) / 6)
  kernel[order % 2 == 0] *= -1  # differences of neighbours
  kernel = np.repeat(kernel * rng.choice([-1, 1], 300), 2, axis=0)
  path = fake_runs.write(
    tmp_path / 'run', choices='momentum', model__base_channels=20,
    data__permute=SEED, data__validation=10, data__augment='none',
    kernel=np.float32(kernel + 0.1 * rng.normal(size=kernel.shape)),
    image=signals.shape[1:],
  )  # fmt: skip
  assert main([str(path), '--images', '0', '--surface', 'plane']) == 0
  (line,) = (x for x in capsys.readouterr().out.splitlines() if 'S-FC' in x)
  assert float(line.split()[-2]) > 90  # own cell
  assert (path / 'geometry.png').exists() and (path / 'images.png').exists()
  c = base.base().data
  c.update(
    {'permute': SEED, 'validation': 10, 'layout': f'{path}/geometry.npz'}
  )
  got, original = data.load(c).test.images[0], signals[0]
  same = [(got == x).mean() for x in (original, original[:, ::-1])]
  assert max(same) > 0.9


@pytest.mark.parametrize(
  ('fields', 'words'),
  [
    ({'finished': False}, 'is not finished'),
    (
      {'model__name': 's_conv', 'kernel': np.zeros((8, 9, 9, 1), np.float32)},
      'whose first layer knows the grid',
    ),
  ],
)
def test_a_run_without_a_dense_layer_is_refused(fields, words, run, capsys):
  assert main([str(run('run', **fields))]) == 2
  assert words in capsys.readouterr().err


def test_runs_of_different_orders_are_not_compared(run, capsys):
  paths = [str(run('a')), str(run('b', data__permute=5))]
  assert main([*paths, '--surface', 'plane']) == 2
  assert 'different orders' in capsys.readouterr().err
