"""The examples run; what they print is what they say."""

import optax

from examples import own_net


def test_a_net_of_ones_own_trains_with_the_layer_and_the_optimiser():
  said = own_net.fit(own_net.dense, own_net.sparse, steps=20)
  accuracy, nonzero = said.split('%')[0], said.split()[3]
  assert float(accuracy) > 50
  assert int(nonzero.replace(',', '')) < 66_306
  assert 'of 7,170' in own_net.fit(own_net.local, optax.sgd(0.1), steps=2)
