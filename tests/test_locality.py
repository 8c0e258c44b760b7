import numpy as np
import pytest

from lconv_jax import locality


def one(image):
  """A grey image as a batch of one filter."""
  return np.asarray(image, np.float32)[None, :, :, None]


def box(size, at=(4, 5), shape=(16, 16)):
  image = np.zeros(shape)
  image[at[0] : at[0] + size, at[1] : at[1] + size] = 0.5
  return image


def noise(units, shape=(16, 16, 1), seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(units, *shape)).astype(np.float32)


def by_hand(image):
  """The definition, pixel by pixel."""
  pixels = [
    (y, x, float(image[y, x]) ** 2)
    for y in range(image.shape[0])
    for x in range(image.shape[1])
  ]
  total = sum(e for _, _, e in pixels)
  cy = sum(y * e for y, _, e in pixels) / total
  cx = sum(x * e for _, x, e in pixels) / total
  variance = sum(((y - cy) ** 2 + (x - cx) ** 2) * e for y, x, e in pixels)
  return (variance / total) ** 0.5


def test_spread_of_a_single_pixel_is_zero():
  image = np.zeros((16, 16))
  image[3, 11] = -1e-6
  result = locality.measure(one(image))
  assert result.spread[0] == 0
  # It is nowhere less compact: no evidence of locality.
  assert result.percentile[0] == 1
  assert result.z[0] == 0


@pytest.mark.parametrize('size', [2, 3, 5])
def test_spread_of_a_box(size):
  # Each axis of n equal weights has variance (n² - 1) / 12.
  want = np.sqrt(2 * (size**2 - 1) / 12)
  np.testing.assert_allclose(locality.spread(one(box(size))), want, rtol=1e-6)


def test_spread_of_a_ring_is_its_radius():
  y, x = np.indices((41, 41)) - 20
  ring = np.abs(np.hypot(y, x) - 15) < 0.5
  np.testing.assert_allclose(locality.spread(one(ring)), 15, atol=0.1)


def test_spread_is_its_definition():
  image = noise(1, (9, 13, 1))[0, :, :, 0]
  np.testing.assert_allclose(
    locality.spread(one(image)), by_hand(image), rtol=1e-6
  )


def test_channels_add_their_energy_at_the_same_pixel():
  colour = noise(1, (8, 8, 3))
  grey = np.sqrt(np.square(colour).sum(axis=-1, keepdims=True))
  np.testing.assert_allclose(
    locality.spread(colour), locality.spread(grey), rtol=1e-6
  )


def test_spread_ignores_scale_sign_position_and_rotation():
  want = locality.spread(one(box(3)))
  for image in (
    -1e-9 * box(3),
    box(3, at=(0, 0)),
    box(3, at=(13, 13)),
    np.rot90(box(3, at=(2, 9))),
    box(3)[:, ::-1],
  ):
    np.testing.assert_allclose(locality.spread(one(image)), want, rtol=1e-6)


def test_percentiles_of_noise_are_uniform():
  result = locality.measure(noise(1500))
  counts, _ = np.histogram(result.percentile, bins=5, range=(0, 1))
  np.testing.assert_allclose(counts, 300, atol=80)
  assert abs(result.z.mean()) < 0.15
  assert locality.summary(result).local_of_all == pytest.approx(0.05, abs=0.025)


def test_noise_in_a_window_is_local_and_a_ring_is_not():
  window = noise(64)
  window[:, 8:] = 0
  window[:, :, :8] = 0
  y, x = np.indices((16, 16)) - 7.5
  ring = noise(64) * (np.hypot(y, x) > 8)[:, :, None]
  assert (locality.measure(window).percentile == 0).all()
  assert (locality.measure(ring).percentile == 1).all()
  assert locality.summary(locality.measure(window)).mean_z < -5


def test_rows_of_a_convolution_are_equally_local():
  kernel = noise(1, (5, 5, 3))[0]
  filters = np.zeros((100, 14, 14, 3), np.float32)
  for unit, (y, x) in enumerate(np.ndindex(10, 10)):
    filters[unit, y : y + 5, x : x + 5] = kernel
  result = locality.measure(filters, draws=50)
  np.testing.assert_allclose(result.spread, result.spread[0], rtol=1e-5)
  assert (result.percentile == 0).all()
  assert (result.nonzero == 75).all()


def test_null_keeps_the_channels_of_a_pixel_together():
  # One pixel of three channels has no spread wherever it stands.
  filters = np.zeros((1, 8, 8, 3), np.float32)
  filters[0, 2, 2] = 1
  assert (locality.null_spread(filters, draws=20) == 0).all()


def test_null_has_the_mean_square_that_arithmetic_gives():
  # For shares p of P pixels whose positions have variance S:
  # E[spread²] = S (1 - Σp²) P / (P - 1).
  filters = noise(4) * (noise(4, seed=1) > 1.5)
  p = np.square(filters).reshape(4, -1)
  p /= p.sum(axis=1, keepdims=True)
  s = 2 * (16**2 - 1) / 12
  want = s * (1 - np.square(p).sum(axis=1)) * 256 / 255
  null = locality.null_spread(filters, draws=4000)
  assert null.shape == (4, 4000)
  np.testing.assert_allclose(np.square(null).mean(axis=1), want, rtol=0.03)


def test_null_follows_its_seed_and_does_not_repeat_in_the_next_chunk():
  filters = np.repeat(noise(1), 600, axis=0)
  null = locality.null_spread(filters, draws=5)
  np.testing.assert_array_equal(null, locality.null_spread(filters, draws=5))
  assert not np.allclose(null, locality.null_spread(filters, draws=5, seed=1))
  np.testing.assert_allclose(null[0], null[511])
  assert not np.allclose(null[0], null[512])


def test_ties_count_as_no_larger():
  # Two equal pixels, side by side: null draws are that compact only when
  # they are neighbours too, which then is a tie whatever the rounding.
  image = np.zeros((3, 3))
  image[0, :2] = 0.3
  percentile = locality.measure(one(image), draws=4000).percentile[0]
  assert percentile == pytest.approx(12 / 36, abs=0.03)


def test_filters_without_weights_are_part_of_all_only():
  filters = np.zeros((4, 16, 16, 1), np.float32)
  filters[0] = one(box(5))[0]  # counted, local
  filters[1] = noise(1)[0] * 0 + 1  # counted, shuffling changes nothing
  filters[2] = one(box(2))[0]  # local, not counted
  result = locality.measure(filters)
  assert np.isnan([result.spread[3], result.z[3], result.percentile[3]]).all()
  assert result.z[1] == 0
  got = locality.summary(result)
  assert (got.filters, got.counted) == (4, 2)
  assert got.local_of_all == 0.5
  assert got.local_of_counted == 0.5
  assert got.mean_z == pytest.approx(result.z[0] / 2)
  assert got.median_spread == np.median(result.spread[result.nonzero >= 20])


def test_summary_of_dead_filters_has_no_mean():
  result = locality.measure(np.zeros((3, 4, 4, 1)), draws=2)
  got = locality.summary(result)
  assert (got.counted, got.local_of_all) == (0, 0)
  assert np.isnan([got.local_of_counted, got.mean_z, got.median_spread]).all()
  assert np.isnan(locality.summary(result, min_nonzero=0).mean_z)


def test_from_kernel_undoes_flattening():
  filters = noise(7, (4, 5, 3))
  kernel = filters.reshape(7, -1).T
  np.testing.assert_array_equal(
    locality.from_kernel(kernel, (4, 5, 3)), filters
  )


@pytest.mark.parametrize('shape', [(59, 7), (60, 2, 7), (3, 3, 3, 7)])
def test_from_kernel_rejects_what_is_no_dense_layer(shape):
  with pytest.raises(ValueError, match='no dense layer'):
    locality.from_kernel(np.zeros(shape), (4, 5, 3))
