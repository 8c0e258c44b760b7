"""Data sets as uint8 arrays: training part, held-out part and test set.

Nothing here depends on the run's seed, so that every run of a grid is chosen by
the same held-out images and scored on the same test images.
"""

from typing import NamedTuple

import ml_collections
import numpy as np

from lconv_jax import errors
from lconv_jax.data import cache, prepared
from lconv_jax.data import nlgp as synthetic

NAMES = ('cifar10', 'cifar100', 'svhn_cropped', 'nlgp')

CLASSES = {'cifar10': 10, 'cifar100': 100, 'svhn_cropped': 10}
_VALIDATION_SEED, _LIMIT_SEED = 0, 1


class Split(NamedTuple):
  """Images with their labels."""

  images: np.ndarray  # uint8 [N, H, W, C], C-contiguous
  labels: np.ndarray  # int32 [N]


class Dataset(NamedTuple):
  """A data set in the host's memory."""

  name: str
  num_classes: int
  train: Split
  validation: Split  # held out of the original training images
  test: Split
  mean: np.ndarray  # float32 [C], of the pixels of `train` in [0, 1]
  std: np.ndarray  # float32 [C], likewise


def load(data: ml_collections.ConfigDict) -> Dataset:
  """Loads, downloads or draws a data set and splits it.

  CIFAR-10, CIFAR-100 and SVHN come through tensorflow-datasets, in either of
  its file formats; the decoded arrays are kept in `cache.cache_dir()`. SVHN's
  `extra` images are not used, but tfds downloads them with the rest. Images of
  `nlgp` are drawn anew at each call.

  Args:
    data: the field `data` of `configs/base.py`.

  Returns:
    The data set; `train` is what the hold-out and `data.limit` leave, in the
    original order.

  Raises:
    UsageError: a field has no valid value, or the data set is neither prepared
      nor to be downloaded.
  """
  if data.name not in NAMES:
    raise errors.unknown('data.name', data.name, NAMES)
  if data.name == 'nlgp':
    num_classes = len(data.nlgp.xi)
    train, test = _draw(data.nlgp)
  else:
    num_classes = CLASSES[data.name]
    train, test = read(data.name, data.dir)

  train, validation = _hold_out(train, data.validation)
  train = _limit(train, data.limit)
  mean, std = moments(train.images)
  return Dataset(data.name, num_classes, train, validation, test, mean, std)


def read(name: str, data_dir: str) -> tuple[Split, Split]:
  """Returns the training and the test images of tfds's copy of a data set.

  Args:
    name: `cifar10`, `cifar100` or `svhn_cropped`.
    data_dir: as `data.dir` of `configs/base.py`.

  Raises:
    UsageError: it is neither prepared nor to be downloaded.
  """
  folder = prepared.locate(name, data_dir)
  arrays = cache.cached(
    f'{name}-{cache.fingerprint(folder)}',
    prepared.ARRAYS,
    lambda: prepared.read(folder),
  )
  return (
    Split(arrays['train_images'], arrays['train_labels']),
    Split(arrays['test_images'], arrays['test_labels']),
  )


def stratified(labels: np.ndarray, num: int, seed: int) -> np.ndarray:
  """Chooses examples so that classes keep their proportions.

  Shares that are no whole numbers are settled by largest remainder, ties in
  favour of lower labels.

  Args:
    labels: integers [N].
    num: how many to choose, 0 ... N.
    seed: equal seeds choose equal examples, whatever the machine and NumPy's
      version.

  Returns:
    int64 [num], indices in ascending order.
  """
  classes, counts = np.unique(labels, return_counts=True)
  shares, remainders = np.divmod(num * counts, len(labels))
  first = np.argsort(-remainders, kind='stable')
  shares[first[: num - shares.sum()]] += 1
  rng = np.random.RandomState(seed)  # frozen by NEP 19, Generator is not
  chosen = [
    rng.permutation(np.flatnonzero(labels == label))[:share]
    for label, share in zip(classes, shares, strict=True)
  ]
  return np.sort(np.concatenate(chosen))


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns mean and standard deviation of each channel, exact to rounding.

  Args:
    images: uint8 [N, H, W, C], N at least 1.

  Returns:
    mean, std: float32 [C], of pixels in [0, 1].
  """
  counts = np.zeros((images.shape[-1], 256), np.int64)
  for start in range(0, len(images), 1024):  # bincount copies to int64
    for channel, count in enumerate(counts):
      pixels = images[start : start + 1024, ..., channel]
      count += np.bincount(pixels.ravel(), minlength=256)
  values = np.arange(256) / 255
  weights = counts / counts.sum(axis=1, keepdims=True)
  mean = weights @ values
  variance = (weights * (values - mean[:, None]) ** 2).sum(axis=1)
  return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)


def _draw(nlgp: ml_collections.ConfigDict) -> tuple[Split, Split]:
  for field, least in (('train', 1), ('test', 1), ('seed', 0)):
    if nlgp[field] < least:
      raise errors.UsageError(
        f'data.nlgp.{field}={nlgp[field]} must be at least {least}.'
      )
  if len(nlgp.xi) < 2:
    raise errors.UsageError(
      f'data.nlgp.xi={nlgp.xi} must hold two lengths or more, one for each '
      'class.'
    )
  try:
    return tuple(
      Split(
        *synthetic.nlgp(
          num=num,
          xi=nlgp.xi,
          gain=nlgp.gain,
          channels=nlgp.channels,
          seed=(nlgp.seed, stream),
        )
      )
      for stream, num in enumerate((nlgp.train, nlgp.test))
    )
  except (TypeError, ValueError) as e:
    raise errors.UsageError(f'data.nlgp cannot be drawn: {e}') from e


def _hold_out(train: Split, num: int) -> tuple[Split, Split]:
  total = len(train.labels)
  if not 0 <= num < total:
    raise errors.UsageError(
      f'data.validation={num} must lie in 0 ... {total - 1}: there are {total} '
      'training images.'
    )
  held = stratified(train.labels, num, _VALIDATION_SEED)
  rest = np.delete(np.arange(total), held)
  return _take(train, rest), _take(train, held)


def _limit(train: Split, num: int) -> Split:
  total = len(train.labels)
  if not 0 <= num <= total:
    raise errors.UsageError(
      f'data.limit={num} must lie in 0 ... {total}, the training images left '
      'by data.validation; 0 takes all of them.'
    )
  if num == 0:
    return train
  return _take(train, stratified(train.labels, num, _LIMIT_SEED))


def _take(split: Split, indices: np.ndarray) -> Split:
  return Split(split.images[indices], split.labels[indices])
