"""The sparse form of a net: .npz, for `SparseNet`."""

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from lconv_jax.export import sparse_net
from lconv_jax.export.steps import Step

# A weight with at most this share of non-zeros is stored, and multiplied, as
# CSR; with more, a dense product with 16 images takes no longer.
DENSEST = 0.2
# Images that pass through a net together. 16 float32 are a cache line, and what
# a sparse product reads at random then stays in cache. Dense products are
# faster the larger they are.
_SPARSE_PIECE, _DENSE_PIECE = 16, 64

Arrays = dict[str, np.ndarray]


def content(
  steps: Sequence[Step],
  image_shape: tuple[int, ...],
  class_names: Sequence[str] = (),
) -> tuple[dict[str, Any], Arrays]:
  """Returns a net as `SparseNet` takes it: the steps, and arrays by name.

  Args:
    steps: with LOCAL layers as dense ones.
    image_shape: height, width and channels.
    class_names: of the logits, or ().
  """
  arrays = {}
  work = {'data': 0, 'weight': 0}  # multiplications, sparse and dense
  for step in steps:
    if step.kernel is None:
      continue
    own = _arrays(step)
    arrays |= {f'{step.name}.{leaf}': value for leaf, value in own.items()}
    if step.op != 'normalise':
      kind = 'data' if 'data' in own else 'weight'
      work[kind] += own[kind].size * (step.window.count if step.window else 1)
  sparse = work['data'] >= work['weight']
  net = {
    'version': sparse_net.VERSION,
    'image_shape': image_shape,
    'class_names': class_names,
    'sparse': sparse,
    'piece': _SPARSE_PIECE if sparse else _DENSE_PIECE,
    'steps': [step.described for step in steps],
  }
  # As lists and numbers, the same as in a file.
  return json.loads(json.dumps(net)), arrays


def save(
  path: str | os.PathLike[str], net: Mapping[str, Any], arrays: Arrays
) -> None:
  """Writes a net, whole or not at all."""
  partial = pathlib.Path(f'{path}.partial')
  described = np.frombuffer(json.dumps(net).encode(), np.uint8)
  try:
    with partial.open('wb') as f:
      np.savez(f, allow_pickle=False, **{sparse_net.NET: described}, **arrays)
    os.replace(partial, path)
  finally:
    partial.unlink(missing_ok=True)


def _arrays(step: Step) -> Arrays:
  kernel, bias = step.kernel, np.float32(step.bias)
  if step.op == 'normalise':
    return {'scale': np.float32(kernel), 'bias': bias}
  if step.op == 'conv':
    kernel = kernel.reshape(len(kernel), -1)
  kernel = scipy.sparse.csr_array(kernel)
  if kernel.nnz > DENSEST * math.prod(kernel.shape):
    return {'weight': kernel.toarray(), 'bias': bias}
  narrow = np.uint16 if kernel.shape[1] <= 2**16 else np.int32
  return {
    'data': kernel.data,
    'indices': kernel.indices.astype(narrow),
    'indptr': kernel.indptr.astype(np.int32),
    'bias': bias,
  }
