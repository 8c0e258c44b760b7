"""Reads image sets that tensorflow-datasets (tfds) prepares on disk."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from lconv_jax import backends, errors

ARRAYS = ('train_images', 'train_labels', 'test_images', 'test_labels')

_INFO = 'dataset_info.json'
_BATCH = 1000  # records decoded at a time; one by one takes twice as long
# What a file raises that is not JSON, or of another form.
_DAMAGE = ValueError, RecursionError, LookupError, TypeError, AttributeError
_TIMEOUT_S = 10  # for the server's answer


def default_dir() -> pathlib.Path:
  """Returns tfds's own folder: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
  folder = os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  return errors.local_path('$TFDS_DATA_DIR', folder)


def locate(name: str, data_dir: str) -> pathlib.Path:
  """Returns the folder of a prepared data set, which is prepared if need be.

  Args:
    name: the data set's name in tfds's catalogue.
    data_dir: tfds's `data_dir`, or the folder of the data set or of its version
      in there; '' is `default_dir()`. An archive in its `downloads/manual` is
      used instead of a download.

  Returns:
    The folder with `dataset_info.json` and the record files.

  Raises:
    UsageError: `data_dir` does not exist or is another folder, or the data set
      is not there and cannot be downloaded and prepared.
  """
  folder = errors.local_path('data.dir', data_dir or default_dir())
  if data_dir and not folder.is_dir():
    raise errors.UsageError(
      f'data.dir={data_dir!r} is not a folder; create it so that {name} can '
      f'be downloaded to it, or leave data.dir empty for {default_dir()}.'
    )
  sets, broken = _infos(folder, '.', '*', f'{name}/*')
  if found := [path for path, info in sets.items() if info['name'] == name]:
    return max(found, key=lambda path: _version(sets[path]))
  # What belongs to another data set, or to none, does not matter here.
  if own := [p for p in broken if p == folder or p.parent.name == name]:
    raise errors.UsageError(
      f'{own[0]} has a damaged {_INFO}; delete that folder to prepare it again.'
    )
  if sets:
    other = next(iter(sets.values()))['name']
    raise errors.UsageError(
      f'{folder} is the folder of {other}, not of {name}; set data.dir to the '
      'folder that contains the data sets.'
    )
  if deeper := _infos(folder, f'*/{name}/*')[0]:
    root = next(iter(deeper)).parents[1]
    raise errors.UsageError(
      f'{name} is not in {folder} but one folder deeper; set data.dir={root}.'
    )
  return _prepare(name, folder)


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """Decodes the training and the test images of a prepared data set.

  ArrayRecord is read without TensorFlow, TFRecord with it. The order is the one
  on disk, which tfds derives from the examples' keys alone.

  Args:
    folder: what `locate` returned.

  Returns:
    `train_images` and `test_images`, uint8 [N, H, W, C]; `train_labels` and
    `test_labels`, int32 [N].

  Raises:
    UsageError: a file is missing or damaged, or a library is not installed.
  """
  arrays = {}
  with _quiet(), _needs('train', f'Reading {folder}'):
    import tensorflow_datasets as tfds

    try:
      builder = tfds.builder_from_directory(folder)
    except ModuleNotFoundError:
      raise
    except Exception as e:  # whatever tfds raises of damaged metadata
      raise errors.UsageError(
        f'The description of the data set in {folder} cannot be read '
        f'({errors.one_line(e)[:200]}); delete that folder to prepare it again.'
      ) from e
    decode = _decode_random_access
    if builder.info.file_format.value == 'tfrecord':
      with _needs('tensorboard', f'Reading the TFRecord files in {folder}'):
        backends.load_tensorflow()
      decode = _decode_tfrecord
    for split in ('train', 'test'):
      try:
        images, labels = decode(builder, split)
      except ModuleNotFoundError:
        raise
      # Damage is a RuntimeError of array_record, an OpError of TensorFlow.
      except Exception as e:
        raise errors.UsageError(
          f'The {split} files in {folder} cannot be read '
          f'({errors.one_line(e)}); delete that folder to prepare it again.'
        ) from e
      arrays[f'{split}_images'] = np.ascontiguousarray(images)
      # Clipped, or a label of 2³² would become 0.
      limits = np.iinfo(np.int32)
      labels = np.clip(labels, limits.min, limits.max)
      arrays[f'{split}_labels'] = labels.astype(np.int32)
  return arrays


def class_names(folder: pathlib.Path) -> tuple[str, ...]:
  """Returns the names of a prepared data set's classes, () if it has none.

  Args:
    folder: what `locate` returned.
  """
  path = folder / 'label.labels.txt'
  if not path.is_file():
    return ()
  return tuple(path.read_text(encoding='utf-8').splitlines())


def _decode_random_access(
  builder: Any, split: str
) -> tuple[np.ndarray, np.ndarray]:
  source = builder.as_data_source(split)
  images = np.empty(
    (len(source), *builder.info.features['image'].shape), np.uint8
  )
  labels = np.empty(len(source), np.int64)
  for start in range(0, len(source), _BATCH):
    indices = range(start, min(start + _BATCH, len(source)))
    for i, example in zip(indices, source.__getitems__(indices), strict=True):
      image = example['image']
      if image.shape != images.shape[1:]:  # else NumPy might repeat it
        raise ValueError(f'image {i} has shape {image.shape}')
      images[i], labels[i] = image, example['label']
  return images, labels


def _decode_tfrecord(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
  import tensorflow_datasets as tfds

  # One file after the other, which is the order of the other format.
  config = tfds.ReadConfig(interleave_cycle_length=1)
  examples = tfds.as_numpy(
    builder.as_dataset(split=split, batch_size=-1, read_config=config)
  )
  return examples['image'], examples['label']


def _infos(
  folder: pathlib.Path, *patterns: str
) -> tuple[dict[pathlib.Path, dict[str, str]], list[pathlib.Path]]:
  """Returns the complete data sets in `folder` with their dataset_info.

  The list has the folders whose dataset_info cannot be read.
  """
  infos, broken = {}, []
  for pattern in patterns:
    for path in sorted(folder.glob(f'{pattern}/{_INFO}')):
      if path.parent.name.startswith('incomplete.'):  # being written
        continue
      try:
        info = json.loads(path.read_text(encoding='utf-8'))
        _version(info)
        infos[path.parent] = {'name': info['name'], 'version': info['version']}
      except (*_DAMAGE, OSError):
        broken.append(path.parent)
  return infos, broken


def _version(info: dict[str, str]) -> tuple[int, ...]:
  return tuple(int(part) for part in info['version'].split('.'))


def _prepare(name: str, folder: pathlib.Path) -> pathlib.Path:
  """Downloads and prepares a data set, and returns its folder."""
  with _quiet(), _needs('tensorboard', f'Preparing {name} in {folder}'):
    import requests
    import tensorflow_datasets as tfds

    backends.load_tensorflow()

    builder = tfds.builder(name, data_dir=folder)
    if builder.data_path.exists():
      raise errors.UsageError(
        f'{builder.data_path} is incomplete, as it has no {_INFO}; '
        'delete that folder to prepare it again.'
      )
    download_config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
      _probe(builder, folder / 'downloads')
      builder.download_and_prepare(
        file_format='array_record', download_config=download_config
      )
    except (
      OSError,  # a full disk, and every error of requests
      tfds.download.DownloadError,
      tfds.download.download_manager.NonMatchingChecksumError,
    ) as e:
      offline = isinstance(e, requests.RequestException)
      reason = 'no connection' if offline else errors.one_line(e)
      raise errors.UsageError(
        f'{name} is not prepared in {folder} and cannot be downloaded '
        f'({reason}); set data.dir to a prepared copy, or data.name=nlgp for '
        'images that need no download.'
      ) from e
  return pathlib.Path(builder.data_path)


def _probe(builder: Any, downloads: pathlib.Path) -> None:
  """Raises requests.RequestException if a download would fail.

  tfds by itself would retry for more than three minutes.
  """
  import requests

  if any((downloads / builder.name).glob('*.INFO')):
    return  # tfds continues from what it has downloaded before
  for url, info in builder.url_infos.items():
    if not (downloads / 'manual' / info.filename).exists():
      requests.head(url, timeout=_TIMEOUT_S)


@contextlib.contextmanager
def _needs(extra: str, what: str) -> Iterator[None]:
  """Says which extra of this package brings a library that is missing."""
  try:
    yield
  except ModuleNotFoundError as e:
    raise errors.UsageError(
      f'{what} needs {e.name or e}, which is not installed; '
      f"pip install 'lconv_jax[{extra}]'."
    ) from e


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silences tfds's remarks, for example that OpenCV would be faster."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    yield
  finally:
    logging.set_verbosity(verbosity)
