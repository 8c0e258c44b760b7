import os
import pathlib
import shutil
import tarfile

import hidden
import numpy as np
import pytest
import requests
import scipy.io
import tensorflow_datasets as tfds

from lconv_jax import errors
from lconv_jax.data import prepared

SHARED = pathlib.Path(__file__).parents[3] / 'shared' / 'data'
Manager = tfds.download.DownloadManager


pytestmark = pytest.mark.usefixtures('tensorflow')
TENSORFLOW = ('tensorflow', 'clu')
READ = """
from lconv_jax import data, errors
try:
  train, test, _ = data.read({name!r}, {folder!r})
  print(*train.labels, *test.labels, test.images.sum())
except errors.UsageError as e:
  print(e)
"""


def archive(name):
  path = SHARED / f'{name}-binary-head.tar.gz'
  if not path.exists():
    pytest.skip(f'{path} is not here')
  return path


def parse(name, member, label_bytes):
  """Images and labels of an original archive, without tfds."""
  with tarfile.open(archive(name)) as tar:
    raw = np.frombuffer(tar.extractfile(member).read(), np.uint8)
  records = raw.reshape(-1, label_bytes + 3 * 32 * 32)
  images = records[:, label_bytes:].reshape(-1, 3, 32, 32)
  return images.transpose(0, 2, 3, 1), records[:, label_bytes - 1]


def assert_same_examples(images, labels, want_images, want_labels):
  """Equal as sets: tfds shuffles when it prepares."""
  assert images.dtype == np.uint8 and images.flags.c_contiguous
  assert labels.dtype == np.int32 and labels.shape == images.shape[:1]

  def keys(images, labels):
    return sorted(
      (int(label), image.tobytes())
      for image, label in zip(images, labels, strict=True)
    )

  assert images.shape == want_images.shape
  assert keys(images, labels) == keys(want_images, want_labels)


@pytest.fixture(scope='module')
def offline():
  """No connection, and downloads are taken for whole as they are short."""
  with pytest.MonkeyPatch.context() as patch:

    def fail(*_, **__):
      raise requests.ConnectionError('Name or service not known')

    patch.setattr(requests, 'head', fail)
    patch.setattr(requests.Session, 'get', fail)
    patch.setattr(
      Manager, '_register_or_validate_checksums', lambda *_, **__: None
    )
    yield


@pytest.fixture(scope='module')
def cifar10_dir(offline, tmp_path_factory):
  """A tfds data_dir prepared from the heads of CIFAR-10's files."""
  folder = tmp_path_factory.mktemp('cifar10')
  manual = folder / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  shutil.copy(archive('cifar-10'), manual / 'cifar-10-binary.tar.gz')
  prepared.locate('cifar10', str(folder))
  return folder


def write_svhn(folder):
  """Puts SVHN's files where tfds looks for those fetched by hand."""
  manual = folder / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  rng = np.random.RandomState(0)
  arrays = {}
  for split, num in (('train', 150), ('test', 20), ('extra', 10)):
    images = rng.randint(0, 256, (32, 32, 3, num)).astype(np.uint8)
    labels = (np.arange(num) % 10 + 1).astype(np.uint8)  # 10 means digit 0
    scipy.io.savemat(
      manual / f'{split}_32x32.mat', {'X': images, 'y': labels[:, None]}
    )
    arrays[split] = np.moveaxis(images, -1, 0), labels % 10
  return arrays


@pytest.fixture(scope='module')
def svhn(offline, tmp_path_factory):
  folder = tmp_path_factory.mktemp('svhn')
  arrays = write_svhn(folder)
  return prepared.locate('svhn_cropped', str(folder)), arrays


def test_cifar10_from_the_original_archive(cifar10_dir):
  folder = prepared.locate('cifar10', str(cifar10_dir))
  assert list(folder.glob('*.array_record*'))
  arrays = prepared.read(folder)
  parts = [
    parse('cifar-10', f'cifar-10-batches-bin/data_batch_{i}.bin', 1)
    for i in range(1, 6)
  ]
  images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
  assert_same_examples(
    arrays['train_images'], arrays['train_labels'], images, labels
  )
  test = parse('cifar-10', 'cifar-10-batches-bin/test_batch.bin', 1)
  assert_same_examples(arrays['test_images'], arrays['test_labels'], *test)


def test_cifar100_has_the_fine_labels(offline, tmp_path):
  manual = tmp_path / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  shutil.copy(archive('cifar-100'), manual / 'cifar-100-binary.tar.gz')
  arrays = prepared.read(prepared.locate('cifar100', str(tmp_path)))
  for split in ('train', 'test'):
    want = parse('cifar-100', f'cifar-100-binary/{split}.bin', 2)
    got = arrays[f'{split}_images'], arrays[f'{split}_labels']
    assert_same_examples(*got, *want)
  assert arrays['train_labels'].max() > 19  # not the coarse ones


def test_svhn_from_its_own_files(svhn):
  folder, want = svhn
  arrays = prepared.read(folder)
  assert tuple(arrays) == prepared.ARRAYS  # nothing of `extra`
  for split in ('train', 'test'):
    got = arrays[f'{split}_images'], arrays[f'{split}_labels']
    assert_same_examples(*got, *want[split])


def test_tfrecord_and_array_record_agree(svhn, offline, tmp_path, monkeypatch):
  folder, _ = svhn
  write_svhn(tmp_path)
  config = tfds.download.DownloadConfig(try_download_gcs=False, num_shards=3)
  tfds.builder('svhn_cropped', data_dir=tmp_path).download_and_prepare(
    file_format='tfrecord', download_config=config
  )
  other = prepared.locate('svhn_cropped', str(tmp_path))
  assert len(list(other.glob('*-train.tfrecord*'))) == 3
  got, want = prepared.read(other), prepared.read(folder)
  assert got.keys() == want.keys()
  for name in want:
    assert got[name].dtype == want[name].dtype
    np.testing.assert_array_equal(got[name], want[name])
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  said = hidden.run(
    TENSORFLOW, READ.format(name='svhn_cropped', folder=str(tmp_path))
  )
  assert 'Reading the TFRecord files' in said
  assert "pip install 'lconv_jax[tensorboard]'" in said


def test_which_data_need_which_libraries(svhn, tmp_path, monkeypatch):
  """Also that nothing is said, for example about OpenCV."""
  folder, arrays = svhn
  root, decode = str(folder.parents[1]), ('array_record', 'tensorflow_datasets')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  read = READ.format(name='svhn_cropped', folder=root)
  extra = "pip install 'lconv_jax[train]'"
  for package in decode:
    assert extra in hidden.run([*TENSORFLOW, package], read)
  # ArrayRecord needs no TensorFlow; the cache, which is there now, even less.
  first = hidden.run(TENSORFLOW, read)
  assert first.split()[-1] == str(arrays['test'][0].sum())
  assert hidden.run([*TENSORFLOW, *decode], read) == first
  prepare = READ.format(name='cifar10', folder=root)
  said = hidden.run(TENSORFLOW, prepare)
  assert 'Preparing cifar10' in said and 'needs tensorflow, which' in said
  assert "pip install 'lconv_jax[tensorboard]'" in said
  assert 'needs tensorflow_datasets' in hidden.run(decode, prepare)


@pytest.mark.parametrize('depth', ['', 'svhn_cropped', 'svhn_cropped/3.1.0'])
def test_folder_of_the_data_set_will_do(svhn, depth):
  folder, _ = svhn
  data_dir = folder.parents[1] / depth
  assert prepared.locate('svhn_cropped', str(data_dir)) == folder


def test_empty_means_the_default(svhn, monkeypatch):
  folder, _ = svhn
  monkeypatch.setenv('TFDS_DATA_DIR', str(folder.parents[1]))
  assert prepared.locate('svhn_cropped', '') == folder
  monkeypatch.delenv('TFDS_DATA_DIR')
  monkeypatch.setenv('HOME', '/somewhere')
  assert prepared.default_dir() == pathlib.Path(
    '/somewhere/tensorflow_datasets'
  )


def test_newest_version_wins(svhn, tmp_path):
  folder, _ = svhn
  for version in ('3.0.9', '3.0.10', 'incomplete.ABC_4.0.0'):
    shutil.copytree(folder, tmp_path / 'svhn_cropped' / version)
    info = tmp_path / 'svhn_cropped' / version / 'dataset_info.json'
    info.write_text(
      info.read_text().replace('3.1.0', version.rpartition('_')[-1])
    )
  found = prepared.locate('svhn_cropped', str(tmp_path))
  assert found.name == '3.0.10'


def assert_sentence(error, *words):
  text = str(error.value)
  assert '\n' not in text and text.endswith('.')
  for word in words:
    assert word in text


def test_missing_folder_is_not_made(offline, tmp_path):
  missing = tmp_path / 'misspelt'
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('cifar10', str(missing))
  assert_sentence(error, str(missing), 'is not a folder')
  assert not missing.exists()


def test_folder_too_high_up(svhn):
  root = svhn[0].parents[1]
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('svhn_cropped', str(root.parent))
  assert_sentence(error, f'data.dir={root}')


def test_folder_of_another_data_set(svhn):
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('cifar10', str(svhn[0].parent))
  assert_sentence(error, 'svhn_cropped', 'not of cifar10')


def test_offline_is_said_at_once_and_leaves_nothing(offline, tmp_path):
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('cifar10', str(tmp_path))
  assert_sentence(error, 'no connection', 'data.dir', 'data.name=nlgp')
  assert os.listdir(tmp_path) == []


def test_next_try_works_after_a_failed_one(offline, tmp_path, monkeypatch):
  def fail(*_, **__):
    raise tfds.download.DownloadError('HTTP code:\n503')

  want = write_svhn(tmp_path)
  with monkeypatch.context() as patch:
    patch.setattr(Manager, 'download', fail)
    with pytest.raises(errors.UsageError) as error:
      prepared.locate('svhn_cropped', str(tmp_path))
  assert_sentence(error, 'HTTP code: 503', 'data.dir', 'data.name=nlgp')
  arrays = prepared.read(prepared.locate('svhn_cropped', str(tmp_path)))
  got = arrays['train_images'], arrays['train_labels']
  assert_same_examples(*got, *want['train'])


BROKEN = {
  'binary': bytes(range(256)),
  'list': b'[]',
  'no name': b'{"version": "9.0.0"}',
  'number': b'{"name": "cifar10", "version": 9}',
  'letters': b'{"name": "svhn_cropped", "version": "9.x"}',
  'deep': b'[' * 100_000,
  'folder': None,
}


@pytest.mark.parametrize('content', BROKEN.values(), ids=BROKEN)
def test_foreign_or_broken_metadata_stop_no_good_copy(tmp_path, content):
  def write(place, content):
    path = tmp_path / place / 'dataset_info.json'
    if content is None:
      path.mkdir(parents=True)
    else:
      path.parent.mkdir(parents=True)
      path.write_bytes(content)

  for place in ('svhn_cropped/9.0.0', 'mnist/1.0.0', 'notes'):
    write(place, content)
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('svhn_cropped', str(tmp_path))
  own = tmp_path / 'svhn_cropped' / '9.0.0'
  assert_sentence(error, str(own), 'damaged', 'delete that folder')
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('svhn_cropped', str(own))
  assert_sentence(error, str(own), 'damaged')
  good = b'{"name": "svhn_cropped", "version": "3.1.0"}'
  write('svhn_cropped/3.1.0', good)
  found = prepared.locate('svhn_cropped', str(tmp_path))
  assert found == tmp_path / 'svhn_cropped' / '3.1.0'


def test_damaged_descriptions_are_named(svhn, tmp_path):
  copy = tmp_path / '3.1.0'
  shutil.copytree(svhn[0], copy)
  (copy / 'features.json').write_text('{')
  with pytest.raises(errors.UsageError) as error:
    prepared.read(copy)
  assert_sentence(error, str(copy), 'description', 'delete that folder')


def test_half_a_copy_is_named(svhn, offline, tmp_path):
  copy = tmp_path / 'svhn_cropped' / '3.1.0'
  shutil.copytree(svhn[0], copy)
  (copy / 'dataset_info.json').unlink()
  with pytest.raises(errors.UsageError) as error:
    prepared.locate('svhn_cropped', str(tmp_path))
  assert_sentence(error, str(copy), 'delete')


def test_damaged_records_are_named(svhn, tmp_path):
  copy = tmp_path / '3.1.0'
  shutil.copytree(svhn[0], copy)
  (train,) = copy.glob('*-train.array_record*')
  os.truncate(train, 1000)
  with pytest.raises(errors.UsageError) as error:
    prepared.read(copy)
  assert_sentence(error, str(copy), 'train files', 'delete')


def test_log_level_is_restored():
  before = prepared.logging.get_verbosity()
  with pytest.raises(KeyError), prepared._quiet():
    assert prepared.logging.get_verbosity() == prepared.logging.ERROR
    raise KeyError
  assert prepared.logging.get_verbosity() == before
