"""The locally connected layer against Flax's and PyTorch's, in float32.

  python -m benchmarks.local_conv --out benchmarks/results/local_conv.json

measures value and gradients of each layer of D-LOCAL with α = 15 (D1 to D8),
and of the first layer of S-LOCAL with α = 32 and 150 (S1-32, S1-150), on images
of 32 × 32 pixels, in a few minutes on 2 cores. The first layer of a net needs
no input gradient, so nobody computes it there. A candidate whose results differ
from `lconv_jax.local_conv`'s is not measured: the command stops.

The two that are ours: `batch_minor` in its own layout, which is what a LOCAL
net runs, and `local_conv`, channels last, its transposes included.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import lconv_jax
from benchmarks import interleave, layer
from benchmarks.peers import flax_layer, optional
from lconv_jax import models
from lconv_jax.conv import batch_minor, windows

Makers = dict[str, Callable[[layer.Problem], layer.Candidate]]

OURS = ('batch_minor', 'local_conv')


class Layer(NamedTuple):
  """A layer on square images."""

  image: int  # pixels
  channels: int
  filters: int
  kernel_size: int  # pixels
  stride: int  # pixels
  first: bool = False  # of its net


def net_layers(family: str, alpha: int) -> list[Layer]:
  """Returns the layers of a family that stand for convolutions."""
  image, channels, layers = 32, 3, []
  for size, width, stride in models.FAMILIES[family].stages:
    filters = width * alpha
    layers.append(Layer(image, channels, filters, size, stride, not layers))
    image, channels = -(-image // stride), filters
  return layers


D_LOCAL = {f'D{i}': spec for i, spec in enumerate(net_layers('d', 15), start=1)}
LAYERS = {
  **D_LOCAL,
  'S1-32': net_layers('s', 32)[0],
  'S1-150': net_layers('s', 150)[0],
}
QUICK = {'quick': Layer(6, 2, 3, kernel_size=3, stride=2)}


def ours_batch_minor(problem: layer.Problem) -> layer.Candidate:
  """Returns `batch_minor.local_conv`."""
  w = problem.window
  return layer.Candidate(
    **layer.compiled(
      partial(batch_minor.local_conv, strides=w.strides, padding=w.padding),
      np.moveaxis(problem.x, 0, -1),
      np.moveaxis(problem.kernel, -1, 2),
      np.moveaxis(problem.dy, 0, -1),
      problem.input_gradient,
    ),
    images=lambda a: np.moveaxis(a, -1, 0),
    kernels=lambda a: np.moveaxis(a, 2, -1),
  )


def ours_channels_last(problem: layer.Problem) -> layer.Candidate:
  """Returns `lconv_jax.local_conv`."""
  w = problem.window
  return layer.Candidate(
    **layer.compiled(
      partial(lconv_jax.local_conv, strides=w.strides, padding=w.padding),
      problem.x,
      problem.kernel,
      problem.dy,
      problem.input_gradient,
    ),
    images=lambda a: a,
    kernels=lambda a: a,
  )


def makers() -> Makers:
  """Returns what makes the candidates that can run here, by their names."""
  found = {
    'batch_minor': ours_batch_minor,
    'local_conv': ours_channels_last,
    'flax': flax_layer.conv_local,
  }
  torch_layer = optional.torch_peer('torch_layer')
  if torch_layer is None:
    return found
  return found | {
    'torch unfold': torch_layer.unfold,
    'torch best': torch_layer.best_effort,
  }


def measure(
  spec: Layer, makers: Makers, rounds: int, **labels: Any
) -> list[dict[str, Any]]:
  """Checks all candidates on a layer, and measures them.

  Args:
    spec: the layer.
    makers: of the candidates; 'local_conv' says what is right.
    rounds: how often, see `interleave.measure`.
    **labels: of the rows; among them `batch`, the number of images.

  Raises:
    WrongResultError: a candidate computes something else.
  """
  image, size = (spec.image,) * 2, (spec.kernel_size,) * 2
  problem = layer.problem(
    (labels['batch'], *image, spec.channels),
    spec.filters,
    windows.window(image, size, spec.stride),
    input_gradient=not spec.first,
  )
  candidates = {name: make(problem) for name, make in makers.items()}
  expected = layer.results(candidates['local_conv'])
  for name, candidate in candidates.items():
    layer.check(name, candidate, expected)
  timings = interleave.measure(
    {name: candidate.run for name, candidate in candidates.items()}, rounds
  )
  rows = interleave.rows(timings, OURS, **labels)
  for row in rows:
    row['temporary_bytes'] = candidates[row['candidate']].temporary_bytes
  return rows


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints tables and writes them.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = interleave.parser('benchmarks.local_conv', __doc__)
  parser.add_argument('--batch', type=int, nargs='+', default=[128, 512])
  parser.add_argument(
    '--layers', nargs='+', choices=LAYERS, default=list(LAYERS)
  )
  parser.add_argument('--rounds', type=int, default=15)
  parser.add_argument(
    '--quick',
    action='store_true',
    help='one tiny layer in two rounds, whatever else is asked for',
  )
  args = parser.parse_args(argv)
  specs = {name: LAYERS[name] for name in args.layers}
  if args.quick:
    specs, args.batch, args.rounds = QUICK, [4], 2
  found, rows = makers(), []
  for batch in args.batch:
    of_batch = []
    for name, spec in specs.items():
      print(f'{name}, {batch} images ...', file=sys.stderr)
      of_batch += measure(spec, found, args.rounds, batch=batch, layer=name)
    if D_LOCAL.keys() <= specs.keys():
      sums = interleave.total(r for r in of_batch if r['layer'] in D_LOCAL)
      of_batch += interleave.rows(sums, OURS, batch=batch, layer='D-LOCAL')
    rows += of_batch
  if args.out:
    interleave.write(args.out, rows)
  show(rows)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
  """Prints times, ratios and memory of rows."""
  labels, (first, second) = ('batch', 'layer'), OURS
  print(f'Median in ms (over that of {first}):')
  print(interleave.table(rows, labels, interleave.milliseconds(first)))
  print(f'\nMedian over that of {second}:')
  print(interleave.table(rows, labels, interleave.ratio(second)))
  print('\nTemporary memory in MiB:')
  rows = [row for row in rows if row.get('temporary_bytes') is not None]
  print(
    interleave.table(
      rows, labels, lambda row: f'{row["temporary_bytes"] / 2**20:.1f}'
    )
  )


if __name__ == '__main__':
  main()
