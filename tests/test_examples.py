"""The examples run; what they print and draw is what they say."""

import numpy as np
import optax

from examples import bursts, own_net
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
