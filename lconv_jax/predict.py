"""Predicts the classes of images.

  python -m lconv_jax.predict runs/beta_lasso cat.png photos/
  python -m lconv_jax.predict net.npz images.npy --csv=predictions.csv

The net is the best one of a run folder, or a file that lconv_jax.export wrote
as .npz. Images are files, folders of files, or arrays: uint8, [N, H, W, C], or
[N, H, W] if they are grey, or signals, [N, L, C], or [N, L] if they have one
channel; in a .npz file, `images`, `test_images` or `test_signals`. Files become
grey or RGB, as the net has one or three channels, and are resized if they have
the proportions of the net's images. Files of other proportions are refused, as
are arrays of another size.
"""

import argparse
import csv
import pathlib
import sys
import zipfile
from collections.abc import Iterator, Sequence

import numpy as np

from lconv_jax.report import command

with command.needs('export'):
  from PIL import Image

  from lconv_jax import errors, export

_MODES = {1: 'L', 3: 'RGB'}  # by channels
# What a .npz file may call them.
_ARRAYS = ('images', 'test_images', 'test_signals')


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.predict',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('net', metavar='NET', help='a run folder or a .npz file')
  parser.add_argument('images', nargs='+', metavar='IMAGES', help='see above')
  parser.add_argument(
    '--top', type=command.positive, default=3, help='classes of each image'
  )
  parser.add_argument(
    '--csv', metavar='FILE', help='write all probabilities instead'
  )
  parser.add_argument(
    '--data_dir', default='',
    help="where the run's data set is now, if it was moved",
  )  # fmt: skip
  return command.run(parser, _predict, argv)


def _predict(args: argparse.Namespace) -> None:
  net = _net(pathlib.Path(args.net), args.data_dir)
  names, images = [], []
  for word in args.images:
    for name, image in _images(pathlib.Path(word), net.image_shape):
      names.append(name)
      images.append(image)
  found = probabilities(net(np.stack(images)))
  classes = net.class_names or tuple(map(str, range(found.shape[1])))
  best = np.argsort(-found, axis=1, kind='stable')
  if args.csv:
    with open(args.csv, 'w', encoding='utf-8', newline='') as f:
      writer = csv.writer(f)
      writer.writerow(['image', 'class', *classes])
      for name, order, row in zip(names, best, found, strict=True):
        writer.writerow([name, classes[order[0]], *(f'{p:.6g}' for p in row)])
    print(f'wrote {args.csv}')
    return
  for name, order, row in zip(names, best, found, strict=True):
    likely = '  '.join(f'{classes[i]} {row[i]:.1%}' for i in order[: args.top])
    print(f'{name}: {likely}')


def probabilities(logits: np.ndarray) -> np.ndarray:
  """Returns the softmax of each row."""
  powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
  return powers / powers.sum(axis=-1, keepdims=True)


def _net(path: pathlib.Path, data_dir: str) -> export.SparseNet:
  if not path.is_dir():
    return export.SparseNet.load(path)
  with command.needs('train'):
    from lconv_jax.export import of_run

  return export.SparseNet(*of_run.of_run(path, data_dir).sparse())


def _images(
  path: pathlib.Path, shape: tuple[int, int, int]
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields names and images of the net's shape."""
  if path.is_dir():
    files = sorted(p for p in path.iterdir() if p.name[0] != '.')
    if not files:
      raise errors.UsageError(f'{path} has no images; name another folder.')
    for file in files:
      yield from _images(file, shape)
  elif path.suffix in ('.npy', '.npz'):
    for i, image in enumerate(_array(path, shape)):
      yield f'{path}[{i}]', image
  else:
    yield str(path), _picture(path, shape)


def _array(path: pathlib.Path, shape: tuple[int, int, int]) -> np.ndarray:
  try:
    x = np.load(path, allow_pickle=False)
    if path.suffix == '.npz':
      x = x[next(name for name in _ARRAYS if name in x)]
  except (EOFError, ValueError, StopIteration, zipfile.BadZipFile) as e:
    raise errors.UsageError(
      f'{path} has no array of images; write it by np.save, or by np.savez as '
      f'{" or ".join(_ARRAYS)}.'
    ) from e
  height, length, channels = shape
  flat = [(length, channels)] + [(length,)] * (channels == 1)
  if height == 1 and x.shape[1:] in flat:  # signals
    x = x.reshape(len(x), *shape)
  if x.ndim == 3:
    x = x[..., None]
  if x.dtype != np.uint8 or x.shape[1:] != shape:
    raise errors.UsageError(
      f'{path} has images of dtype {x.dtype} and shape {x.shape[1:]}, but the '
      f'net is for uint8 of shape {shape}; convert them.'
    )
  return x


def _picture(path: pathlib.Path, shape: tuple[int, int, int]) -> np.ndarray:
  height, width, channels = shape
  if channels not in _MODES:
    raise errors.UsageError(
      f'{path} cannot be used, as the net is for images of {channels} '
      'channels; give them as .npy.'
    )
  try:
    with Image.open(path) as image:
      image = image.convert(_MODES[channels])
  except OSError as e:
    raise errors.UsageError(
      f'{path} is not an image that can be read ({errors.one_line(e)}); leave '
      'it out.'
    ) from e
  if image.width * height != image.height * width:
    raise errors.UsageError(
      f'{path} has {image.width} × {image.height} pixels, and the net is for '
      f'{width} × {height}; crop it to the same proportions.'
    )
  image = image.resize((width, height), Image.Resampling.BILINEAR)
  return np.asarray(image).reshape(shape)


if __name__ == '__main__':
  sys.exit(main())
