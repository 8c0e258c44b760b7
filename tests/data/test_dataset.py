import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from configs import base
from lconv_jax import data, errors
from lconv_jax.data import cache, dataset, prepared

SHARED = pathlib.Path(__file__).parents[3] / 'shared' / 'data'


def config(**fields):
  c = base.base().data
  c.validation = 7
  c.nlgp.train = c.nlgp.test = 90
  c.update_from_flattened_dict(fields)
  return c


def images(num, seed):
  """Each image starts with its own number, so that it can be recognised."""
  x = np.random.RandomState(seed).randint(0, 256, (num, 32, 32, 3))
  x[:, 0, 0, 0], x[:, 0, 0, 1] = np.divmod(np.arange(num), 256)
  return x.astype(np.uint8)


def numbers(split):
  pixel = split.images[:, 0, 0].astype(int)
  return pixel[:, 0] * 256 + pixel[:, 1]


def labels(num, classes=10):
  return (np.random.RandomState(9).permutation(num) % classes).astype(np.int32)


@pytest.fixture
def fake(monkeypatch, tmp_path):
  """A data set of 400 + 50 images in the place of CIFAR-10."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  (tmp_path / 'records').touch()
  reads = []

  def read(folder):
    reads.append(folder)
    return {
      'train_images': images(400, 0),
      'train_labels': labels(400),
      'test_images': images(50, 1),
      'test_labels': labels(50),
    }

  monkeypatch.setattr(prepared, 'locate', lambda name, folder: tmp_path)
  monkeypatch.setattr(prepared, 'read', read)
  return reads


def assert_equal(a, b):
  for x, y in zip(a, b, strict=True):
    np.testing.assert_array_equal(x, y)


def test_the_same_images_are_held_out_in_every_run(fake):
  # By `stratified` with seed 0, whose choice is frozen.
  chosen = dataset.stratified(labels(400), 83, seed=0)
  for limit in (0, 100):
    d = data.load(config(validation=83, limit=limit))
    np.testing.assert_array_equal(numbers(d.validation), chosen)


@pytest.mark.parametrize(
  ('part', 'change', 'said'),
  [
    ('test_labels', lambda x: x + 1, 'labels from 1 to 10, and cifar10 has 10'),
    ('train_labels', lambda x: x - 1, 'labels from -1 to 8'),
    ('train_images', lambda x: x[:, :, 1:], r'shape \(32, 31, 3\)'),
    ('test_images', lambda x: x[..., :1], r'shape \(32, 32, 1\)'),
  ],
)
def test_what_is_not_of_the_data_set_is_refused(
  fake, monkeypatch, part, change, said
):
  read = prepared.read

  def changed(folder):
    arrays = read(folder)
    return {**arrays, part: change(arrays[part])}

  monkeypatch.setattr(prepared, 'read', changed)
  with pytest.raises(errors.UsageError, match=f'{said}.*delete that folder'):
    data.load(config())


def test_splits_of_an_image_set(fake):
  d = data.load(config(validation=83))
  assert (d.name, d.num_classes) == ('cifar10', 10)
  for split, num in ((d.train, 317), (d.validation, 83), (d.test, 50)):
    assert split.images.shape == (num, 32, 32, 3)
    assert split.images.dtype == np.uint8 and split.images.flags.c_contiguous
    assert split.labels.shape == (num,) and split.labels.dtype == np.int32
  both = np.concatenate([numbers(d.train), numbers(d.validation)])
  np.testing.assert_array_equal(np.sort(both), np.arange(400))
  for split in (d.train, d.validation):
    assert (np.diff(numbers(split)) > 0).all()  # the order is kept
    assert_equal(
      split, (images(400, 0)[numbers(split)], labels(400)[numbers(split)])
    )
  assert_equal(d.test, (images(50, 1), labels(50)))
  np.testing.assert_array_equal(
    np.bincount(d.validation.labels), [9, 9, 9, 8, 8, 8, 8, 8, 8, 8]
  )


def test_moments_are_of_the_training_part(fake):
  d = data.load(config(validation=100, limit=50))
  x = d.train.images.astype(np.float64) / 255
  assert d.mean.dtype == d.std.dtype == np.float32
  np.testing.assert_allclose(d.mean, x.mean(axis=(0, 1, 2)), rtol=1e-6)
  np.testing.assert_allclose(d.std, x.std(axis=(0, 1, 2)), rtol=1e-6)


def test_moments_of_many_images():
  x = np.random.RandomState(0).randint(0, 200, (3000, 5, 4, 2))
  x = (x + np.array([0, 55])).astype(np.uint8)
  mean, std = data.moments(x)
  x = x.astype(np.float64) / 255
  np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), rtol=1e-6)
  np.testing.assert_allclose(std, x.std(axis=(0, 1, 2)), rtol=1e-6)


def test_no_hold_out(fake):
  d = data.load(config(validation=0))
  assert_equal(d.train, (images(400, 0), labels(400)))
  assert d.validation.images.shape == (0, 32, 32, 3)
  assert d.validation.labels.shape == (0,)


def test_limit_touches_the_training_part_alone(fake):
  whole = data.load(config(validation=100))
  d = data.load(config(validation=100, limit=55))
  assert_equal(d.validation, whole.validation)
  assert_equal(d.test, whole.test)
  assert d.train.images.shape == (55, 32, 32, 3)
  assert set(numbers(d.train)) < set(numbers(whole.train))
  np.testing.assert_array_equal(
    np.bincount(d.train.labels), [6, 6, 6, 6, 6, 5, 5, 5, 5, 5]
  )
  every = data.load(config(validation=100, limit=300))
  assert_equal(every.train, whole.train)


def test_second_start_reads_the_cache_unless_records_change(fake, tmp_path):
  first, second = data.load(config()), data.load(config())
  assert len(fake) == 1
  for a, b in zip(first[2:5], second[2:5], strict=True):
    assert_equal(a, b)
  (tmp_path / 'records').write_text('changed')
  data.load(config())
  assert len(fake) == 2


@pytest.mark.parametrize(
  'counts,num,want',
  [
    ((5, 3, 2), 4, (2, 1, 1)),  # shares 2.0, 1.2, 0.8
    ((5, 3, 2), 5, (3, 1, 1)),  # 2.5, 1.5, 1.0: a tie, the lower label
    ((1, 9), 5, (1, 4)),  # 0.5, 4.5
    ((6, 0, 2), 3, (2, 0, 1)),  # 2.25, 0, 0.75
    ((5, 3, 2), 0, (0, 0, 0)),
    ((5, 3, 2), 10, (5, 3, 2)),
  ],
)
def test_stratified_counts(counts, num, want):
  y = np.random.RandomState(0).permutation(
    np.repeat(range(len(counts)), counts)
  )
  chosen = dataset.stratified(y, num, seed=3)
  assert len(np.unique(chosen)) == len(chosen) == num
  assert (np.diff(chosen) > 0).all()
  np.testing.assert_array_equal(
    np.bincount(y[chosen], minlength=len(counts)), want
  )


FROZEN = [0, 1, 6, 8, 9, 15]


def test_stratified_is_frozen():
  # Written down once: neither NumPy's version nor the machine may change it.
  y = np.arange(20, dtype=np.int32) % 4
  assert dataset.stratified(y, 6, seed=0).tolist() == FROZEN
  assert dataset.stratified(y, 6, seed=1).tolist() != FROZEN
  np.random.seed(5)
  assert dataset.stratified(y, 6, seed=0).tolist() == FROZEN


@pytest.mark.parametrize(
  'fields,words',
  [
    ({'validation': -1}, ('data.validation=-1', '0 ... 399')),
    ({'validation': 400}, ('data.validation=400', '0 ... 399')),
    ({'limit': -1}, ('data.limit=-1', '0 ... 393')),
    ({'limit': 394}, ('data.limit=394', '0 ... 393')),
    ({'name': 'cifar'}, ("data.name='cifar'", 'cifar10')),
  ],
)
def test_errors_name_the_field_and_its_limits(fake, fields, words):
  with pytest.raises(errors.UsageError) as error:
    data.load(config(**fields))
  assert all(word in str(error.value) for word in words)
  assert '\n' not in str(error.value)


def test_nlgp():
  d = data.load(config(name='nlgp'))
  assert (d.name, d.num_classes) == ('nlgp', 2)
  for split, num in ((d.train, 83), (d.validation, 7), (d.test, 90)):
    assert split.images.shape == (num, 32, 32, 1)
    assert split.images.dtype == np.uint8 and split.images.flags.c_contiguous
    assert split.labels.shape == (num,) and split.labels.dtype == np.int32
    assert set(split.labels) == {0, 1}
  np.testing.assert_array_equal(np.bincount(d.test.labels), [45, 45])
  drawn = [image.tobytes() for split in d[2:5] for image in split.images]
  assert len(set(drawn)) == 180  # no test image was trained on
  assert d.mean.shape == (1,) and abs(d.mean[0] - 0.5) < 0.05


def test_nlgp_is_decided_by_its_fields():
  first = data.load(config(name='nlgp'))
  again = data.load(config(name='nlgp'))
  more = data.load(config(**{'name': 'nlgp', 'nlgp.test': 91}))
  other = data.load(config(**{'name': 'nlgp', 'nlgp.seed': 1}))
  for a, b in zip(first[2:5], again[2:5], strict=True):
    assert_equal(a, b)
  assert_equal(first.train, more.train)
  assert not np.array_equal(first.train.images, other.train.images)
  assert not np.array_equal(first.test.images, other.test.images)


def test_nlgp_of_signals():
  found = data.load(config(**{'name': 'nlgp', 'nlgp.length': 20}))
  assert found.train.images.shape[1:] == (1, 20, 1)
  one, _ = data.nlgp.draw(90, (1.5, 3.0), size=(1, 20), seed=(0, 1))
  np.testing.assert_array_equal(found.test.images, one)


def test_nlgp_in_colour_with_three_classes():
  d = data.load(
    config(**{'name': 'nlgp', 'nlgp.xi': (1.0, 2.0, 4.0), 'nlgp.channels': 3})
  )
  assert d.num_classes == 3 and d.train.images.shape == (83, 32, 32, 3)
  assert d.mean.shape == d.std.shape == (3,)


@pytest.mark.parametrize(
  'fields,words',
  [
    ({'nlgp.train': 0}, 'data.nlgp.train=0'),
    ({'nlgp.test': 0}, 'data.nlgp.test=0'),
    ({'nlgp.seed': -1}, 'data.nlgp.seed=-1'),
    ({'nlgp.xi': (1.0, 0.0)}, 'xi='),
    ({'nlgp.gain': 0.0}, 'gain='),
    ({'validation': 90}, '0 ... 89'),
  ],
)
def test_nlgp_errors(fields, words):
  with pytest.raises(errors.UsageError, match=words):
    data.load(config(name='nlgp', **fields))


@pytest.fixture
def cifar10_dir(tmp_path):
  """CIFAR-10 with its test images in both parts: decoding all takes long."""
  source = SHARED / 'tfds' / 'cifar10' / '3.0.2'
  if not source.exists():
    pytest.skip(f'{source} is not here')
  folder = tmp_path / 'tfds' / 'cifar10' / '3.0.2'
  shutil.copytree(source, folder, copy_function=shutil.copyfile)
  folder.chmod(0o755)
  shutil.copyfile(
    *(
      folder / f'cifar10-{s}.array_record-00000-of-00001'
      for s in ('test', 'train')
    )
  )
  info = folder / 'dataset_info.json'
  info.write_text(info.read_text().replace('"50000"', '"10000"'))
  return tmp_path / 'tfds'


def test_cifar10_as_prepared(cifar10_dir, monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  d = data.load(config(dir=str(cifar10_dir), validation=1000))
  np.testing.assert_array_equal(np.bincount(d.train.labels), [900] * 10)
  np.testing.assert_array_equal(np.bincount(d.validation.labels), [100] * 10)
  np.testing.assert_array_equal(np.bincount(d.test.labels), [1000] * 10)
  # Published for the training images, before these went through JPEG.
  np.testing.assert_allclose(d.mean, [0.4914, 0.4822, 0.4465], atol=6e-3)
  np.testing.assert_allclose(d.std, [0.2470, 0.2435, 0.2616], atol=4e-3)

  source = tfds.data_source(
    'cifar10', split='test', data_dir=cifar10_dir, download=False
  )
  for i in (0, 999, 1000, 9999):
    np.testing.assert_array_equal(d.test.images[i], source[i]['image'])
    assert d.test.labels[i] == source[i]['label']

  monkeypatch.setattr(prepared, 'read', None)  # the second start needs it not
  again = data.load(config(dir=str(cifar10_dir), validation=1000))
  for a, b in zip(d[2:5], again[2:5], strict=True):
    assert_equal(a, b)
  assert len(list(cache.cache_dir().iterdir())) == 1
