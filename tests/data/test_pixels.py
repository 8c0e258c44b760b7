import numpy as np
import pytest

from configs import base
from lconv_jax import data, errors
from lconv_jax.data import pixels

SHAPE = (32, 32, 1)


def config(**fields):
  c = base.base().data
  c.update({'name': 'nlgp', 'validation': 3, **fields})
  c.nlgp.train = c.nlgp.test = 20
  return c


def write(path, cell, permute=5):
  np.savez(path, cell=cell, permute=permute)
  return str(path)


def test_all_images_are_scrambled_by_one_permutation():
  plain, scrambled = data.load(config()), data.load(config(permute=5))
  order = np.random.RandomState(5).permutation(1024)
  assert plain.origin is None
  np.testing.assert_array_equal(scrambled.origin, order)
  for part in ('train', 'validation', 'test'):
    was, now = getattr(plain, part), getattr(scrambled, part)
    want = [image.reshape(1024, 1)[order] for image in was.images]
    np.testing.assert_array_equal(
      now.images, np.reshape(want, now.images.shape)
    )
    np.testing.assert_array_equal(now.labels, was.labels)
    assert now.images.dtype == np.uint8 and now.images.flags.c_contiguous
  np.testing.assert_array_equal(scrambled.mean, plain.mean)
  other = data.load(config(permute=6))
  assert (other.test.images != scrambled.test.images).any()


def test_the_true_layout_undoes_the_permutation(tmp_path):
  true = write(tmp_path / 'true.npz', pixels.permutation(5, 1024))
  plain = data.load(config())
  laid = data.load(config(permute=5, layout=true))
  np.testing.assert_array_equal(laid.test.images, plain.test.images)
  np.testing.assert_array_equal(laid.origin, np.arange(1024))


def test_a_pixel_goes_to_its_cell_and_can_be_put_back(tmp_path):
  cell = np.random.RandomState(1).permutation(1024)
  c = config(permute=5, layout=write(tmp_path / 'g.npz', cell))
  scrambled = data.load(config(permute=5)).test.images.reshape(20, 1024)
  laid = data.load(c)
  for p in range(0, 1024, 37):
    got = laid.test.images.reshape(20, 1024)[:, cell[p]]
    np.testing.assert_array_equal(got, scrambled[:, p])
  back = pixels.put_back(laid.test.images, laid.origin)
  np.testing.assert_array_equal(back, data.load(config()).test.images)
  assert pixels.put_back(back, None) is back


def test_what_is_not_a_layout_is_refused(tmp_path):
  (tmp_path / 'text.npz').write_text('no')
  np.savez(tmp_path / 'other.npz', x=np.zeros(3))
  for name in ('missing.npz', 'text.npz', 'other.npz'):
    with pytest.raises(errors.UsageError, match=f'{name} cannot be read'):
      data.load(config(layout=str(tmp_path / name)))
  for wrong in (np.arange(1023), np.zeros(1024, int), np.arange(1, 1025)):
    path = write(tmp_path / 'wrong.npz', wrong)
    with pytest.raises(errors.UsageError, match='32 x 32 pixels a cell of'):
      pixels.cells(config(permute=5, layout=path), SHAPE)
  other = write(tmp_path / 'of_5.npz', np.arange(1024))
  with pytest.raises(errors.UsageError, match=r'permute=5, not 6; set'):
    pixels.cells(config(permute=6, layout=other), SHAPE)
