"""Image sets that tensorflow-datasets (tfds) prepares on disk, as arrays."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from lconv_jax import errors, host_tensorflow

ARRAYS = ('train_images', 'train_labels', 'test_images', 'test_labels')

_INFO = 'dataset_info.json'
_BATCH = 1000  # records decoded at a time; one by one takes twice as long
_TIMEOUT_S = 10  # to wait for the server before saying that there is none


def default_dir() -> pathlib.Path:
  """Returns tfds's own folder: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
  folder = os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  return pathlib.Path(folder).expanduser()


def locate(name: str, data_dir: str) -> pathlib.Path:
  """Returns the folder of a prepared data set, preparing it where it is not.

  Args:
    name: of the data set in tfds's catalogue.
    data_dir: tfds's `data_dir`, or the folder of the data set or of its version
      therein; '' is `default_dir()`. An archive that lies in its
      `downloads/manual` is used instead of a download.

  Returns:
    The folder with `dataset_info.json` and the record files.

  Raises:
    UsageError: `data_dir` does not exist or means another folder, or the data
      set is not there and cannot be downloaded and prepared.
  """
  folder = pathlib.Path(data_dir).expanduser() if data_dir else default_dir()
  if data_dir and not folder.is_dir():
    raise errors.UsageError(
      f'data.dir={data_dir!r} is not a folder; create it to have {name} '
      f'downloaded there, or leave data.dir empty for {default_dir()}.'
    )
  sets = _infos(folder, '.', '*', f'{name}/*')
  if found := [path for path, info in sets.items() if info['name'] == name]:
    return max(found, key=lambda path: _version(sets[path]))
  if sets:
    other = next(iter(sets.values()))['name']
    raise errors.UsageError(
      f'{folder} is the folder of {other} and holds no {name}; let data.dir '
      'be the folder that contains the data sets.'
    )
  if deeper := _infos(folder, f'*/{name}/*'):
    root = next(iter(deeper)).parents[1]
    raise errors.UsageError(
      f'{name} is not in {folder} but one folder deeper: data.dir={root}.'
    )
  return _prepare(name, folder)


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """Decodes the training and the test images of a prepared data set.

  ArrayRecord is read without TensorFlow, TFRecord with it. The order is that
  on disk, which tfds derives from the examples' keys alone.

  Args:
    folder: what `locate` returned.

  Returns:
    `train_images` and `test_images`, uint8 [N, H, W, C]; `train_labels` and
    `test_labels`, int32 [N].

  Raises:
    UsageError: a file is missing or damaged.
  """
  arrays = {}
  with _quiet():
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    decode = (
      _decode_tfrecord
      if builder.info.file_format.value == 'tfrecord'
      else _decode_random_access
    )
    for split in ('train', 'test'):
      try:
        images, labels = decode(builder, split)
      # Damage is a RuntimeError of array_record, an OpError of TensorFlow.
      except Exception as e:
        raise errors.UsageError(
          f'the {split} files in {folder} cannot be read '
          f'({errors.one_line(e)}); delete that folder to prepare it anew.'
        ) from e
      arrays[f'{split}_images'] = np.ascontiguousarray(images)
      arrays[f'{split}_labels'] = labels.astype(np.int32)
  return arrays


def _decode_random_access(
  builder: Any, split: str
) -> tuple[np.ndarray, np.ndarray]:
  source = builder.as_data_source(split)
  images = np.empty(
    (len(source), *builder.info.features['image'].shape), np.uint8
  )
  labels = np.empty(len(source), np.int32)
  for start in range(0, len(source), _BATCH):
    indices = range(start, min(start + _BATCH, len(source)))
    for i, example in zip(indices, source.__getitems__(indices), strict=True):
      images[i], labels[i] = example['image'], example['label']
  return images, labels


def _decode_tfrecord(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
  host_tensorflow.load()
  import tensorflow_datasets as tfds

  # One file after the other, which is the order of the other formats.
  config = tfds.ReadConfig(interleave_cycle_length=1)
  examples = tfds.as_numpy(
    builder.as_dataset(split=split, batch_size=-1, read_config=config)
  )
  return examples['image'], examples['label']


def _infos(
  folder: pathlib.Path, *patterns: str
) -> dict[pathlib.Path, dict[str, str]]:
  """Returns the complete data sets in `folder` with their dataset_info."""
  return {
    path.parent: json.loads(path.read_text(encoding='utf-8'))
    for pattern in patterns
    for path in sorted(folder.glob(f'{pattern}/{_INFO}'))
    if not path.parent.name.startswith('incomplete.')  # being written
  }


def _version(info: dict[str, str]) -> tuple[int, ...]:
  return tuple(int(part) for part in info['version'].split('.'))


def _prepare(name: str, folder: pathlib.Path) -> pathlib.Path:
  """Downloads and prepares a data set, returns its folder."""
  with _quiet():
    import requests
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=folder)
    if builder.data_path.exists():
      raise errors.UsageError(
        f'{builder.data_path} has no {_INFO}, so it is no complete data set; '
        'delete that folder to prepare it anew.'
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
        f'({reason}): point data.dir to a prepared copy, or draw images '
        'without any download by data.name=nlgp.'
      ) from e
  return pathlib.Path(builder.data_path)


def _probe(builder: Any, downloads: pathlib.Path) -> None:
  """Raises requests.RequestException at once where a download would fail.

  By itself tfds tries ten times, over more than three minutes.
  """
  import requests

  if any((downloads / builder.name).glob('*.INFO')):
    return  # downloaded before, not prepared: tfds goes on from there
  for url, info in builder.url_infos.items():
    if not (downloads / 'manual' / info.filename).exists():
      requests.head(url, timeout=_TIMEOUT_S)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Drops tfds's chatter, as that OpenCV would be faster."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    yield
  finally:
    logging.set_verbosity(verbosity)
