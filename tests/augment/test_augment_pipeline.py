import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from benchmarks.peers import pillow_augment
from configs import base
from lconv_jax import augment, errors
from lconv_jax.augment import policy, standard
from tests.pictures import images

pytestmark = pytest.mark.usefixtures('optimised')

MEAN, STD = np.float32([0.4, 0.5, 0.6]), np.float32([0.2, 0.25, 0.3])
CIFAR10 = policy.load('fa_reduced_cifar10')
WHOLE = augment.Pipeline(CIFAR10, padding=4, flip=True, cutout=16)


def normalise(x):
  return (x.astype(jnp.float32) / 255 - MEAN) / STD


@pytest.mark.parametrize('padding', [0, 4, 7])
@pytest.mark.parametrize('shape', [(32, 32, 3), (9, 5, 1), (1, 11, 4)])
def test_crop_and_flip(shape, padding):
  rs = np.random.RandomState(0)
  x = np.uint8(rs.randint(1, 256, (60, *shape)))
  corner = np.int32(rs.randint(0, 2 * padding + 1, (60, 2)))
  flip = rs.rand(60) < 0.5
  out = standard.crop_flip(*map(jnp.asarray, (x, corner, flip)), padding)
  p = (padding, padding)
  signals = shape[0] == 1  # are shifted along their length alone
  padded = np.pad(x, ((0, 0), (0, 0) if signals else p, p, (0, 0)))
  for i, (y, c) in enumerate(corner):
    y = 0 if signals else y
    want = padded[i, y : y + shape[0], c : c + shape[1]]
    np.testing.assert_array_equal(out[i], want[:, ::-1] if flip[i] else want)


@pytest.mark.parametrize('size', [0, 1, 2, 16, 20, 100])
def test_erase(size):
  rs = np.random.RandomState(0)
  x, centre = rs.rand(50, 32, 20, 3), rs.randint(0, (32, 20), (50, 2))
  out = standard.erase(jnp.float32(x), jnp.int32(centre), size)
  want = np.float32(x)
  for image, (y, c) in zip(want, centre, strict=True):
    h = size // 2
    image[max(0, y - h) : y + h, max(0, c - h) : c + h] = 0
  np.testing.assert_array_equal(out, want)


def test_the_whole_pipeline_equals_pillows():
  p = policy.load('fa_reduced_svhn')
  whole = augment.Pipeline(p, padding=4, flip=True, cutout=20)
  x, index, key = images(500, 32, 32), jnp.arange(500) * 7, jax.random.key(3)
  choices = whole.draw(key, index, (32, 32))
  ours = jax.jit(lambda x: whole(key, x, index, normalise))(jnp.asarray(x))
  theirs = pillow_augment.replay(x, p, choices, MEAN, STD, 4, 20)
  np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_moved_images_are_augmented_where_their_pixels_were():
  x, index, key = images(40, 8, 6), jnp.arange(40), jax.random.key(0)
  origin = np.random.RandomState(0).permutation(48)
  moved = x.reshape(40, 48, 3)[:, origin].reshape(x.shape)
  whole = augment.Pipeline(padding=2, flip=True, cutout=4)
  want = whole(key, jnp.asarray(x), index, normalise)
  got = whole.before_moving(origin)(key, jnp.asarray(moved), index, normalise)
  np.testing.assert_array_equal(
    got.reshape(40, 48, 3), want.reshape(40, 48, 3)[:, origin]
  )


def test_each_part_can_be_switched_off():
  x, index, key = images(40, 8, 8), jnp.arange(40), jax.random.key(0)

  @functools.cache
  def run(**parts):
    fn = augment.Pipeline(**parts)
    return np.asarray(fn(key, jnp.asarray(x), index, normalise))

  plain = run()
  np.testing.assert_allclose(plain, normalise(jnp.asarray(x)), atol=1e-5)
  parts = {'padding': 4, 'flip': True, 'cutout': 4}
  for name, value in parts.items():
    assert (run(**{name: value}) != plain).any(), name
  for name in parts:
    others = run(**{k: v for k, v in parts.items() if k != name})
    assert (others != run(**parts)).any(), name
  for image, before in zip(run(flip=True), plain, strict=True):
    assert any(np.allclose(image, b) for b in (before, before[:, ::-1]))


def test_what_happens_depends_on_key_and_index_not_on_the_place():
  x, key = jnp.asarray(images(24, 10, 10)), jax.random.key(1)
  index = jnp.arange(24) ** 3 * 4 + 5
  run = jax.jit(lambda key, x, index: WHOLE(key, x, index, normalise))
  whole = run(key, x, index)
  order = np.random.RandomState(0).permutation(24)
  np.testing.assert_array_equal(whole[order], run(key, x[order], index[order]))
  part = slice(3, 11)
  np.testing.assert_array_equal(whole[part], run(key, x[part], index[part]))
  assert (whole != run(jax.random.key(2), x, index)).any()
  assert (whole != run(key, x, index + 1)).any()


COUNT = 200_000


@pytest.fixture(scope='module')
def drawn():
  draw = jax.jit(lambda key, i: WHOLE.draw(key, i, (32, 24)))
  return jax.tree.map(np.asarray, draw(jax.random.key(7), jnp.arange(COUNT)))


def assert_uniform(values, count):
  seen = np.bincount(values, minlength=count)
  assert len(seen) == count
  assert scipy.stats.chisquare(seen).pvalue > 1e-3


def test_sub_policies_crops_and_holes_are_uniform(drawn):
  assert_uniform(drawn.sub_policy, len(CIFAR10))
  assert_uniform(drawn.corner @ [9, 1], 81)
  assert_uniform(drawn.erase @ [24, 1], 32 * 24)
  # With the flip and both signs, all of them independent of each other.
  signs = drawn.flip + 2 * drawn.mirror[:, 0] + 4 * drawn.mirror[:, 1]
  assert_uniform(signs * 9 + drawn.corner[:, 0], 72)
  cell = drawn.centre // 65536 // 8  # 3 x 4 cells of 8 pixels
  assert_uniform(cell[:, 0] @ [4, 1] * 12 + cell[:, 1] @ [4, 1], 144)


def test_operations_come_with_the_policys_frequency(drawn):
  """χ² of applied operations and signs against the policy."""
  probability = np.array([[s.probability for s in sub] for sub in CIFAR10])
  shown = np.bincount(drawn.sub_policy, minlength=len(CIFAR10))[:, None]
  used = np.zeros(probability.shape)
  np.add.at(used, drawn.sub_policy, drawn.use)
  sure = (probability == 0) | (probability == 1)
  np.testing.assert_array_equal(used[sure], (probability * shown)[sure])
  deviation = used - probability * shown
  variance = shown * probability * (1 - probability)
  chi2 = (deviation**2)[~sure] / variance[~sure]
  assert scipy.stats.chi2.sf(chi2.sum(), chi2.size) > 1e-3

  ops = np.array([[augment.OPS.index(s.op) for s in sub] for sub in CIFAR10])
  signed = ops[drawn.sub_policy] * 2 + drawn.mirror
  seen = np.bincount(signed[drawn.use], minlength=2 * len(augment.OPS))
  share = np.bincount(ops.ravel(), probability.ravel()) / len(CIFAR10)
  expected = np.repeat(share / share.sum(), 2) / 2 * seen.sum()
  assert scipy.stats.chisquare(seen, expected).pvalue > 1e-3


def test_steps_and_neighbours_are_independent(drawn):
  later = WHOLE.draw(jax.random.key(8), jnp.arange(COUNT), (32, 24))
  here = drawn.corner[:, 0]
  assert_uniform(here * 9 + np.asarray(later.corner)[:, 0], 81)
  assert_uniform((here[:-1] * 9 + here[1:])[::2], 81)


def data_config(**fields):
  c = base.base()
  c.data.update(fields)
  return c.data


def test_a_config_says_which_parts_there_are():
  shape = (32, 32, 3)
  assert augment.from_config(data_config(augment='none'), shape) == (
    augment.Pipeline()
  )
  c = data_config(augment='flip_crop', crop=3)
  assert augment.from_config(c, shape) == augment.Pipeline(padding=3, flip=True)
  assert augment.from_config(data_config(), shape) == WHOLE
  c = data_config(name='svhn_cropped')
  assert augment.from_config(c, shape) == augment.Pipeline(
    policy.load('fa_reduced_svhn'), 4, True, 20
  )
  c = data_config(policy='none', cutout=8)
  assert augment.from_config(c, shape) == augment.Pipeline(None, 4, True, 8)
  c = data_config(name='cifar100', flip=False, crop=0, cutout=0)
  assert augment.from_config(c, shape) == augment.Pipeline(CIFAR10)


def test_a_policy_file_from_a_config(tmp_path):
  path = tmp_path / 'p.json'
  path.write_text(json.dumps([[['Invert', 1.0, 0.0]]]), encoding='utf-8')
  found = augment.from_config(data_config(policy=str(path)), (8, 8, 3))
  assert found.policy == ((('Invert', 1.0, 0.0),),)


def test_no_images_give_none():
  x = jnp.zeros((0, 8, 8, 3), jnp.uint8)
  out = WHOLE(jax.random.key(0), x, jnp.arange(0), normalise)
  assert out.shape == x.shape


def test_x64_changes_nothing():
  x, index = jnp.asarray(images(64, 9, 9)), jnp.arange(64)
  run = jax.jit(lambda key, x, index: WHOLE(key, x, index, normalise))
  narrow = run(jax.random.key(0), x, index)
  with jax.enable_x64(True):
    wide = run(jax.random.key(0), x, index)
  np.testing.assert_array_equal(narrow, wide)


def test_a_crop_that_leaves_nothing_is_refused():
  with pytest.raises(errors.UsageError, match=r'crop=9 .* 32 x 9 pixels'):
    augment.from_config(data_config(augment='flip_crop', crop=9), (32, 9, 1))


def test_images_that_are_no_rgb_bytes_are_refused():
  choices = WHOLE.draw(jax.random.key(0), jnp.arange(2), (8, 8))
  with pytest.raises(ValueError, match='must be uint8'):
    WHOLE.apply(jnp.zeros((2, 8, 8, 1), jnp.uint8), choices, normalise)


def test_grey_images_are_refused():
  with pytest.raises(errors.UsageError, match=r'1 channel.*flip_crop'):
    augment.from_config(data_config(name='nlgp'), (28, 28, 1))


def test_the_crop_of_signals_needs_no_flip():
  c = data_config(augment='flip_crop', crop=3, flip=False)
  assert augment.from_config(c, (1, 9, 2)) == augment.Pipeline(padding=3)


@pytest.mark.parametrize(
  ('fields', 'match'),
  [
    ({}, 'for RGB images, and those of arrays are signals; choose flip_crop'),
    ({'augment': 'flip_crop'}, 'flip=True would reverse the signals'),
    ({'policy': 'none'}, 'flip=True would reverse the signals'),
    ({'augment': 'flip_crop', 'crop': 9, 'flip': False}, '1 x 9 pixels'),
  ],
)
def test_signals_are_not_augmented_as_images(fields, match):
  c = data_config(name='arrays', **fields)
  with pytest.raises(errors.UsageError, match=match):
    augment.from_config(c, (1, 9, 3))
