r"""Sparse nets as they are exported, against dense runtimes.

  python -m benchmarks.sparse --run runs/beta_lasso \
    --out benchmarks/results/sparse.json

Whole nets from uint8 images to logits: `lconv_jax.export.SparseNet`, the dense
net in XLA, PyTorch and onnxruntime, and `jax.experimental.sparse`. One net is
S-FC with α = 150 and a random pattern of non-zero weights; with `--run`, S-FC
as trained is another one. Before anything is timed, all candidates must give
the same logits. Memory is that of a process before and after it loads the net
and runs one batch.
"""

import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse

from benchmarks import interleave, pictures
from benchmarks.peers import optional
from lconv_jax import export
from lconv_jax.export import of_run, onnx_file, sparse_file, units
from lconv_jax.export.steps import Step

BATCHES = (1, 16, 128, 512)
OURS = 'ours'
_TOLERANCE = 1e-3  # of the largest logit

Run = Callable[[np.ndarray], np.ndarray]  # images -> logits


def random_net(alpha: int, density: float) -> tuple[Step, ...]:
  """Returns S-FC with normal weights, most of which are zero.

  The last layer has all its weights, as trained nets keep most of theirs there;
  otherwise many units would do nothing.
  """
  rng = np.random.default_rng(0)
  inputs, wide, narrow = int(np.prod(pictures.SHAPE)), 256 * alpha, 24 * alpha
  shapes = (wide, inputs), (narrow, wide), (pictures.CLASSES, narrow)
  steps = [Step('image', (), pictures.SHAPE)]
  for i, (rows, columns) in enumerate(shapes):
    last = i == len(shapes) - 1
    kernel = scipy.sparse.random_array(
      (rows, columns), density=1 if last else density, format='csr',
      dtype=np.float32, rng=rng,
      data_sampler=lambda size: rng.standard_normal(size, np.float32),
    )  # fmt: skip
    kernel *= np.float32(np.sqrt(2 * rows / kernel.nnz) / (1 if i else 128))
    bias = rng.standard_normal(rows) / 10
    name = f'layer{i + 1}'
    steps.append(Step('dense', (len(steps) - 1,), (rows,), name, kernel, bias))
    if not last:
      steps.append(Step('relu', (len(steps) - 1,), (rows,)))
  return tuple(steps)


def layers(steps: Sequence[Step]) -> list[Step]:
  """Returns the layers of a net that is a chain of dense ones."""
  found = [step for step in steps if step.kernel is not None]
  if any(step.op != 'dense' for step in found):
    sys.exit('error: only nets of dense layers are compared.')
  return found


def in_xla(steps: Sequence[Step]) -> Run:
  """Returns the dense net in XLA."""
  weights = [
    (jnp.asarray(s.kernel.toarray().T), jnp.float32(s.bias))
    for s in layers(steps)
  ]
  return _in_jax(weights, lambda x, weight: x @ weight)


def in_bcoo(steps: Sequence[Step]) -> Run:
  """Returns the net with the sparse matrices of JAX."""
  weights = [
    (sparse.BCOO.from_scipy_sparse(s.kernel), jnp.float32(s.bias))
    for s in layers(steps)
  ]
  return _in_jax(weights, lambda x, weight: (weight @ x.T).T)


def _in_jax(weights: list, product: Callable[..., jax.Array]) -> Run:
  @jax.jit
  def apply(weights: list, images: jax.Array) -> jax.Array:
    x = jnp.float32(images).reshape(len(images), -1)
    for i, (weight, bias) in enumerate(weights):
      x = product(jax.nn.relu(x) if i else x, weight) + bias
    return x

  return lambda images: np.asarray(apply(weights, images))


def in_torch(steps: Sequence[Step]) -> Run | None:
  """Returns the dense net in PyTorch; None where it is not installed."""
  if optional.torch_peer('torch_layer') is None:
    return None
  import torch

  net = torch.nn.Sequential(torch.nn.Flatten())
  for i, step in enumerate(layers(steps)):
    if i:
      net.append(torch.nn.ReLU())
    layer = torch.nn.utils.skip_init(torch.nn.Linear, *step.kernel.shape[::-1])
    with torch.no_grad():
      layer.weight.copy_(torch.from_numpy(step.kernel.toarray()))
      layer.bias.copy_(torch.from_numpy(step.bias))
    net.append(layer)
  net.eval()

  def run(images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
      return net(torch.from_numpy(images).float()).numpy()

  return run


def in_onnxruntime(steps: Sequence[Step], folder: pathlib.Path) -> Run:
  """Returns the dense net in onnxruntime."""
  import onnxruntime

  onnx_file.save(folder / 'net.onnx', steps)
  session = onnxruntime.InferenceSession(
    folder / 'net.onnx', providers=['CPUExecutionProvider']
  )
  return lambda images: session.run(None, {onnx_file.INPUT: images})[0]


def grown_by(path: pathlib.Path) -> int:
  """Returns by how many bytes a process grows that runs a net once."""
  shape = 128, *pictures.SHAPE
  program = f"""
import os, sys
import numpy as np
from lconv_jax.export import SparseNet

def resident():
  with open('/proc/self/statm') as f:
    return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

before = resident()
net = SparseNet.load(sys.argv[1])
net(np.zeros({shape}, np.uint8))
print(resident() - before)
"""
  done = subprocess.run(
    [sys.executable, '-c', program, str(path)],
    check=True, capture_output=True, text=True,
  )  # fmt: skip
  return int(done.stdout)


def measure(
  name: str,
  steps: Sequence[Step],
  rounds: int,
  batches: Sequence[int] = BATCHES,
) -> tuple[list[interleave.Row], dict[str, Any]]:
  """Checks that all runners of a net agree, and times them.

  Args:
    name: of the net.
    steps: of the net, with all units.
    rounds: see `interleave.measure`.
    batches: numbers of images.

  Returns:
    A row for each batch and runner, and the net's sizes.

  Raises:
    WrongResultError: the logits differ.
  """
  images = np.random.default_rng(1).integers(
    0, 256, (max(batches), *pictures.SHAPE), np.uint8
  )
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'net.npz')
    left = units.remove(steps)
    sparse_file.save(path, *sparse_file.content(left, pictures.SHAPE))
    whole = layers(steps)
    dense = sum(
      4 * int(np.prod(s.kernel.shape)) + 4 * len(s.bias) for s in whole
    )
    sizes = {
      'net': name,
      'weights': sum(int(np.prod(s.kernel.shape)) for s in whole),
      'nonzero': sum(s.kernel.nnz for s in whole),
      'units': [s.shape[0] for s in whole],
      'units_left': [s.shape[0] for s in layers(left)],
      'dense_bytes': dense,
      'file_bytes': path.stat().st_size,
      'memory_bytes': grown_by(path),
    }
    found = {
      OURS: export.SparseNet.load(path),
      'xla': in_xla(steps),
      'torch': in_torch(steps),
      'onnxruntime': in_onnxruntime(steps, pathlib.Path(folder)),
      'bcoo': in_bcoo(steps),
    }
  found = {who: run for who, run in found.items() if run}
  wanted = found[OURS](images[:16])
  for who, run in found.items():
    error = np.abs(run(images[:16]) - wanted).max() / np.abs(wanted).max()
    if not error <= _TOLERANCE:
      raise interleave.WrongResultError(
        f'The logits of {who} differ by {error:.2g}; nothing is timed.'
      )
  rows = []
  for batch in batches:
    x = images[:batch]
    calls = {who: lambda run=run, x=x: run(x) for who, run in found.items()}
    labels = {'net': name, 'batch': batch}
    rows += interleave.compare(calls, rounds, [OURS], labels)
  return rows, sizes


def main(argv: Sequence[str] | None = None) -> None:
  """Times the runners, prints tables and writes them."""
  parser = interleave.parser('benchmarks.sparse', __doc__, rounds=15)
  parser.add_argument('--run', help='a run folder of S-FC')
  parser.add_argument('--alpha', type=int, default=150, help='0: no random net')
  parser.add_argument('--density', type=float, default=0.01)
  parser.add_argument('--batches', type=int, nargs='+', default=BATCHES)
  args = parser.parse_args(argv)
  found = {}
  if args.run:
    found['trained'] = of_run.of_run(args.run).whole(sparse=True)
  if args.alpha:
    found[f'random, α = {args.alpha}'] = random_net(args.alpha, args.density)
  rows, sizes = [], []
  for name, steps in found.items():
    print(f'{name} ...', file=sys.stderr)
    own, size = measure(name, steps, args.rounds, args.batches)
    rows += own
    sizes.append(size)
  interleave.finish(args.out, [*sizes, *rows])
  for size in sizes:
    print(
      f'{size["net"]}: {size["weights"]:,} weights, {size["nonzero"]:,} not '
      f'zero; units {size["units"]}, left {size["units_left"]}; dense '
      f'{size["dense_bytes"] / 1e6:.1f} MB, file '
      f'{size["file_bytes"] / 1e6:.1f} MB, in memory '
      f'{size["memory_bytes"] / 1e6:.1f} MB'
    )
  interleave.show(
    'Milliseconds of a batch (over ours):',
    rows,
    ('net', 'batch'),
    interleave.milliseconds(OURS),
  )


if __name__ == '__main__':
  main()
