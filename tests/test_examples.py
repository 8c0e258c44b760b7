"""The examples run; what they print and draw is what they say."""

import numpy as np
import optax

from configs.grids import load
from examples import bursts, ecoli, own_net
from lconv_jax import data, train
from lconv_jax.train import parallel
from tests import small


def test_a_net_of_ones_own_trains_with_the_layer_and_the_optimiser():
  said = own_net.fit(own_net.dense, own_net.sparse, steps=20)
  accuracy, nonzero = said.split('%')[0], said.split()[3]
  assert float(accuracy) > 50
  assert int(nonzero.replace(',', '')) < 66_306
  assert 'of 7,170' in own_net.fit(own_net.local, optax.sgd(0.1), steps=2)


def test_bursts_are_measured_and_drawn():
  rows = bursts.curves(small.config(**{'train.epochs': 1}), held=True)
  epochs, test, nonzero, norm = rows.T
  np.testing.assert_allclose(epochs, [0.2, 0.4, 0.6, 0.8, 1])
  assert (np.diff(nonzero) < 0).all() and (test > 0).all()
  np.testing.assert_allclose(norm, norm[0], rtol=1e-5)
  fig = bursts.draw({'one': rows, 'other': rows})
  assert [ax.get_title('left') for ax in fig.axes] == list(bursts.PANELS)


def test_a_net_whose_filters_are_scaled_predicts_the_same():
  config = small.config()
  built = train.trainer.setup(config, data.load(config.data))
  trainer = train.trainer.Trainer(built)
  wanted = np.linspace(0.5, 2, 256).astype(np.float32)
  scaled = parallel.pmap(bursts.hold)(trainer.state, parallel.replicate(wanted))
  (kernel,) = scaled.params['conv1']['kernel']
  np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), wanted, rtol=1e-5)
  (before,) = trainer.evaluate(trainer.net())
  (after,) = trainer.evaluate(
    {'params': scaled.params, 'batch_stats': scaled.batch_stats}
  )
  assert abs(before['test/loss'] - after['test/loss']) < 1e-4


def test_pieces_of_genes_have_no_stop_codon_in_their_frame(tmp_path):
  rng = np.random.default_rng(0)
  genome = ''.join(rng.choice(list('ACGT'), 60_000))
  path = tmp_path / 'a.fna'
  path.write_text(f'>name\n{genome[:50]}\n{genome[50:]}\n', encoding='utf-8')
  ecoli.main(str(path), str(tmp_path / 'a.npz'), each=(300, 90))
  found = np.load(tmp_path / 'a.npz')
  other = genome.translate(str.maketrans('ACGT', 'TGCA'))[::-1]
  stops = np.zeros((3, 3))  # by class, and by place of the codon
  for name, (a, b) in {'train': (0, 48_000), 'test': (48_000, 60_000)}.items():
    signals = found[f'{name}_signals']
    assert set(np.unique(signals)) == {0, 255} and signals.shape[1:] == (60, 4)
    letters = np.array(list('ACGT'))[signals.argmax(-1)]
    for row, class_ in zip(letters, found[f'{name}_labels'], strict=True):
      piece = ''.join(row)
      assert piece in genome[a:b] or piece in other[60_000 - b : 60_000 - a]
      for i in range(58):
        stops[class_, i % 3] += piece[i : i + 3] in ('TAA', 'TAG', 'TGA')
  assert (np.diag(stops) == 0).all() and (stops > 100).sum() == 6


def test_the_grid_of_nets_on_signals():
  config, points = load('examples/signals.py')
  assert config == 'configs/signals.py' and len(points) == 8
  assert {p['data.permute'] for p in points} == {-1, 1}
