"""Configs that cannot be right are refused before anything slow begins."""

import math

import numpy as np
import pytest

from lconv_jax import errors, models
from lconv_jax.data import nlgp
from lconv_jax.train import check, parallel
from tests import small

GB = 1e9


@pytest.mark.parametrize(
  ('field', 'value', 'said'),
  [
    ('data.limit', None, r'config\.data\.limit is None; give it a value'),
    ('optim.weight_decay', 1e39, 'does not fit into float32'),
    ('optim.lr', 1e-39, 'does not fit into float32'),
    ('optim.l1_fc', 1e38, r'beta=5.0 times config.optim.l1_fc=1e\+38 does not'),
    ('optim.lr', math.inf, 'at least 0 and finite'),
    ('optim.beta', math.nan, 'at least 0 and finite'),
    ('model.kernel_size', 10**20, 'less than 2147483648'),
    ('data.crop', 2**31, 'less than 2147483648'),
    ('train.epochs', 2**31, 'less than 2147483648'),
    (
      'data.nlgp.train',
      3 * 10**12,
      r'train=3000000000000, .* 6,\d+,... GB',
    ),
    ('data.nlgp.channels', 10**15, r'channels=10{15} .* GB are free'),
  ],
)
def test_numbers_that_no_run_can_use(field, value, said):
  config = small.config(**{field: value})
  with pytest.raises(errors.UsageError, match=said) as e:
    check.check(config)
  assert field in str(e.value) or field.rpartition('.')[2] in str(e.value)


def test_numbers_at_the_limits_pass():
  largest, tiny = (float(x) for x in (np.finfo(np.float32).max, 2.0**-126))
  check.check(small.config(**{'optim.lr': largest, 'optim.weight_decay': tiny}))
  check.check(small.config(seed=2**32 - 1))
  check.check_train(1, 2**31 - 1, 1)
  with pytest.raises(errors.UsageError, match='epochs=2 are 2,147,483,648 ste'):
    check.check_train(1, 2**30, 2)


@pytest.mark.parametrize(
  ('fields', 'said'),
  [
    ({'name': 's_fc', 'base_channels': 100_000}, 'base_channels=100000 make'),
    (
      {'name': 's_local', 'kernel_size': 1_000_000},
      'base_channels=1 and kernel_size=1000000 make a net of 768,000,000,0',
    ),
  ],
)
def test_a_net_is_counted_by_its_shapes(fields, said):
  model = small.config(**{f'model.{k}': v for k, v in fields.items()}).model
  net = models.describe(model, (32, 32, 3), 10)
  with pytest.raises(errors.UsageError, match=said):
    check.check_size(net, model.kernel_size, parallel.free_memory())


def test_a_net_that_fits_twice_passes():
  net = models.describe(small.config().model, (32, 32, 1), 2)
  bytes_ = 4.0 * sum(layer.weights for layer in net.layers)
  check.check_size(net, 0, 2 * bytes_)
  with pytest.raises(errors.UsageError, match='weights'):
    check.check_size(net, 0, 2 * bytes_ - 1)
  images = small.config().data.nlgp
  needed = 2.0 * 900 * 32 * 32
  check.check_images(images, needed)
  with pytest.raises(errors.UsageError, match='train=750, test=150'):
    check.check_images(images, needed - 1)
  images.length = 50  # signals
  check.check_images(images, 2.0 * 900 * 50)
  with pytest.raises(errors.UsageError, match='train=750, test=150'):
    check.check_images(images, 2.0 * 900 * 50 - 1)


@pytest.mark.parametrize('value', [1e300, 1e-300, 1e16, math.inf, math.nan])
def test_lengths_and_gains_whose_squares_overflow(value):
  with pytest.raises(ValueError, match=r'xi=.*from 1e-15 to 1e\+15'):
    nlgp.draw(4, (1.0, value), size=4)
  with pytest.raises(ValueError, match=r'gain=.*from 1e-15 to 1e\+15'):
    nlgp.draw(4, (1.0,), value, size=4)


@pytest.mark.parametrize('value', [1e-15, 1e15])
def test_lengths_and_gains_at_their_limits(value):
  images, _ = nlgp.draw(4, (1.0, value), size=4)
  assert images.shape == (4, 4, 4, 1)
  nlgp.draw(4, (1.0,), value, size=4)
