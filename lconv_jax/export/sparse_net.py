"""Runner of sparse nets, with NumPy and SciPy alone."""

import concurrent.futures
import io
import itertools
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse

from lconv_jax import errors

VERSION = 1
NET = 'net'  # name of the array that holds the steps as JSON
# Non-zeros that are worth a thread of their own for a few images.
_WORTH_A_THREAD = 100_000

Arrays = Mapping[str, np.ndarray]
Weight = np.ndarray | scipy.sparse.csr_array  # [out, in]
Map = Callable[..., Iterable[np.ndarray]]


class SparseNet:
  """Net that `python -m lconv_jax.export` wrote as .npz.

  Attributes:
    image_shape: height, width and channels of the images.
    class_names: a name for each logit, or () where the data set has none.
  """

  def __init__(
    self, net: Mapping[str, Any], arrays: Arrays, threads: int | None = None
  ) -> None:
    """Prepares a net; `load` is for files.

    Args:
      net: the steps, in the format of docs/export.md.
      arrays: weights and biases of the steps, by name.
      threads: at most so many; None: one for each core.
    """
    self.image_shape = tuple(net['image_shape'])
    self.class_names = tuple(net['class_names'])
    self._piece = net['piece']  # images that pass through the net together
    # Dense products use all cores by themselves.
    self._threads = (threads or os.cpu_count() or 1) if net['sparse'] else 1
    self._steps = net['steps']
    others = '.bias', '.scale'  # than weights
    self._leaves = {k: v for k, v in arrays.items() if k.endswith(others)}
    self._weights: dict[str, list[Weight]] = {}  # in blocks of rows
    # By value, the step that reads it last.
    self._last = {j: i for i, s in enumerate(self._steps) for j in s['inputs']}
    for step in self._steps:
      if step['op'] in ('dense', 'conv'):
        before = self._steps[step['inputs'][0]]['shape']
        weight = _weight(step, before, arrays)
        self._weights[step['name']] = _blocks(weight, self._threads)

  @classmethod
  def load(
    cls, path: str | os.PathLike[str], threads: int | None = None
  ) -> 'SparseNet':
    """Reads a file, whose sizes are checked before memory is taken.

    Raises:
      UsageError: the file cannot be read or is not a net.
    """
    try:
      arrays = _read(path)
      net = json.loads(arrays[NET].tobytes())
      if net['version'] != VERSION:
        raise ValueError(f'it has version {net["version"]}, not {VERSION}')
      return cls(net, arrays, threads)
    except OSError as e:
      raise errors.UsageError(f'{path} cannot be read ({e.strerror}).') from e
    except Exception as e:  # damage can surface as nearly anything
      raise errors.UsageError(
        f'{path} is damaged, or not a net of lconv_jax.export '
        f'({errors.one_line(e)}); write it again from its run.'
      ) from e

  def __call__(self, images: np.ndarray) -> np.ndarray:
    """Returns float32 logits [N, classes] of uint8 images [N, H, W, C]."""
    if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
      raise errors.UsageError(
        f'Images must be uint8 of shape [N, {str(self.image_shape)[1:-1]}], '
        f'but these are {images.dtype} of shape {list(images.shape)}.'
      )
    starts = range(0, len(images) or 1, self._piece)  # one piece of no images
    pieces = [images[i : i + self._piece] for i in starts]
    shared = max(map(len, self._weights.values()))
    # A single image is done before threads have started.
    if self._threads == 1 or len(images) < 2 or len(pieces) == shared == 1:
      return np.concatenate([self._logits(piece, map) for piece in pieces])
    with concurrent.futures.ThreadPoolExecutor(self._threads) as pool:
      if len(pieces) == 1:  # threads share the rows of the weights instead
        return self._logits(images, pool.map)
      logits = pool.map(lambda piece: self._logits(piece, map), pieces)
      return np.concatenate(list(logits))

  def _logits(self, images: np.ndarray, each: Map) -> np.ndarray:
    """Returns logits; `each` maps a function over blocks of a weight."""
    values: dict[int, np.ndarray] = {}  # [features, N]
    n = len(images)
    for i, step in enumerate(self._steps):
      op, shape, inputs = step['op'], step['shape'], step['inputs']
      x = values[inputs[0]] if inputs else images
      if op == 'image':
        y = x.reshape(-1, math.prod(shape)).T.astype(np.float32, order='C')
      elif op == 'normalise':
        scale, bias = (self._leaf(step, name) for name in ('scale', 'bias'))
        y = x.reshape(-1, len(scale), n) * scale + bias
      elif op in ('dense', 'conv'):
        if op == 'conv':
          x = _columns(x.reshape(*self._steps[inputs[0]]['shape'], n), step)
        y = _product(self._weights[step['name']], x, each)
        y += self._leaf(step, 'bias')
        if op == 'conv':
          y = y.reshape(shape[-1], math.prod(shape[:2]), n).swapaxes(0, 1)
      elif op == 'relu':
        y = np.maximum(x, 0, out=x if self._last[inputs[0]] == i else None)
      elif op == 'add':
        y = x + values[inputs[1]]
      elif op == 'mean':
        y = x.reshape(len(x) // shape[0], shape[0], n).mean(0)
      values[i] = y.reshape(math.prod(shape), n)
      for j in {j for j in inputs if self._last[j] == i}:
        del values[j]
    return values[i].T

  def _leaf(self, step: Mapping[str, Any], name: str) -> np.ndarray:
    return self._leaves[f'{step["name"]}.{name}'][:, None]


def _product(weights: list[Weight], x: np.ndarray, each: Map) -> np.ndarray:
  if x.shape[1] == 1:  # SciPy is faster at vectors
    return np.concatenate([*each(lambda w: w @ x[:, 0], weights)])[:, None]
  return np.concatenate([*each(lambda w: w @ x, weights)])


def _columns(x: np.ndarray, step: Mapping[str, Any]) -> np.ndarray:
  """Returns what windows see, [Kh · Kw · C, Ho · Wo · N] of [H, W, C, N]."""
  window, (height, width, _) = step['window'], step['shape']
  (kh, kw), (down, right) = window['size'], window['strides']
  x = np.pad(x, (*window['padding'], (0, 0), (0, 0)))
  columns = np.empty((kh, kw, x.shape[2], height, width, x.shape[3]), x.dtype)
  for i, j in np.ndindex(kh, kw):
    seen = x[i : i + height * down : down, j : j + width * right : right]
    columns[i, j] = np.moveaxis(seen, 2, 0)
  return columns.reshape(kh * kw * x.shape[2], height * width * x.shape[3])


def _weight(
  step: Mapping[str, Any], before: list[int], arrays: Arrays
) -> Weight:
  rows, columns = math.prod(step['shape']), math.prod(before)
  if step['op'] == 'conv':
    rows = step['shape'][-1]
    columns = math.prod(step['window']['size']) * before[-1]
  name = step['name']
  if f'{name}.weight' in arrays:
    return arrays[f'{name}.weight'].reshape(rows, columns)
  parts = [arrays[f'{name}.{p}'] for p in ('data', 'indices', 'indptr')]
  parts[1] = parts[1].astype(np.int32)  # perhaps uint16 in the file
  weight = scipy.sparse.csr_array(tuple(parts), (rows, columns))
  weight.check_format(full_check=True)
  return weight


def _blocks(weight: Weight, threads: int) -> list[Weight]:
  """Returns the rows of a weight in blocks with as many non-zeros each."""
  count = min(threads, weight.size // _WORTH_A_THREAD)
  if count < 2 or not scipy.sparse.issparse(weight):
    return [weight]
  ends = np.linspace(0, weight.nnz, count + 1)[1:-1]
  ends = [0, *np.searchsorted(weight.indptr, ends), weight.shape[0]]
  return [weight[a:b] for a, b in itertools.pairwise(ends)]


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """Returns the arrays of a file, which are not larger than the file."""
  with zipfile.ZipFile(path) as archive:
    members = archive.infolist()
    if sum(member.file_size for member in members) > os.path.getsize(path):
      raise ValueError('it is compressed')
    # Reading compares the CRC-32 of all that is stored.
    return {m.filename[:-4]: _array(archive.read(m)) for m in members}


def _array(content: bytes) -> np.ndarray:
  file = io.BytesIO(content)
  np.lib.format.read_magic(file)
  shape, _, dtype = np.lib.format.read_array_header_1_0(file)
  array = np.frombuffer(content, dtype, math.prod(shape), file.tell())
  return array.reshape(shape)
