import numpy as np
import pytest
from PIL import Image

from configs import base
from lconv_jax import data, errors
from lconv_jax.data import arrays, cache


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def load(path, **fields):
  c = base.base().data
  c.update({'name': 'arrays', 'dir': str(path), 'validation': 6, **fields})
  return data.load(c)


def drawn(num=30, shape=(5, 4, 2), seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (num, *shape), np.uint8)


def parts(**changes):
  found = {
    'train_images': drawn(),
    'train_labels': np.arange(30) % 3,
    'test_images': drawn(12, seed=1),
    'test_labels': np.arange(12) % 3,
    **changes,
  }
  return {name: array for name, array in found.items() if array is not None}


def saved(tmp_path, **changes):
  path = tmp_path / 'data.npz'
  np.savez(path, **parts(**changes))
  return path


def test_a_file_is_a_data_set(tmp_path):
  found = load(saved(tmp_path))
  assert (found.name, found.num_classes) == ('arrays', 3)
  assert found.class_names == ()
  assert found.train.images.shape == (24, 5, 4, 2)
  np.testing.assert_array_equal(found.test.images, drawn(12, seed=1))
  assert found.test.labels.dtype == np.int32
  np.testing.assert_array_equal(found.test.labels, np.arange(12) % 3)
  both = np.concatenate([found.train.images, found.validation.images])
  assert sorted(map(bytes, both)) == sorted(map(bytes, drawn()))
  np.testing.assert_array_equal(np.bincount(found.validation.labels), [2] * 3)


def test_a_file_may_name_more_classes_than_it_has(tmp_path):
  found = load(saved(tmp_path, class_names=list('wxyz')))
  assert found.num_classes == 4 and found.class_names == tuple('wxyz')


def test_floats_become_256_levels_and_grey_images_a_channel(tmp_path):
  levels = np.arange(30 * 8) % 256
  images = np.float32(levels / 255).reshape(30, 2, 4)
  path = saved(tmp_path, train_images=images, test_images=images[:12])
  found = load(path, validation=0)
  np.testing.assert_array_equal(found.train.images.ravel(), levels)
  assert found.train.images.shape == (30, 2, 4, 1)


def test_arrays_are_read_once_unless_the_file_changes(tmp_path, monkeypatch):
  read, reads = arrays.read, []
  monkeypatch.setattr(arrays, 'read', lambda p: (reads.append(p), read(p))[1])
  path = saved(tmp_path)
  first, second = load(path), load(path)
  assert len(reads) == 1
  np.testing.assert_array_equal(first.train.images, second.train.images)
  saved(tmp_path, class_names=list('abc'))
  assert load(path).class_names == tuple('abc') and len(reads) == 2


NAN = np.full((30, 5, 4, 2), np.nan, np.float32)


@pytest.mark.parametrize(
  ('changes', 'words'),
  [
    ({'test_labels': None}, 'has no array test_labels'),
    ({'train_images': drawn()[0, 0]}, r'shape \(4, 2\), and images are'),
    ({'train_images': drawn() / 255}, 'has dtype float64; give uint8'),
    ({'train_images': NAN}, 'values from nan to nan'),
    ({'train_images': np.float32(drawn())}, r'scale float32 to \[0, 1\]'),
    ({'test_images': drawn(12, (4, 5, 2))}, 'all must have the same'),
    ({'train_labels': np.arange(29)}, 'for each of the 30 images'),
    ({'train_labels': np.zeros(30)}, 'and dtype float64'),
    ({'train_labels': np.arange(30) - 1}, 'label -1; count'),
    ({'train_labels': np.full(30, 10**9)}, 'no training image with label 0'),
    ({'test_labels': np.arange(12)}, 'no training image with label 3'),
    ({'class_names': ['a', 'b']}, 'a name for each class'),
    ({'train_labels': np.array([None] * 30)}, 'cannot be read as .npz'),
  ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, changes, words):
  with pytest.raises(errors.UsageError, match=words):
    load(saved(tmp_path, **changes))


def test_other_files_are_refused(tmp_path):
  single, text = tmp_path / 'a.npy', tmp_path / 'text.npz'
  np.save(single, drawn())
  text.write_text('images')
  for path in (single, text):
    with pytest.raises(errors.UsageError, match='cannot be read as'):
      load(path)
  for path in ('', tmp_path / 'none.npz'):
    with pytest.raises(errors.UsageError, match='does not exist'):
      load(path)
  with pytest.raises(errors.UsageError, match=r'data\.validation=30 must lie'):
    load(saved(tmp_path), validation=30)


def folder(path, num=4, size=(6, 5), mode='RGB', classes=('cat', 'dog')):
  """Writes images as PNG files, whose pixels say which they are."""
  for i, name in enumerate(classes):
    (path / name).mkdir(parents=True)
    for n in range(num):
      value = (10 * n + i,) * len(Image.new(mode, (1, 1)).getbands())
      value = value if len(value) > 1 else value[0]
      Image.new(mode, size, value).save(path / name / f'{n}.png')
  return path


@pytest.mark.parametrize(('mode', 'channels'), [('RGB', 3), ('L', 1)])
def test_a_folder_of_class_folders_is_a_data_set(tmp_path, mode, channels):
  folder(tmp_path / 'd' / 'train', 4, mode=mode)
  folder(tmp_path / 'd' / 'test', 2, mode=mode)
  found = load(tmp_path / 'd', validation=0)
  assert found.class_names == ('cat', 'dog') and found.num_classes == 2
  assert found.train.images.shape == (8, 5, 6, channels)
  np.testing.assert_array_equal(found.train.labels, [0] * 4 + [1] * 4)
  np.testing.assert_array_equal(
    found.train.images[:, 0, 0, 0], [0, 10, 20, 30, 1, 11, 21, 31]
  )
  np.testing.assert_array_equal(found.test.images[:, 4, 5, 0], [0, 10, 1, 11])


def test_a_tenth_becomes_test_images(tmp_path):
  found = load(folder(tmp_path / 'd', num=20), validation=4)
  sizes = [len(s.labels) for s in (found.train, found.validation, found.test)]
  assert sizes == [32, 4, 4]
  np.testing.assert_array_equal(np.bincount(found.test.labels), [2, 2])
  seen = [
    (*i.ravel()[:1], label)
    for split in found[2:5]
    for i, label in zip(split.images, split.labels, strict=True)
  ]
  assert len(set(seen)) == 40  # each image once, with its own label
  assert all(value % 10 == label for value, label in seen)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
  def refused(path, words):
    with pytest.raises(errors.UsageError, match=words):
      load(path, validation=0)

  sizes = folder(tmp_path / 'sizes')
  Image.new('RGB', (7, 5)).save(sizes / 'dog' / 'x.png')
  refused(sizes, r'6 × 5 pixels and .*x\.png 7 × 5')
  text = folder(tmp_path / 'text')
  (text / 'cat' / 'notes.txt').write_text('no image')
  refused(text, r'notes\.txt is not an image')
  refused(folder(tmp_path / 'one', classes=('cat',)), 'at least two')
  empty = folder(tmp_path / 'empty')
  (empty / 'fox').mkdir()
  refused(empty, 'fox has no images')
  other = tmp_path / 'other'
  folder(other / 'train')
  folder(other / 'test', classes=('cat', 'fox'))
  refused(other, 'the same names in train and test')


def test_files_in_subfolders_change_the_fingerprint(tmp_path):
  path = folder(tmp_path / 'd')
  first = cache.fingerprint(path, '**/*')
  Image.new('RGB', (6, 5)).save(path / 'dog' / 'new.png')
  assert cache.fingerprint(path, '**/*') != first


@pytest.mark.parametrize('shape', [(7, 3), (7,)])
def test_signals_are_images_of_height_1(tmp_path, shape):
  signals = {f'{p}_signals': drawn(30, shape) for p in arrays.PARTS}
  path = saved(
    tmp_path, train_images=None, test_images=None,
    **{**signals, 'test_labels': np.arange(30) % 3},
  )  # fmt: skip
  found = load(path)
  assert found.train.images.shape == (24, 1, 7, *(shape[1:] or (1,)))
  stored = found.test.images.reshape(30, *shape)
  np.testing.assert_array_equal(stored, drawn(30, shape))


@pytest.mark.parametrize(
  ('shapes', 'match'),
  [
    (((4, 4, 2), (7, 2)), r'train_signals in .* \(30, 4, 4, 2\), and sig'),
    (((7, 2), (8, 2)), r'training signals of shape \(1, 7, 2\) and test sig'),
    (((7, 2), None), 'no array test_signals; save all of train_signals, '),
    ((None, (7, 2)), 'no array train_signals; save all of train_signals, '),
    (((0, 2), (0, 2)), 'and signals are'),
  ],
)
def test_what_is_not_signals_is_refused(tmp_path, shapes, match):
  signals = {
    f'{part}_signals': shape and drawn(30, shape)
    for part, shape in zip(arrays.PARTS, shapes, strict=True)
  }
  with pytest.raises(errors.UsageError, match=match):
    load(saved(tmp_path, train_images=None, test_images=None, **signals))
