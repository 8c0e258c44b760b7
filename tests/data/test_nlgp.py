import doctest

import numpy as np
import pytest
import scipy.special

from lconv_jax.data import nlgp


def values(images):
  return images.astype(np.float64) / 127.5 - 1


def lags(v):
  """E[v(x) v(x + d)] for each shift d on the torus, [size, size]."""
  power = np.abs(np.fft.fft2(v, axes=(1, 2))) ** 2
  return np.fft.ifft2(power.mean(axis=(0, 3))).real / v[0, ..., 0].size


def closed_form(xi, gain, size):
  """(2/π) asin(g² c / (1 + g²)), the correlation of erf(g z / √2)."""
  c = np.empty((size, size))
  for i in range(size):
    for j in range(size):
      d2 = min(i, size - i) ** 2 + min(j, size - j) ** 2
      c[i, j] = np.exp(-d2 / xi**2)
  return 2 / np.pi * np.arcsin(gain**2 * c / (1 + gain**2))


@pytest.mark.parametrize(
  'xi,gain,size', [(1.5, 3.0, 16), (3.0, 3.0, 32), (2.0, 0.7, 17)]
)
def test_covariance_is_the_closed_form(xi, gain, size):
  images, _ = nlgp.draw(6000, (xi,), gain=gain, size=size)
  np.testing.assert_allclose(
    lags(values(images)), closed_form(xi, gain, size), atol=0.01
  )


def test_signals_have_the_closed_form_along_their_length():
  images, _ = nlgp.draw(6000, (2.0,), size=(1, 20))
  assert images.shape == (6000, 1, 20, 1)
  want = closed_form(2.0, 3.0, 20)[0]
  np.testing.assert_allclose(lags(values(images))[0], want, atol=0.02)


def test_each_class_has_its_own_length():
  xi = (1.0, 2.0, 4.0)
  images, labels = nlgp.draw(6000, xi, size=32, seed=3)
  for label, length in enumerate(xi):
    got = lags(values(images[labels == label]))
    want = closed_form(length, 3.0, 32)
    np.testing.assert_allclose(got[0, :4], want[0, :4], atol=0.02)
    np.testing.assert_allclose(got[:4, 0], want[:4, 0], atol=0.02)


def test_variance_is_one_where_the_covariance_had_to_be_repaired():
  images, _ = nlgp.draw(4000, (12.0,), gain=1.0, size=16)
  np.testing.assert_allclose((values(images) ** 2).mean(), 1 / 3, atol=0.01)


@pytest.mark.parametrize('gain', [0.5, 1.0, 3.0])
def test_pixels_follow_the_transformed_normal(gain):
  images, _ = nlgp.draw(3000, (0.7,), gain=gain, size=16)
  got = np.cumsum(np.bincount(images.ravel(), minlength=256)) / images.size
  edges = (np.arange(256) + 0.5) / 127.5 - 1
  z = np.sqrt(2) / gain * scipy.special.erfinv(np.minimum(edges, 1))
  np.testing.assert_allclose(got, scipy.special.ndtr(z), atol=0.004)


def test_every_place_is_alike():
  images, _ = nlgp.draw(8000, (2.0,), size=16, seed=1)
  v = values(images)[..., 0]
  want = closed_form(2.0, 3.0, 16)
  np.testing.assert_allclose(v.mean(axis=0), 0, atol=0.06)
  np.testing.assert_allclose((v**2).mean(axis=0), want[0, 0], atol=0.03)
  for axis in (1, 2):  # across the border as within
    neighbours = (v * np.roll(v, 1, axis=axis)).mean(axis=0)
    np.testing.assert_allclose(neighbours, want[0, 1], atol=0.05)


def test_images_and_channels_are_independent():
  images, _ = nlgp.draw(301, (1.0,), channels=3, seed=2)
  fields = np.moveaxis(values(images), -1, 1).reshape(903, -1)
  correlation = np.corrcoef(fields)
  np.fill_diagonal(correlation, 0)
  assert np.abs(correlation).max() < 0.4
  assert abs(correlation.mean()) < 1e-3


@pytest.mark.parametrize('num', [1, 2, 10, 2050, 3001])
def test_labels_are_balanced_and_shuffled(num):
  images, labels = nlgp.draw(num, (1.0, 2.0, 3.0), gain=0.5, size=4, channels=2)
  assert images.shape == (num, 4, 4, 2) and images.dtype == np.uint8
  assert labels.shape == (num,) and labels.dtype == np.int32
  assert images.flags.c_contiguous
  counts = np.bincount(labels, minlength=3)
  assert counts.max() - counts.min() <= 1 and len(counts) == 3
  if num > 100:
    assert not np.array_equal(labels, np.arange(num) % 3)
    assert not np.array_equal(labels, np.sort(labels))
    assert images.reshape(num, -1).std(axis=1).min() > 0  # all were drawn


def test_seed_decides():
  np.random.seed(0)
  before = np.random.get_state()[1].copy()
  one = nlgp.draw(50, (1.0, 2.0), seed=7)
  np.testing.assert_array_equal(np.random.get_state()[1], before)
  np.random.seed(1)
  again = nlgp.draw(50, (1.0, 2.0), seed=7)
  other = nlgp.draw(50, (1.0, 2.0), seed=(7, 1))
  for a, b in zip(one, again, strict=True):
    np.testing.assert_array_equal(a, b)
  assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize(
  'wrong,match',
  [
    ({'num': 0}, 'num=0'),
    ({'size': 0}, 'size=0'),
    ({'channels': 0}, 'channels=0'),
    ({'xi': ()}, 'xi='),
    ({'xi': (1.0, 0.0)}, 'xi='),
    ({'xi': (-1.0,)}, 'xi='),
    ({'xi': (float('nan'),)}, 'xi='),
    ({'gain': 0.0}, 'gain=0'),
    ({'gain': float('inf')}, 'gain=inf'),
  ],
)
def test_bad_arguments(wrong, match):
  with pytest.raises(ValueError, match=match):
    nlgp.draw(**{'num': 2, 'xi': (1.0,), **wrong})


def test_example_in_the_docstring():
  results = doctest.testmod(nlgp)
  assert results.attempted > 0 and results.failed == 0
