"""Data sets as uint8 arrays: training part, held-out part and test set.

Nothing here depends on the run's seed, so all runs of a grid are compared on
the same held-out images and scored on the same test images.
"""

import pathlib
from typing import NamedTuple

import ml_collections
import numpy as np

from lconv_jax import errors
from lconv_jax.data import arrays, cache, nlgp, pixels, prepared

_CLASSES = {'cifar10': 10, 'cifar100': 100, 'svhn_cropped': 10}
NAMES = (*_CLASSES, 'nlgp', 'arrays')
_VALIDATION_SEED, _LIMIT_SEED, _TEST_SEED = 0, 1, 2
# Shapes that are known beforehand, so that another data set is noticed.
_SHAPES = dict.fromkeys(('cifar10', 'cifar100', 'svhn_cropped'), (32, 32, 3))
# Images that continue at the opposite border, as if on a torus.
PERIODIC = ('nlgp',)


class Split(NamedTuple):
  """Images with their labels."""

  images: np.ndarray  # uint8 [N, H, W, C], C-contiguous
  labels: np.ndarray  # int32 [N]


class Dataset(NamedTuple):
  """Data set in the host's memory."""

  name: str
  num_classes: int
  train: Split
  validation: Split  # held out of the original training images
  test: Split
  # By which pixels in [0, 1] are normalised, float32 [C]: moments of those of
  # `train`; 0 and 1 where `data.normalise` is off.
  mean: np.ndarray
  std: np.ndarray
  # Where each pixel was before `data.permute` and `data.layout` moved it; None:
  # where it is.
  origin: pixels.Order | None = None
  class_names: tuple[str, ...] = ()  # () if the data set has none

  @property
  def splits(self) -> dict[str, Split]:
    """The three parts by their names."""
    return {
      'train': self.train,
      'validation': self.validation,
      'test': self.test,
    }


def load(data: ml_collections.ConfigDict) -> Dataset:
  """Loads, downloads or draws a data set and splits it.

  CIFAR-10, CIFAR-100 and SVHN are read from files of tensorflow-datasets, in
  either of its formats, and `arrays` from a file or folder of one's own; the
  decoded arrays are kept in `cache.cache_dir()`. SVHN's `extra` images are not
  used, but tfds downloads them with the rest. The images of `nlgp` are drawn
  again in each call.

  Args:
    data: the field `data` of `configs/base.py`.

  Returns:
    The data set, whose `train` has the images that the hold-out and
    `data.limit` leave, in their original order.

  Raises:
    UsageError: a field has an invalid value, or the data set is not prepared
      and cannot be downloaded.
  """
  if data.name not in NAMES:
    raise errors.unknown('data.name', data.name, NAMES)
  if data.name == 'nlgp':
    train, test = _draw(data.nlgp)
    num_classes, class_names = len(data.nlgp.xi), ()
  else:
    train, test, class_names = read(data.name, data.dir)
    largest = max(train.labels.max(), test.labels.max())
    num_classes = (
      _CLASSES.get(data.name) or len(class_names) or int(largest) + 1
    )

  origin = pixels.origin(data, train.images.shape[1:])
  if origin is not None:
    train, test = (
      split._replace(images=pixels.rearrange(split.images, origin))
      for split in (train, test)
    )
  train, validation = _hold_out(train, data.validation)
  train = _limit(train, data.limit)
  mean, std = moments(train.images)
  if not data.normalise:
    mean, std = np.zeros_like(mean), np.ones_like(std)
  return Dataset(
    data.name, num_classes, train, validation, test, mean, std, origin,
    class_names,
  )  # fmt: skip


def read(name: str, data_dir: str) -> tuple[Split, Split, tuple[str, ...]]:
  """Returns training images, test images and names of classes, if any.

  Args:
    name: one of `NAMES`, but not `nlgp`.
    data_dir: the field `data.dir` of `configs/base.py`. If it is a folder
      without test images, a tenth of each class become test images.

  Raises:
    UsageError: the data set is not prepared and cannot be downloaded, or is not
      what `arrays.read` can read.
  """
  if name == 'arrays':
    path = arrays.locate(data_dir)
    key = cache.fingerprint(path, '**/*')
    names, build = arrays.NAMES, lambda: arrays.read(path)
  else:
    path = prepared.locate(name, data_dir)
    key = cache.fingerprint(path)
    names, build = prepared.ARRAYS, lambda: prepared.read(path)
  found = cache.cached(f'{name}-{key}', names, build)
  train, test = (
    Split(found[f'{part}_images'], found[f'{part}_labels'])
    for part in ('train', 'test')
  )
  if name != 'arrays':
    for split in (train, test):
      _check(name, split, path)
    return train, test, prepared.class_names(path)
  if not len(test.labels):
    num = max(1, len(train.labels) // 10)
    train, test = _divided(train, num, _TEST_SEED)
  return train, test, tuple(found['class_names'].tolist())


def _check(name: str, split: Split, folder: pathlib.Path) -> None:
  """Raises a UsageError for images or labels of another data set."""
  shape, labels = split.images.shape[1:], split.labels
  if shape != _SHAPES.get(name, shape):
    what = f'images of shape {shape}, not {_SHAPES[name]}'
  elif len(labels) == 0:
    what = 'no images'
  elif labels.min() < 0 or labels.max() >= _CLASSES[name]:
    what = (
      f'labels from {labels.min()} to {labels.max()}, and {name} has '
      f'{_CLASSES[name]} classes'
    )
  else:
    return
  raise errors.UsageError(
    f'{folder} holds {what}: this is not {name}; delete that folder to prepare '
    'it again, or set data.dir to another.'
  )


def stratified(labels: np.ndarray, num: int, seed: int) -> np.ndarray:
  """Chooses examples so that classes keep their proportions.

  Shares that are not whole numbers are rounded by the largest remainder; ties
  favour lower labels.

  Args:
    labels: integers [N].
    num: the number of examples to choose, 0 ... N.
    seed: equal seeds choose equal examples on any machine, with any version of
      NumPy.

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
  """Returns the exact mean and standard deviation of each channel.

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


def _draw(fields: ml_collections.ConfigDict) -> tuple[Split, Split]:
  for name, least in (('train', 1), ('test', 1), ('seed', 0)):
    if fields[name] < least:
      raise errors.UsageError(
        f'data.nlgp.{name}={fields[name]} must be at least {least}.'
      )
  if len(fields.xi) < 2:
    raise errors.UsageError(
      f'data.nlgp.xi={fields.xi} must hold at least two lengths, one for each '
      'class.'
    )

  def part(num: int, stream: int) -> Split:
    seed = fields.seed, stream
    size = (1, fields.length) if fields.length else 32
    drawn = nlgp.draw(num, fields.xi, fields.gain, size, fields.channels, seed)
    return Split(*drawn)

  try:
    return part(fields.train, 0), part(fields.test, 1)
  except (TypeError, ValueError) as e:
    raise errors.UsageError(f'data.nlgp cannot be drawn: {e}') from e


def _hold_out(train: Split, num: int) -> tuple[Split, Split]:
  total = len(train.labels)
  if not 0 <= num < total:
    raise errors.UsageError(
      f'data.validation={num} must lie in 0 ... {total - 1}: there are {total} '
      'training images.'
    )
  return _divided(train, num, _VALIDATION_SEED)


def _divided(split: Split, num: int, seed: int) -> tuple[Split, Split]:
  """Returns the rest of a split, and `num` of its images."""
  held = stratified(split.labels, num, seed)
  rest = np.delete(np.arange(len(split.labels)), held)
  return _take(split, rest), _take(split, held)


def _limit(train: Split, num: int) -> Split:
  total = len(train.labels)
  if not 0 <= num <= total:
    raise errors.UsageError(
      f'data.limit={num} must lie in 0 ... {total}, the number of training '
      'images that data.validation leaves; 0 takes all.'
    )
  if num == 0:
    return train
  return _take(train, stratified(train.labels, num, _LIMIT_SEED))


def _take(split: Split, indices: np.ndarray) -> Split:
  return Split(split.images[indices], split.labels[indices])
