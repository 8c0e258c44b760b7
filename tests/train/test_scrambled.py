import jax
import numpy as np

from lconv_jax.data import dataset as data
from lconv_jax.train import trainer
from tests import small

SEED = 3
ORDER = np.random.RandomState(SEED).permutation(1024)


def config(**fields):
  fields = {'data.augment': 'none', 'optim.name': 'sgd', **fields}
  return small.config(**fields)


def make(c):
  return trainer.Trainer(trainer.setup(c, data.load(c.data)))


def test_a_dense_net_does_not_mind_a_permutation_of_pixels():
  plain, scrambled = make(config()), make(config(**{'data.permute': SEED}))
  start = jax.tree.map(lambda x: np.array(x[0]), plain.net())
  kernel = start['params']['conv1']['kernel']
  plain.start_from(start)
  start['params']['conv1']['kernel'] = kernel[ORDER]  # one channel
  scrambled.start_from(start)
  for step in range(1, 6):
    totals = [t.train_until(step)[0].loss for t in (plain, scrambled)]
    np.testing.assert_allclose(*totals, rtol=1e-5)
  nets = [
    jax.tree.map(lambda x: np.array(x[0]), t.net()['params'])
    for t in (plain, scrambled)
  ]
  moved = nets[0]['conv1']['kernel'][ORDER]
  np.testing.assert_allclose(nets[1]['conv1']['kernel'], moved, atol=1e-5)
  assert abs(moved - kernel[ORDER]).max() > 1e-3  # it has learned
  # Its filters are shown, and measured, where the pixels were.
  shown = [t.first_layer(t.net())[0] for t in (plain, scrambled)]
  np.testing.assert_allclose(*shown, atol=1e-5)


def test_geometry_leaks_only_if_asked_for():
  built = {
    name: trainer.setup(c, data.load(c.data)).program.augment
    for name, c in {
      'hidden': config(**{'data.permute': SEED}),
      'leak': config(
        **{
          'data.permute': SEED,
          'data.leak_geometry': True,
          'data.augment': 'flip_crop',
        }
      ),
      'plain': config(**{'data.leak_geometry': True}),
    }.items()
  }
  assert built['leak'].origin == tuple(ORDER.tolist())
  assert built['hidden'].origin == built['plain'].origin == ()
