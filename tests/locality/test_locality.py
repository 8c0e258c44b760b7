import csv
import itertools
import json
import math
import re

import numpy as np
import pytest
import scipy.signal
import scipy.stats
from flax import linen as nn

from lconv_jax import errors, locality, report, runs, train
from lconv_jax.conv import windows
from lconv_jax.locality import __main__ as command
from lconv_jax.locality import compare
from lconv_jax.models import embed
from lconv_jax.runs import checkpoint
from tests import fake_runs, small

pytestmark = pytest.mark.usefixtures('whole_null')


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


def gabor(at=(8, 7), angle=0.6, sigma=2.0, shape=(16, 16)):
  y, x = np.indices(shape)
  y, x = y - at[0], x - at[1]
  along = np.cos(angle) * x + np.sin(angle) * y
  return np.exp(-(x**2 + y**2) / (2 * sigma**2)) * np.cos(1.5 * along)


def rows_of_a_convolution(shape=(14, 13, 3), size=(5, 4), channels=1, seed=0):
  """The filters of a VALID convolution as a dense layer has them."""
  rng = np.random.default_rng(seed)
  kernel = rng.normal(size=(channels, *size, shape[-1])).astype(np.float32)
  w = windows.window(shape[:2], size, 1, 'VALID')
  wide = np.broadcast_to(kernel, (*w.positions, *kernel.shape))
  return locality.from_kernel(embed.dense(wide, w, shape[:2]), shape)


def by_hand(filter_, size):
  """Spread, IPR, window share and box area of [H, W, C], pixel by pixel."""
  height, width, _ = filter_.shape
  pixels = {
    (y, x): sum(float(v) ** 2 for v in filter_[y, x])
    for y in range(height)
    for x in range(width)
  }
  total = sum(pixels.values())
  cy = sum(y * e for (y, _), e in pixels.items()) / total
  cx = sum(x * e for (_, x), e in pixels.items()) / total
  square = sum(
    ((y - cy) ** 2 + (x - cx) ** 2) * e for (y, x), e in pixels.items()
  )
  share = max(
    sum(e for (y, x), e in pixels.items() if 0 <= y - t < size > x - s >= 0)
    for t in range(max(1, height - size + 1))
    for s in range(max(1, width - size + 1))
  )
  used = [at for at in pixels if any(v != 0 for v in filter_[at])]
  ys, xs = zip(*used, strict=True)
  return (
    math.sqrt(square / total),
    sum((e / total) ** 2 for e in pixels.values()),
    share / total,
    (max(ys) - min(ys) + 1) * (max(xs) - min(xs) + 1),
  )


def measures(filters, size=locality.WINDOW, periodic=False):
  return np.stack(
    [
      locality.spread(filters, periodic),
      locality.ipr(filters),
      locality.window_share(filters, size, periodic),
      locality.box_area(filters, periodic),
    ]
  )


# Measures of single filters.


@pytest.mark.parametrize('size', [1, 2, 3, 4, 7, 9, 13])
@pytest.mark.parametrize('shape', [(9, 13, 3), (8, 8, 1), (1, 6, 2), (5, 1, 1)])
@pytest.mark.parametrize('density', [1.0, 0.1])
def test_measures_are_their_definitions(shape, size, density):
  rng = np.random.default_rng(size)
  filters = noise(5, shape) * (rng.random((5, *shape)) < density)
  filters[:, 0, 0, 0] = 0.1  # none is all zero
  want = np.transpose([by_hand(f, size) for f in filters])
  np.testing.assert_allclose(measures(filters, size), want, rtol=1e-5)


def shifts(filters):
  """Filters at all places on the torus, [places, units, H, W, C]."""
  places = np.ndindex(*filters.shape[1:3])
  return np.stack([np.roll(filters, at, (1, 2)) for at in places])


@pytest.mark.parametrize('size', [1, 3, 9])
@pytest.mark.parametrize('shape', [(5, 8, 2), (6, 6, 1), (1, 7, 1)])
@pytest.mark.parametrize('density', [1.0, 0.15])
def test_on_the_torus_the_most_compact_shift_counts(shape, size, density):
  rng = np.random.default_rng(size)
  filters = noise(6, shape) * (rng.random((6, *shape)) < density)
  filters[:, -1, 0, 0] = 0.1  # none is all zero
  spread, ipr, share, area = np.transpose(
    [measures(f, size) for f in shifts(filters)], (1, 0, 2)
  )
  want = spread.min(0), ipr[0], share.max(0), area.min(0)
  got = measures(filters, size, periodic=True)
  np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
  dead = measures(0 * filters, size, periodic=True)
  assert np.isnan(dead).all()


def test_a_delta_is_as_local_as_can_be():
  image = np.zeros((16, 16))
  image[3, 11] = -1e-6
  np.testing.assert_allclose(measures(one(image))[:, 0], [0, 1, 1, 1])


@pytest.mark.parametrize('n', [2, 3, 5, 9, 12])
def test_a_box(n):
  # Each axis of n equal weights has variance (n² - 1) / 12.
  spread = np.sqrt(2 * (n**2 - 1) / 12)
  share = min(1, 81 / n**2)
  got = measures(one(box(n, at=(2, 1))))[:, 0]
  np.testing.assert_allclose(got, [spread, 1 / n**2, share, n**2], rtol=1e-6)


def test_a_gabor():
  # The energy is a Gaussian of variance σ²/2 on each axis, with fringes.
  spread, ipr, share, _ = measures(one(gabor(sigma=2.0)))[:, 0]
  assert spread == pytest.approx(2.0, rel=0.05)
  # A Gaussian's Σ p² is 1 / (2 π σ²) for energies of variance σ²/2; cos² on it
  # has 3/2 of that.
  assert ipr == pytest.approx(1.5 / (2 * np.pi * 2.0**2), rel=0.05)
  assert share == pytest.approx(math.erf(4.5 / 2.0) ** 2, abs=0.01)


def test_noise():
  filters = noise(200, (32, 32, 1))
  spread, ipr, share, area = measures(filters).mean(axis=1)
  assert spread == pytest.approx(np.sqrt(2 * (32**2 - 1) / 12), rel=0.01)
  assert ipr == pytest.approx(3 / 1024, rel=0.02)
  assert 81 / 1024 < share < 1.6 * 81 / 1024
  assert area == 1024


def test_a_ring_is_spread_over_its_radius():
  y, x = np.indices((41, 41)) - 20
  ring = np.abs(np.hypot(y, x) - 15) < 0.5
  np.testing.assert_allclose(locality.spread(one(ring)), 15, atol=0.1)


def test_measures_ignore_scale_sign_and_orientation():
  want = measures(one(gabor() * box(7)))
  for factor, turned in (
    (-1e-9, lambda x: x),
    (1e9, np.transpose),
    (1, np.rot90),
    (2, lambda x: x[:, ::-1]),
    (2, lambda x: np.roll(x, (3, -2), (0, 1))),
  ):
    image = factor * turned(gabor() * box(7))
    np.testing.assert_allclose(measures(one(image)), want, rtol=1e-5)


def test_channels_add_their_energy_at_the_same_pixel():
  colour = noise(3, (8, 8, 3))
  grey = np.sqrt(np.square(colour).sum(axis=-1, keepdims=True))
  np.testing.assert_allclose(measures(colour), measures(grey), rtol=1e-5)


@pytest.mark.parametrize('dtype', ['float16', 'float64', 'int32', 'uint8'])
def test_any_real_dtype(dtype):
  filters = (20 * np.abs(noise(4, (7, 8, 3)))).astype(dtype)
  want = measures(filters.astype(np.float64), 3)
  np.testing.assert_allclose(measures(filters, 3), want, rtol=1e-12)
  result = locality.measure(filters, draws=3)
  np.testing.assert_array_equal(result.spread.value, want[0])
  assert locality.measure_pairs(filters).image.value.max() <= 1 + 1e-6


def test_a_kernel_and_its_copy_have_the_same_measures():
  # The filters of a kernel are a view, whose units are last in memory.
  kernel = noise(6, (60,)).T
  filters = locality.from_kernel(kernel, (4, 5, 3))
  assert np.shares_memory(filters, kernel)
  np.testing.assert_allclose(
    measures(filters), measures(filters.copy()), rtol=1e-12
  )


def test_from_kernel_undoes_flattening():
  filters = noise(7, (4, 5, 3))
  kernel = filters.reshape(7, -1).T
  np.testing.assert_array_equal(
    locality.from_kernel(kernel, (4, 5, 3)), filters
  )


@pytest.mark.parametrize('shape', [(59, 7), (60, 2, 7), (3, 3, 3, 7)])
def test_from_kernel_rejects_what_is_no_dense_layer(shape):
  with pytest.raises(ValueError, match='not that of a dense layer'):
    locality.from_kernel(np.zeros(shape), (4, 5, 3))


# The null model.


def shuffled(filters, rng):
  """Each filter's pixels at random places, channels together."""
  units, height, width, channels = filters.shape
  pixels = filters.reshape(units, height * width, channels)
  return np.stack([rng.permutation(f) for f in pixels]).reshape(filters.shape)


@pytest.mark.parametrize('density', [1.0, 0.05])
def test_nulls_are_the_measures_of_shuffled_filters(density):
  rng = np.random.default_rng(1)
  filters = noise(3, (9, 7, 3)) * (rng.random((3, 9, 7, 1)) < density)
  filters[:, :2, 0] += 1
  want = np.stack([measures(shuffled(filters, rng), 3) for _ in range(1500)])
  spread, _, share, area = want.transpose(1, 2, 0)
  for got, draws in (
    (locality.null_spread(filters, 1500), spread),
    (locality.null_window_share(filters, 3, 1500), share),
  ):
    assert got.shape == draws.shape
    np.testing.assert_allclose(got.mean(1), draws.mean(1), rtol=0.02)
    np.testing.assert_allclose(got.std(1), draws.std(1), rtol=0.1)
    for a, b in zip(got, draws, strict=True):
      a, b = (np.round(x.astype(float), 5) for x in (a, b))
      assert scipy.stats.ks_2samp(a, b).pvalue > 1e-3
  exact = locality.null_box_area(
    np.count_nonzero(filters.any(axis=-1), axis=(1, 2)), (9, 7)
  )
  counts = [np.bincount(a.astype(int), minlength=64) / 1500 for a in area]
  np.testing.assert_allclose(exact, counts, atol=0.05)


def test_on_the_torus_nulls_are_the_measures_of_the_same_shuffles():
  rng = np.random.default_rng(1)
  filters = noise(3, (6, 5, 2)) * (rng.random((3, 6, 5, 1)) < 0.2)
  filters[:, :2, 0] += 1
  pixels = np.tile(np.arange(30), (7, 1))
  draws = np.random.default_rng((0, 0)).permuted(pixels, axis=1)
  shuffles = filters.reshape(3, 30, 2)[:, draws].reshape(3, 7, 6, 5, 2)
  want = [measures(x, 3, periodic=True) for x in shuffles]
  spread, _, share, area = np.stack(want, axis=1)
  result = locality.measure(filters, draws=7, window=3, periodic=True)
  for null, found, want in (
    (locality.null_spread(filters, 7, periodic=True), result.spread, spread),
    (
      locality.null_window_share(filters, 3, 7, periodic=True),
      result.window_share,
      share,
    ),
    (locality.null_torus_box_area(filters, 7), result.box_area, area),
  ):
    np.testing.assert_allclose(null, want, rtol=1e-5)
    np.testing.assert_allclose(found.null_mean, want.mean(1), rtol=1e-5)
  own = measures(filters, 3, periodic=True)
  got = result.spread, result.ipr, result.window_share, result.box_area
  np.testing.assert_allclose([f.value for f in got], own)
  more = (area <= own[3][:, None]).mean(axis=1)
  np.testing.assert_allclose(result.box_area.percentile, more)


@pytest.mark.parametrize('shape', [(3, 4), (1, 5), (4, 1)])
def test_the_null_of_the_box_is_exact(shape):
  places = list(np.ndindex(*shape))
  for n in range(1, len(places) + 1):
    want = np.zeros(len(places) + 1)
    for subset in itertools.combinations(places, n):
      low, high = np.min(subset, axis=0), np.max(subset, axis=0)
      want[np.prod(high - low + 1)] += 1
    got = locality.null_box_area(np.array([n]), shape)[0]
    np.testing.assert_allclose(got, want / want.sum(), atol=1e-12)


def test_the_null_of_the_box_on_a_large_image_is_a_distribution():
  got = locality.null_box_area(np.arange(1025), (32, 32))
  assert np.isnan(got[0]).all()
  assert (got[1:] >= 0).all()
  np.testing.assert_allclose(got[1:].sum(axis=1), 1, rtol=1e-11)
  np.testing.assert_allclose(got[-1, 1024], 1)


def test_null_has_the_mean_square_that_arithmetic_gives():
  # For shares p of P pixels whose positions have variance S:
  # E[spread²] = S (1 - Σp²) P / (P - 1).
  filters = noise(4) * (noise(4, seed=1) > 1.5)
  s = 2 * (16**2 - 1) / 12
  want = s * (1 - locality.ipr(filters)) * 256 / 255
  null = locality.null_spread(filters, draws=4000)
  np.testing.assert_allclose(np.square(null).mean(axis=1), want, rtol=0.03)


def test_null_keeps_the_channels_of_a_pixel_together():
  # One pixel of three channels has no spread wherever it stands.
  filters = np.zeros((1, 8, 8, 3), np.float32)
  filters[0, 2, 2] = 1
  assert (locality.null_spread(filters, draws=20) < 1e-5).all()
  assert (locality.null_window_share(filters, 1, draws=20) == 1).all()


@pytest.mark.parametrize(
  'null', [locality.null_spread, locality.null_window_share]
)
def test_null_follows_its_seed_and_does_not_repeat_in_the_next_block(null):
  filters = np.repeat(noise(1), 600, axis=0)
  got = null(filters, draws=5)
  np.testing.assert_array_equal(got, null(filters, draws=5))
  assert not np.allclose(got, null(filters, draws=5, seed=1))
  np.testing.assert_allclose(got[0], got[511])
  assert not np.allclose(got[0], got[512])


# Filters against their null.


def test_percentiles_of_filters_without_structure_are_uniform():
  rng = np.random.default_rng(0)
  filters = noise(2000) * (rng.random((2000, 16, 16, 1)) < 0.15)
  result = locality.measure(filters)
  for name in ('spread', 'window_share'):
    found = getattr(result, name)
    counts, _ = np.histogram(found.percentile, bins=5, range=(0, 1))
    np.testing.assert_allclose(counts, 400, atol=80)
    assert abs(found.z.mean()) < 0.1
    assert found.z.std() == pytest.approx(1, abs=0.1)
    assert found.ratio.mean() == pytest.approx(1, abs=0.02)
  # Of whole numbers, P(percentile ≤ p) ≤ p.
  for p in (0.05, 0.2, 0.5):
    assert (result.box_area.percentile <= p).mean() < p + 0.03
  assert abs(result.box_area.z.mean()) < 0.1
  assert np.mean(result.spread.percentile < 0.05) == pytest.approx(
    0.05, abs=0.02
  )
  # These filters are sparse; those of a dense layer are never local by chance.
  found = locality.summary(result)
  assert found.local_of_all == pytest.approx(found.chance_of_all, abs=0.02)
  assert 0.03 < found.chance_of_all < 0.06
  assert locality.measure(noise(50, (32, 32, 1))).chance.max() == 0


def test_all_that_is_measured_is_of_these_filters_and_this_window():
  rng = np.random.default_rng(0)
  shape = 8, 7, 3
  filters = noise(40, shape) * (rng.random((40, 8, 7, 1)) < 0.1)
  filters[:, 2, 3, 1] = 1  # none is without weights
  result = locality.measure(filters, draws=100, seed=5, window=3)
  got = [f.value for f in (result.spread, result.ipr)]
  got += [result.window_share.value, result.box_area.value]
  np.testing.assert_array_equal(got, measures(filters, 3))
  np.testing.assert_array_equal(result.nonzero, (filters != 0).sum((1, 2, 3)))
  # Against the draws, one by one.
  null = locality.null_window_share(filters, 3, draws=100, seed=5)
  np.testing.assert_allclose(result.window_share.null_mean, null.mean(1), 1e-6)
  null = locality.null_spread(filters, draws=100, seed=5)
  want = (null <= result.spread.value[:, None]).mean(axis=1)
  np.testing.assert_allclose(result.spread.percentile, want, atol=0.011)
  want = (result.spread.value - null.mean(1)) / null.std(1, ddof=1)
  np.testing.assert_allclose(result.spread.z, want, rtol=1e-6)
  # Boxes are of pixels, of which there are fewer than of values.
  boxes = [
    locality.box_area(np.stack([shuffled(x[None], rng)[0] for _ in range(500)]))
    for x in filters[:5]
  ]
  np.testing.assert_allclose(
    result.box_area.null_mean[:5], np.mean(boxes, axis=1), rtol=0.05
  )


def test_local_is_below_both_thresholds():
  nothing = np.full(4, np.nan)
  percentile = np.array([0.049, 0.051, 0.0, 0.0])
  ratio = np.array([0.89, 0.5, 0.91, 0.89])
  spread = compare.Compared(10 * ratio, np.full(4, 10.0), nothing, percentile)
  others = [compare.without_null(nothing)] * 3
  result = locality.Locality(np.full(4, 30), spread, *others, nothing)
  np.testing.assert_array_equal(result.local, [True, False, False, True])


@pytest.mark.parametrize('options', [{'draws': 0}, {'window': 0}])
def test_nothing_can_be_compared_with_no_draws(options):
  with pytest.raises(ValueError, match=r'=0.* must be 1 or more'):
    locality.measure(noise(2), **options)


def test_a_layer_without_filters():
  filters = np.zeros((0, 6, 5, 3), np.float32)
  result = locality.measure(filters)
  found = locality.summary(result, locality.measure_pairs(filters))
  assert (found.filters, found.counted) == (0, 0)
  assert np.isnan(found.local_of_all) and np.isnan(found.repeats)
  for null in (locality.null_spread, locality.null_window_share):
    assert null(filters, draws=7).shape == (0, 7)


def test_noise_in_a_window_is_local_and_a_ring_is_not():
  window = noise(64)
  window[:, 8:] = 0
  window[:, :, :8] = 0
  y, x = np.indices((16, 16)) - 7.5
  ring = noise(64) * (np.hypot(y, x) > 8)[:, :, None]
  inside, outside = map(locality.measure, (window, ring))
  assert (inside.spread.percentile == 0).all()
  assert (inside.window_share.percentile == 0).all()
  assert (inside.box_area.percentile < 1e-9).all()
  assert inside.local.all()
  assert (inside.spread.z < -5).all() and (inside.window_share.z > 5).all()
  assert (outside.spread.percentile == 1).all()
  assert not outside.local.any()


def test_what_is_hardly_smaller_than_its_null_is_not_local():
  # In dense filters a little more weight in the middle is significant.
  y, x = np.indices((32, 32)) - 15.5
  envelope = np.exp(-(x**2 + y**2) / (2 * 35**2))[:, :, None]
  result = locality.measure(noise(64, (32, 32, 3)) * envelope)
  assert np.mean(result.spread.percentile < locality.LEVEL) > 0.9
  assert np.median(result.spread.ratio) > locality.EFFECT
  assert not result.local.any()


def test_rows_of_a_convolution_are_equally_local():
  filters = rows_of_a_convolution()
  result = locality.measure(filters, draws=50)
  np.testing.assert_allclose(
    result.spread.value, result.spread.value[0], rtol=1e-5
  )
  assert result.local.all()
  assert (result.nonzero == 60).all()
  assert (result.box_area.value == 20).all()
  np.testing.assert_allclose(result.window_share.value, 1)


def test_ties_count_as_no_larger():
  # Two equal pixels, side by side: null draws are that compact only when
  # they are neighbours too, which then is a tie whatever the rounding.
  image = np.zeros((3, 3))
  image[0, :2] = 0.3
  result = locality.measure(one(image), draws=4000, window=2)
  assert result.spread.percentile[0] == pytest.approx(12 / 36, abs=0.03)
  # Both in a window of 2 x 2: neighbours, or on a diagonal.
  assert result.window_share.percentile[0] == pytest.approx(20 / 36, abs=0.03)
  assert result.box_area.percentile[0] == pytest.approx(12 / 36)


def test_there_is_no_z_where_the_null_does_not_vary():
  filters = np.concatenate(
    [one(np.ones((16, 16))), one(box(1)), one(np.zeros((16, 16)))]
  )
  result = locality.measure(filters, draws=20)
  for found in (result.spread, result.window_share, result.box_area):
    assert np.isnan(found.z).all()
    assert np.isnan(found.percentile).all()
    assert np.isnan(found.ratio).all()
    np.testing.assert_array_equal(np.isnan(found.value), [0, 0, 1])
  assert np.isnan(result.ipr.z).all()  # of any filter
  assert not result.local.any()


def test_filters_that_are_not_finite_have_no_measures():
  filters = noise(3)
  filters[0, 0, 0], filters[1, 3, 3] = np.nan, np.inf
  result = locality.measure(filters, draws=5)
  for name in ('spread', 'ipr', 'window_share'):
    value = getattr(result, name).value
    np.testing.assert_array_equal(np.isnan(value), [1, 1, 0])
  assert not result.local[:2].any()


# Summaries.


def test_filters_without_weights_are_part_of_all_only():
  filters = np.zeros((4, 16, 16, 1), np.float32)
  filters[0] = one(box(5))[0]  # counted, local
  filters[1] = 1  # counted, shuffling changes nothing
  filters[2] = one(box(2))[0]  # local, not counted
  result = locality.measure(filters)
  got = locality.summary(result)
  assert (got.filters, got.counted) == (4, 2)
  assert got.local_of_all == 0.5
  assert got.local_of_counted == 0.5
  assert got.spread.z == result.spread.z[0]
  assert got.spread.ratio == result.spread.ratio[0] < 0.5
  for name in ('spread', 'ipr', 'window_share', 'box_area'):
    value = getattr(result, name).value
    assert getattr(got, name).value == np.median(value[:2])
  assert np.isnan([got.correlation.value, got.repeats]).all()
  assert np.isnan(got.ipr.z)


def test_summary_of_dead_filters_has_no_median():
  filters = np.zeros((3, 4, 4, 1))
  result = locality.measure(filters, draws=2)
  got = locality.summary(result, locality.measure_pairs(filters))
  assert (got.counted, got.local_of_all) == (0, 0)
  assert np.isnan([got.local_of_counted, got.spread.value, got.repeats]).all()
  assert np.isnan(locality.summary(result, least=0).spread.z)


def test_metrics_are_what_json_can_hold():
  filters = noise(30)
  found = locality.metrics(filters.reshape(30, -1).T, (16, 16, 1))
  json.dumps(found, allow_nan=False)
  pairs = locality.measure_pairs(filters, compared=200)
  assert len(pairs.image.value) == math.comb(30, 2)
  want = locality.summary(locality.measure(filters), pairs)
  assert found['spread'] == want.spread.value
  assert found['spread_z'] == want.spread.z
  assert found['local_of_all'] == want.local_of_all
  assert found['correlation_ratio'] == want.correlation.ratio
  assert found['correlation_in_box_z'] == want.correlation_in_box.z
  assert found['chance_of_all'] == want.chance_of_all
  quick = locality.metrics(filters.reshape(30, -1).T, (16, 16, 1), quick=True)
  pairs = locality.measure_pairs(filters, pairs=200)
  assert quick['correlation'] == np.median(pairs.image.value)
  assert quick['spread'] == found['spread']
  assert 'ipr' in found and 'ipr_z' not in found


@pytest.mark.parametrize(('units', 'size'), [(7, 7), (38400, 1000)])
def test_a_sample_is_the_same_every_time(units, size):
  got = locality.sample(units)
  np.testing.assert_array_equal(got, locality.sample(units))
  assert len(np.unique(got)) == size and got.max() < units
  # From anywhere, in their order.
  assert got.max() > 0.98 * (units - 1)
  assert (np.diff(got) > 0).all()


# How filters repeat.


@pytest.mark.parametrize('shape', [(6, 5, 3), (4, 7, 1), (1, 5, 2)])
def test_best_shift_correlation_is_scipys(shape):
  a, b = noise(8, shape), noise(8, shape, seed=1)
  want = [
    sum(
      scipy.signal.correlate(x[..., c], y[..., c], method='direct')
      for c in range(shape[-1])
    ).max()
    / (np.linalg.norm(x) * np.linalg.norm(y))
    for x, y in zip(a, b, strict=True)
  ]
  got = locality.best_shift_correlation(a, b)
  np.testing.assert_allclose(got, want, rtol=1e-4)
  # From the other's point of view it is the opposite shift.
  np.testing.assert_allclose(
    got, locality.best_shift_correlation(b, a), rtol=1e-4
  )


def test_a_moved_filter_is_the_same_and_its_negative_is_not():
  a, b = one(gabor(at=(6, 6)) * box(7, (3, 3))), one(box(3))
  moved = np.roll(a, (4, 5), axis=(1, 2))
  got = [
    locality.best_shift_correlation(a, x)[0] for x in (3 * moved, -a, 0 * b)
  ]
  assert got[0] == pytest.approx(1, abs=1e-5)
  assert got[1] < 0.9
  assert np.isnan(got[2])
  # What leaves the image is lost: it does not come in again.
  edge = one(np.eye(16)[:, :1] * np.ones(16))
  other = one(np.eye(16)[:, -1:] * np.ones(16))
  assert locality.best_shift_correlation(edge, other)[0] == pytest.approx(1)
  wrapped = np.roll(one(box(4)), (-6, 0), axis=(1, 2))
  assert locality.best_shift_correlation(one(box(4)), wrapped)[0] < 0.9


@pytest.mark.parametrize('shape', [(6, 5, 3), (1, 5, 2)])
def test_on_the_torus_a_shift_loses_nothing(shape):
  a, b = noise(4, shape), noise(4, shape, seed=1)
  norms = (np.sqrt((x**2).sum((1, 2, 3))) for x in (a, b))
  want = (shifts(a) * b).sum((2, 3, 4)).max(0) / math.prod(norms)
  got = locality.best_shift_correlation(a, b, periodic=True)
  np.testing.assert_allclose(got, want, rtol=1e-4)
  wrapped = np.roll(one(box(4)), (-6, 0), axis=(1, 2))
  assert locality.best_shift_correlation(one(box(4)), wrapped, True) > 0.999
  # Inside of its box, whose places are all alike, nothing can be shuffled.
  boxes = np.concatenate([wrapped, one(box(4)), wrapped])
  found = locality.measure_pairs(boxes, least=1, periodic=True)
  np.testing.assert_allclose(found.image.value, 1, rtol=1e-4)
  assert np.isnan(found.box.z).all() and (found.image.ratio > 1.5).all()


def test_rows_of_a_convolution_repeat():
  found = locality.measure_pairs(rows_of_a_convolution())
  for against, ratio in ((found.image, 2), (found.box, 1.3)):
    np.testing.assert_allclose(against.value, 1, rtol=1e-4)
    assert (against.percentile == 0).all()
    assert np.median(against.ratio) > ratio


def test_what_is_local_and_not_shared_repeats_as_shuffles_of_its_box_do():
  filters = np.zeros((80, 16, 16, 2), np.float32)
  patches = noise(80, (6, 5, 2), seed=1)
  rng = np.random.default_rng(0)
  for image, patch in zip(filters, patches, strict=True):
    y, x = rng.integers(11, size=2)
    image[y : y + 6, x : x + 5] = patch
  found = locality.measure_pairs(filters, pairs=600, draws=19)
  assert np.median(found.image.ratio) > 1.5
  assert np.median(found.image.z) > 2
  assert np.median(found.box.ratio) == pytest.approx(1, abs=0.04)
  assert abs(np.median(found.box.z)) < 0.2
  counts, _ = np.histogram(found.box.percentile, 4, range=(-0.01, 1.01))
  np.testing.assert_allclose(counts, 600 / 4, atol=60)


def test_one_in_so_many_pairs_of_a_convolution_has_the_same_channel():
  filters = rows_of_a_convolution(shape=(20, 20, 3), channels=4)
  found = locality.measure_pairs(filters)
  same = found.image.value > 0.999
  assert same.mean() == pytest.approx(1 / 4, abs=0.03)
  got = locality.summary(locality.measure(filters, draws=2), found)
  assert got.repeats == same.mean()


def test_repeats_are_pairs_from_nine_tenths_on():
  value = np.array([0.88, 0.89, 0.91, 0.95, np.nan])
  found = compare.without_null(value)
  result = locality.measure(noise(5), draws=2)
  assert locality.summary(result, locality.Pairs(found, found)).repeats == 0.5


def test_the_rows_are_those_of_a_convolution():
  x = noise(2, (14, 13, 3))
  filters = rows_of_a_convolution(channels=2)
  kernel = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
  conv = nn.Conv(2, (5, 4), padding='VALID', use_bias=False)
  want = conv.apply({'params': {'kernel': kernel.transpose(1, 2, 3, 0)}}, x)
  got = np.einsum('bhwc,uhwc->bu', x, filters)
  np.testing.assert_allclose(got, want.reshape(2, -1), atol=1e-4)


def test_noise_repeats_as_its_null_does():
  found = locality.measure_pairs(noise(120, (9, 8, 2)), pairs=1500, draws=19)
  for against in found:  # the box of noise is the image
    assert abs(np.mean(against.z)) < 0.1
    assert np.mean(against.ratio) == pytest.approx(1, abs=0.02)
  counts, _ = np.histogram(found.image.percentile, 4, range=(-0.01, 1.01))
  np.testing.assert_allclose(counts, 1500 / 4, atol=90)


def test_the_null_of_pairs_is_of_shuffled_filters():
  a, b = (
    rows_of_a_convolution((8, 9, 2), (3, 3))[[0, 9, 20]],
    noise(3, (8, 9, 2)),
  )
  rng = np.random.default_rng(0)
  want = [
    locality.best_shift_correlation(shuffled(a, rng), shuffled(b, rng))
    for _ in range(400)
  ]
  got = locality.null_correlation(a, b, draws=400)
  np.testing.assert_allclose(got.mean(1), np.mean(want, 0), rtol=0.05)
  np.testing.assert_allclose(got.std(1), np.std(want, 0), rtol=0.2)


def in_boxes(filters, rng):
  """Filters with the pixels of each one's own box shuffled."""
  result = filters.copy()
  for image in result:
    ys, xs = np.nonzero(image.any(axis=-1))
    part = image[min(ys) : max(ys) + 1, min(xs) : max(xs) + 1]
    part[:] = rng.permutation(part.reshape(-1, part.shape[-1])).reshape(
      part.shape
    )
  return result


def test_the_null_inside_the_box_is_of_filters_shuffled_there():
  a = rows_of_a_convolution((8, 9, 2), (3, 4))[[0, 9, 20]]
  b = noise(3, (8, 9, 2))
  b[0, 2:], b[1, :, :5], b[2, ::3] = 0, 0, 0
  rng = np.random.default_rng(0)
  want = [
    locality.best_shift_correlation(in_boxes(a, rng), in_boxes(b, rng))
    for _ in range(400)
  ]
  got = locality.null_correlation(a, b, draws=400, inside_box=True)
  np.testing.assert_allclose(got.mean(1), np.mean(want, 0), rtol=0.05)
  np.testing.assert_allclose(got.std(1), np.std(want, 0), rtol=0.2)


def test_the_null_of_pairs_does_not_repeat_in_the_next_block():
  a = np.repeat(noise(1, (6, 6, 1)), 300, axis=0)
  got = locality.null_correlation(a, a[::-1], draws=1)
  assert len(np.unique(got)) > 290


def test_fewer_pairs_may_be_compared_than_are_measured():
  filters = noise(40, (6, 6, 1))
  found = locality.measure_pairs(filters, pairs=100, compared=30)
  a, b = locality.pairs(40, 100).T
  a, b = filters[a], filters[b]
  value = locality.best_shift_correlation(a, b)
  for against, inside in zip(found, (False, True), strict=True):
    np.testing.assert_array_equal(against.value, value)
    null = locality.null_correlation(a[:30], b[:30], inside_box=inside)
    np.testing.assert_allclose(against.null_mean[:30], null.mean(axis=1), 1e-6)
    assert np.isnan(against.z[30:]).all() and not np.isnan(against.z[:30]).any()


@pytest.mark.parametrize('units', [0, 1, 2, 3, 17, 38400])
def test_pairs_are_distinct_and_of_different_units(units):
  got = locality.pairs(units, 120)
  assert len(got) == min(120, math.comb(units, 2))
  assert (got[:, 0] < got[:, 1]).all()
  assert ((got >= 0) & (got < max(1, units))).all()
  assert len(np.unique(got, axis=0)) == len(got)
  np.testing.assert_array_equal(got, locality.pairs(units, 120))


def test_all_pairs_are_equally_likely():
  counts = np.zeros((6, 6))
  for seed in range(1500):
    np.add.at(counts, tuple(locality.pairs(6, 3, seed).T), 1)
  np.testing.assert_allclose(counts[np.triu_indices(6, 1)], 300, atol=75)


def test_pairs_are_of_filters_with_enough_weights():
  filters = noise(30)
  filters[10:, 4:] = 0
  filters[10:, :, 4:] = 0  # 16 values
  assert len(locality.measure_pairs(filters).box.value) == math.comb(10, 2)
  found = locality.measure_pairs(filters, 0)
  assert len(found.image.value) == math.comb(30, 2)


@pytest.mark.parametrize(
  ('shape', 'counted'), [((1, 25, 1), 4), ((5, 5, 1), 1), ((1, 1, 25), 1)]
)
def test_filters_of_signals_count_with_fewer_weights(shape, counted):
  filters = noise(5, (25,))
  for unit, nonzero in enumerate((25, 19, 6, 5, 4)):
    filters[unit, nonzero:] = 0
  filters = filters.reshape(5, *shape)
  found = locality.metrics(filters.reshape(5, -1).T, shape)
  assert found['counted'] == counted
  pairs = locality.measure_pairs(filters).image.value
  assert len(pairs) == math.comb(counted, 2)


# Comparisons.


def test_with_distribution_is_with_many_draws():
  probabilities = np.array([[0, 0.2, 0.5, 0.3], [0, 0, 1, 0]])
  value = np.array([1.0, 2.0])
  rng = np.random.default_rng(0)
  draws = np.stack([rng.choice(4, 20000, p=p) for p in probabilities])
  want = compare.with_draws(value, draws.astype(float), tie=1e-9)
  got = compare.with_distribution(value, probabilities)
  np.testing.assert_allclose(got, want, atol=0.03)
  assert np.isnan(got.z[1])


# In training.


@pytest.fixture(scope='module')
def logged(tmp_path_factory):
  """The folders of a single run and of two that trained side by side."""
  root = tmp_path_factory.mktemp('runs')
  fields = {
    'train.epochs': 2,
    'train.log_locality': True,
    'data.augment': 'none',
  }
  alone = small.config(**fields)
  train.train_and_evaluate(alone, root / 'alone')
  both = {
    str(lr): small.config(**fields, **{'optim.lr': lr}) for lr in (0.1, 0.2)
  }
  assert not train.train_all(both, root)
  return root


def rows(folder):
  return [json.loads(s) for s in (folder / 'metrics.jsonl').open()]


def test_a_run_logs_its_locality(logged):
  first, last = rows(logged / 'alone')
  assert first['locality/filters'] == 256
  assert first['locality/spread'] != last['locality/spread']
  assert 0 <= last['locality/local_of_all'] <= 1
  assert last['locality/spread_ratio'] == pytest.approx(1, abs=0.2)


def test_a_run_ends_with_the_locality_of_its_best_net(logged):
  done = json.loads((logged / 'alone' / 'done.json').read_text())
  kernel = checkpoint.load_net(logged / 'alone')['params']['conv1']['kernel']
  assert done['locality'] == locality.metrics(
    np.asarray(kernel), tuple(done['image_shape']), periodic=True
  )
  assert done['best']['locality/spread'] == done['locality']['spread']


def test_runs_side_by_side_log_each_its_own(logged):
  one, two = (rows(logged / name)[-1] for name in ('0.1', '0.2'))
  alone = rows(logged / 'alone')[-1]
  assert one['locality/spread'] == pytest.approx(alone['locality/spread'])
  assert one['locality/spread'] != two['locality/spread']
  done = json.loads((logged / '0.2' / 'done.json').read_text())
  assert done['best']['locality/spread'] == done['locality']['spread']


def test_unasked_nothing_is_logged_until_the_end(tmp_path):
  config = small.config(**{'train.epochs': 1, 'data.augment': 'none'})
  done = train.train_and_evaluate(config, tmp_path)
  assert not any(key.startswith('locality/') for key in rows(tmp_path)[0])
  assert done['locality']['filters'] == 256
  config.train.log_locality = True  # does not make it another run
  assert train.train_and_evaluate(config, tmp_path) == done


def test_a_net_with_windows_has_no_locality_to_log():
  config = small.config(**{'train.log_locality': True, 'model.name': 's_conv'})
  with pytest.raises(errors.UsageError, match=r'log_locality=True.*s_conv'):
    train.check.check(config)
  for name in ('s_fc', 'd_fc', 'fc3'):
    config.model.name = name
    train.check.check(config)


# The command.


@pytest.fixture
def kernels():
  """The first layers of the runs in `folders`."""
  return {
    'fc': noise(32, (64,)).T,
    'local': noise(4, (4, 2, 9, 9, 1)).reshape(4, 4, 2, 9, 9, 1),
    'conv': noise(2, (9, 9, 1)),
    'young': None,
  }


@pytest.fixture
def folders(tmp_path, monkeypatch, kernels):
  """Run folders of a dense, a LOCAL and a CONV net, and one not finished."""
  for name, kernel in kernels.items():
    folder = tmp_path / name
    folder.mkdir()
    net = 's_fc' if kernel is None else f's_{name}'
    config = small.config(**{'model.name': net, 'model.base_channels': 2})
    (folder / 'config.json').write_text(config.to_json())
    if kernel is not None:
      done = {'best': {'epoch': 1}, 'image_shape': [8, 8, 1], 'weights': {}}
      (folder / 'done.json').write_text(json.dumps(done))

  def load_net(path, which='best', config=None):
    model = runs.read(path).config.model
    return fake_runs.variables(model, kernels[path.name], (8, 8, 1))

  monkeypatch.setattr(checkpoint, 'load_net', load_net)
  return tmp_path


def test_the_command_prints_tables_and_draws(folders, capsys):
  out = folders / 'out'
  names = ('fc', 'local', 'conv', 'young')
  status = command.main(
    [
      *(str(folders / name) for name in names),
      f'--out={out}',
      f'--csv={out / "table.csv"}',
      '--window=3',
    ]
  )
  assert status == 0
  printed = capsys.readouterr().out
  assert f'no filters of {folders / "young"}: the run is not' in printed
  for suffix in ('png', 'pdf'):
    assert (out / f'locality.{suffix}').stat().st_size > 1000
  caption = (out / 'locality.txt').read_text(encoding='utf-8')
  assert f'  python -m lconv_jax.locality {folders / "fc"} ' in caption
  listed = [re.search(rf'^  .*/{name}: S-', caption, re.M) for name in names]
  assert list(map(bool, listed)) == [True, True, True, False]
  assert 'energy in the best window of 3 x 3 (%)' in printed
  assert len({len(s) for s in printed.split('\n\n')[1].splitlines()}) == 1
  with open(out / 'table.csv', encoding='utf-8') as f:
    fc, local, conv = csv.DictReader(f)
  assert fc['method'].startswith('S-FC β-LASSO')
  assert [row['filters'] for row in (fc, local, conv)] == ['32', '32', '32']
  assert [row['counted'] for row in (fc, local, conv)] == ['32', '32', '32']
  assert fc['ipr_z'] == ''
  assert float(fc['spread_ratio']) == pytest.approx(1, abs=0.1)
  assert f'{float(fc["spread"]):.3g}' in printed
  (share,) = re.findall(r'window of 3 x 3.*\n(.*)', printed)
  filters = report.filters(runs.read(folders / 'fc'))
  found = locality.measure(filters, window=3, periodic=True)  # as NLGP's images
  want = locality.summary(found).window_share
  assert share.split()[-5:-2] == [
    f'{100 * want.value:.3g}', f'{100 * want.null_mean:.3g}',
    f'{want.ratio:.3g}',
  ]  # fmt: skip


def test_the_commands_seed_is_that_of_the_shuffles(folders):
  one, two = (
    command._layers([str(folders / 'fc')], 3, seed)[0][0].measured
    for seed in (0, 1)
  )
  assert (one.found.spread.value == two.found.spread.value).all()
  assert (one.found.spread.z != two.found.spread.z).any()
  assert len(one.pairs.image.z) == len(two.pairs.image.z)
  assert sorted(one.pairs.image.z) != sorted(two.pairs.image.z)


@pytest.mark.parametrize('counted', [0, 1])
def test_a_layer_of_hardly_any_weights_is_drawn_all_the_same(
  folders, kernels, counted
):
  kernels['fc'][:, counted:] *= np.eye(1, 64).T
  assert command.main([str(folders / 'fc'), f'--out={folders}']) == 0
  assert (folders / 'locality.png').stat().st_size > 1000


def test_shares_are_of_all_filters_and_of_those_with_weights(
  folders, kernels, capsys
):
  corner = box(5, at=(0, 0), shape=(8, 8)).reshape(-1, 1) > 0
  kernels['fc'][:, :8] *= corner
  kernels['fc'][:, 8:] *= np.eye(1, 64).T
  assert command.main([str(folders / 'fc'), f'--out={folders}']) == 0
  _, row, *_ = capsys.readouterr().out.splitlines()
  assert row.split()[-7:-4] == ['32', '8', '25'] and row.split()[-3] == '100'


def test_weights_that_are_not_finite_are_an_error(folders, kernels, capsys):
  kernels['fc'][3, 3] = np.nan
  assert command.main([str(folders / 'fc')]) == 2
  assert 'weights that are not finite' in capsys.readouterr().err


def test_numbers_out_of_range_are_usage(folders):
  for argv in (['--seed=-1'], ['--window=0']):
    with pytest.raises(SystemExit):
      command.main([str(folders / 'fc'), *argv])


def test_layers_with_windows_are_measured_as_dense_ones(folders, kernels):
  (local,), _ = command._layers([str(folders / 'local')], 9, 0)
  (conv,), _ = command._layers([str(folders / 'conv')], 9, 0)
  for layer, wide in ((local, False), (conv, True)):
    kernel = kernels['conv' if wide else 'local']
    x = noise(3, (8, 8, 1))
    w = windows.window((8, 8), (9, 9), 2)
    padded = np.pad(x, ((0, 0), *w.padding, (0, 0)))
    want = [
      np.einsum(
        'bhwc,hwc->b',
        padded[:, 2 * y : 2 * y + 9, 2 * v : 2 * v + 9],
        kernel[o] if wide else kernel[y, v, o],
      )
      for y, v, o in np.ndindex(4, 4, 2)
    ]
    got = np.einsum('bhwc,uhwc->ub', x, layer.measured.filters)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_the_command_without_any_filters_is_an_error(folders, capsys):
  assert command.main([str(folders / 'young')]) == 2
  captured = capsys.readouterr()
  assert captured.err.startswith('error: no filters of')
  assert captured.err.count('\n') == 1
  assert command.main([str(folders)]) == 2
  assert 'not a run folder' in capsys.readouterr().err
