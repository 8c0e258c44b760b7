"""Data sets of one's own: a .npz file, or a folder with one for each class."""

import contextlib
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from lconv_jax import errors

PARTS = ('train', 'test')
# Of what `read` returns.
NAMES = (
  'train_images', 'train_labels', 'test_images', 'test_labels', 'class_names',
)  # fmt: skip


def locate(data_dir: str) -> pathlib.Path:
  """Returns the file or folder that `data.dir` names.

  Raises:
    UsageError: it does not exist.
  """
  path = pathlib.Path(data_dir).expanduser()
  if not data_dir or not path.exists():
    raise errors.UsageError(
      f'data.dir={data_dir!r} does not exist; data.name=arrays needs the path '
      'of a .npz file or of a folder that has a folder of images for each '
      'class.'
    )
  return path


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the arrays of a data set, after checking them.

  Args:
    path: a .npz file with `train_images`, `train_labels`, `test_images`,
      `test_labels` and perhaps `class_names`, or with `train_signals` and
      `test_signals`, [N, L, C], in place of the images; or a folder with a
      folder of images for each class, or with two such folders, `train` and
      `test`.

  Returns:
    The images, uint8 [N, H, W, C], of which H is 1 if they are signals; the
    labels, int32 [N]; and the classes' names, of which there may be none.
    Without a folder `test` there are no test images.

  Raises:
    UsageError: something is missing, or is not what it should be.
  """
  return _read_folder(path) if path.is_dir() else _read_file(path)


def _read_file(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as archive:
      signals = any(f'{part}_signals' in archive for part in PARTS)
      what = 'signals' if signals else 'images'
      stored = [name.replace('images', what) for name in NAMES]
      if missing := [name for name in stored[:4] if name not in archive]:
        raise errors.UsageError(
          f'{path} has no array {missing[0]}; save all of '
          f'{", ".join(stored[:4])}.'
        )
      found = {
        name: archive[other]
        for name, other in zip(NAMES, stored, strict=True)
        if other in archive
      }
  # TypeError: of a single array, which has no names.
  except (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile) as e:
    raise errors.UsageError(
      f'{path} cannot be read as .npz ({errors.one_line(e)}); write it by '
      'np.savez, from arrays of numbers.'
    ) from e
  names = found.get('class_names', np.empty(0, str)).astype(str)
  for part in PARTS:
    name = f'{part}_images'
    if signals:
      found[name] = _rows(found[name], f'{part}_signals in {path}')
    found[name] = _images(found[name], f'{part}_{what} in {path}')
  shapes = [found[f'{part}_images'].shape[1:] for part in PARTS]
  if shapes[0] != shapes[1]:
    raise errors.UsageError(
      f'{path} has training {what} of shape {shapes[0]} and test {what} of '
      f'shape {shapes[1]}; all must have the same.'
    )
  for part in PARTS:
    images, name = found[f'{part}_images'], f'{part}_labels'
    found[name] = _labels(found[name], len(images), f'{name} in {path}')
  _check_classes(found['train_labels'], found['test_labels'], names, path)
  return {**found, 'class_names': names}


def _rows(x: np.ndarray, what: str) -> np.ndarray:
  """Returns signals as images of height 1."""
  if x.ndim == 2:
    x = x[..., None]
  if x.ndim != 3 or 0 in x.shape:
    raise errors.UsageError(
      f'{what} has shape {x.shape}, and signals are [N, L, C], or [N, L] where '
      'they have one channel.'
    )
  return x[:, None]


def _images(x: np.ndarray, what: str) -> np.ndarray:
  if x.ndim == 3:  # grey
    x = x[..., None]
  if x.ndim != 4 or 0 in x.shape:
    raise errors.UsageError(
      f'{what} has shape {x.shape}, and images are [N, H, W, C], or [N, H, W] '
      'where they are grey.'
    )
  if x.dtype == np.uint8:
    return np.ascontiguousarray(x)
  if x.dtype != np.float32:
    raise errors.UsageError(
      f'{what} has dtype {x.dtype}; give uint8, or float32 in [0, 1].'
    )
  if not (x.min() >= 0 and x.max() <= 1):  # NaN compares as False
    raise errors.UsageError(
      f'{what} has values from {x.min():g} to {x.max():g}; scale float32 to '
      '[0, 1], where black is 0.'
    )
  return np.rint(x * np.float32(255)).astype(np.uint8)


def _labels(labels: np.ndarray, num: int, what: str) -> np.ndarray:
  if labels.shape != (num,) or labels.dtype.kind not in 'iu':
    raise errors.UsageError(
      f'{what} has shape {labels.shape} and dtype {labels.dtype}; give a whole '
      f'number for each of the {num} images.'
    )
  if labels.min() < 0:
    raise errors.UsageError(
      f'{what} has the label {labels.min()}; count classes from 0.'
    )
  return labels.astype(np.int32)


def _check_classes(
  train: np.ndarray, test: np.ndarray, names: np.ndarray, path: pathlib.Path
) -> None:
  largest = int(max(train.max(), test.max()))
  if names.size:
    if names.ndim != 1 or largest >= len(names):
      raise errors.UsageError(
        f'{path} has labels up to {largest}, and class_names of shape '
        f'{names.shape}; give a name for each class.'
      )
    return
  # At most one more than there are images, however large a label is.
  counted = np.unique(train)
  gaps = np.setdiff1d(np.arange(min(largest, len(counted)) + 1), counted)
  if gaps.size:
    raise errors.UsageError(
      f'{path} has labels up to {largest}, but no training image with label '
      f'{gaps[0]}; count classes from 0 without gaps, or add class_names.'
    )


def _read_folder(path: pathlib.Path) -> dict[str, np.ndarray]:
  if all((path / part).is_dir() for part in PARTS):
    folders = {part: path / part for part in PARTS}
  else:
    folders = {'train': path}
  classes = {part: _folders(folder) for part, folder in folders.items()}
  names = [folder.name for folder in classes['train']]
  for part, found in classes.items():
    if [folder.name for folder in found] != names or len(names) < 2:
      raise errors.UsageError(
        f'{folders[part]} has folders {[f.name for f in found]}; give a folder '
        'of images for each class, at least two, with the same names in train '
        'and test.'
      )
  files = {
    part: [
      (file, i) for i, folder in enumerate(found) for file in _files(folder)
    ]
    for part, found in classes.items()
  }
  mode, size = _mode([file for pairs in files.values() for file, _ in pairs])
  result = {'class_names': np.array(names)}
  channels = 1 if mode == 'L' else 3
  for part in PARTS:
    pairs = files.get(part, [])
    images = np.empty((len(pairs), size[1], size[0], channels), np.uint8)
    for image, (file, _) in zip(images, pairs, strict=True):
      with _opened(file) as opened:
        image[:] = np.reshape(opened.convert(mode), image.shape)
    result[f'{part}_images'] = images
    result[f'{part}_labels'] = np.array([i for _, i in pairs], np.int32)
  return result


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != '.')


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
  files = sorted(
    p for p in folder.iterdir() if p.is_file() and p.name[0] != '.'
  )
  if not files:
    raise errors.UsageError(
      f'{folder} has no images; delete it, or put images of its class there.'
    )
  return files


def _mode(files: list[pathlib.Path]) -> tuple[str, tuple[int, int]]:
  """Returns the mode, L if all images are grey, and their width and height."""
  modes, sizes = set(), {}
  for file in files:
    with _opened(file) as image:
      modes.add(image.mode)
      sizes.setdefault(image.size, file)
  if len(sizes) > 1:
    (a, first), (b, second), *_ = sizes.items()
    raise errors.UsageError(
      f'{first} has {a[0]} × {a[1]} pixels and {second} {b[0]} × {b[1]}; make '
      'all images the same size.'
    )
  return 'L' if modes <= {'1', 'L'} else 'RGB', next(iter(sizes))


@contextlib.contextmanager
def _opened(file: pathlib.Path) -> Iterator:
  try:
    from PIL import Image
  except ModuleNotFoundError as e:
    raise errors.UsageError(
      "Reading images needs Pillow; pip install 'lconv_jax[train]'."
    ) from e
  try:
    with Image.open(file) as image:
      yield image
  except OSError as e:
    raise errors.UsageError(
      f'{file} is not an image that can be read ({errors.one_line(e)}); '
      'replace or delete it.'
    ) from e
