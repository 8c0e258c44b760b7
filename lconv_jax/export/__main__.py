"""Writes the best net of a run for use elsewhere.

  python -m lconv_jax.export runs/beta_lasso --out=net.npz --out=net.onnx

.npz is for lconv_jax.export.SparseNet, which needs NumPy and SciPy alone;
.safetensors is in PyTorch's layout; .onnx is for ONNX runtimes. Batch norm and
the normalisation of pixels are part of the weights, and units that do nothing
are left out.
"""

import argparse
import math
import pathlib
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from lconv_jax.report import command

with command.needs('export,train'):
  from lconv_jax import data, errors, report
  from lconv_jax.export import (
    SparseNet,
    of_run,
    onnx_file,
    sparse_file,
    torch_file,
  )
  from lconv_jax.export.steps import Step

SUFFIXES = ('.npz', '.safetensors', '.onnx')
_IMAGES = 1000  # on which what was written is compared with the trained net
_LCONV = 'net.lconv'  # of lconv_jax.mdl


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.export',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('run', metavar='RUN', help='a run folder')
  parser.add_argument(
    '--out', action='append', metavar='FILE',
    help='can be repeated; default: net.npz in the run folder',
  )  # fmt: skip
  parser.add_argument(
    '--data_dir', default='', help='where the data set is now, if it was moved'
  )
  return command.run(parser, _export, argv)


def _export(args: argparse.Namespace) -> None:
  folder = pathlib.Path(args.run)
  paths = [pathlib.Path(p) for p in args.out or [folder / 'net.npz']]
  for path in paths:
    if path.suffix not in SUFFIXES:
      raise errors.UsageError(
        f'--out={path} must end in one of {", ".join(SUFFIXES)}.'
      )
  trained = of_run.of_run(folder, args.data_dir)
  steps = trained.steps(sparse=True)
  net, arrays = sparse_file.content(
    steps, trained.net.image_shape, trained.dataset.class_names
  )
  print(report.aligned(list(_table(trained, steps, arrays))), end='\n\n')
  seen = trained.dataset.test.images[:_IMAGES]
  wanted = trained.logits(seen)
  images = data.pixels.put_back(seen, trained.dataset.origin)
  sizes = [('as trained', _bytes(trained), '')]
  dense = (
    None if {p.suffix for p in paths} == {'.npz'} else trained.steps(False)
  )
  for path in paths:
    path.parent.mkdir(parents=True, exist_ok=True)
    with command.needs('export'):
      if path.suffix == '.npz':
        sparse_file.save(path, net, arrays)
        found = SparseNet.load(path)(images)
      elif path.suffix == '.onnx':
        onnx_file.save(path, dense, trained.dataset.class_names)
        found = onnx_file.run(path, images)
      else:
        torch_file.save(path, dense, trained.dataset.class_names)
        found = None
    note = ''
    if found is not None:
      note = f'{of_run.difference(found, wanted):.1e}'
    sizes.append((str(path), path.stat().st_size, note))
  if (lconv := folder / _LCONV).exists():
    sizes.append((f'{lconv}, coarse', lconv.stat().st_size, ''))
  header = 'net', 'bytes', f'max |Δ logit|, {len(images):,} images'
  rows = [(name, f'{size:,}', note) for name, size, note in sizes]
  print(report.aligned([header, *rows]))


def _table(
  trained: of_run.Trained, steps: Sequence[Step], arrays: sparse_file.Arrays
) -> Iterator[tuple[str, ...]]:
  yield 'layer', 'weights', 'non-zero', 'left', 'units', 'left', 'stored'
  by_name = {step.name: step for step in steps}
  for layer in trained.net.layers:
    step, before = by_name[layer.name], trained.variables['params'][layer.name]
    kernel = step.kernel
    left = kernel.nnz if step.op == 'dense' else np.count_nonzero(kernel)
    yield (
      layer.name,
      f'{layer.weights:,}',
      f'{np.count_nonzero(before["kernel"]):,}',
      f'{left:,}',
      f'{math.prod(layer.outputs):,}',
      f'{math.prod(step.shape):,}',
      'CSR' if f'{layer.name}.data' in arrays else 'dense',
    )


def _bytes(trained: of_run.Trained) -> int:
  layers = trained.variables['params'].values()
  return sum(leaf.nbytes for leaves in layers for leaf in leaves.values())


if __name__ == '__main__':
  sys.exit(main())
