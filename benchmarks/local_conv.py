"""The locally connected layer against Flax's and PyTorch's, in float32.

  python -m benchmarks.local_conv --out benchmarks/results/local_conv.json

Times value and gradients of each layer of D-LOCAL with α = 15 (D1 to D8), and
of the first layer of S-LOCAL with α = 32 and 150 (S1-32, S1-150), on images of
32 × 32 pixels, in a few minutes on 2 cores. The first layer of a net needs no
input gradient, so no candidate computes it there. The command stops at a
candidate whose results differ from those of `lconv_jax.local_conv`.

Two candidates are ours: `batch_minor` in its own layout, which is what a LOCAL
net runs, and `local_conv`, channels last, which includes its transposes.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

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
  first: bool = False  # whether it is the first layer of its net


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


def ours(
  fn: Callable[..., Any], layout: layer.Layout, problem: layer.Problem
) -> layer.Candidate:
  """Returns `batch_minor.local_conv` or `lconv_jax.local_conv`."""
  w = problem.window
  fn = partial(fn, strides=w.strides, padding=w.padding)
  return layer.in_jax(problem, fn, layout)


def makers() -> Makers:
  """Returns functions that make the candidates that can run here, by name."""
  batch_last = layer.Layout((1, 2, 3, 0), (0, 1, 5, 2, 3, 4))
  found = {
    'batch_minor': partial(ours, batch_minor.local_conv, batch_last),
    'local_conv': partial(ours, lconv_jax.local_conv, layer.Layout()),
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
) -> list[interleave.Row]:
  """Checks all candidates on a layer, and times them.

  Args:
    spec: the layer.
    makers: of the candidates; the results of 'local_conv' are expected.
    rounds: see `interleave.measure`.
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
  calls = {name: candidate.run for name, candidate in candidates.items()}
  rows = interleave.compare(calls, rounds, OURS, labels)
  for row in rows:
    row['temporary_bytes'] = candidates[row['candidate']].temporary_bytes
  return rows


def main(argv: Sequence[str] | None = None) -> None:
  """Times the candidates, prints tables and writes them."""
  parser = interleave.parser('benchmarks.local_conv', __doc__, rounds=15)
  parser.add_argument('--batch', type=int, nargs='+', default=[128, 512])
  parser.add_argument(
    '--layers', nargs='+', choices=LAYERS, default=list(LAYERS)
  )
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
  interleave.finish(args.out, rows)
  show(rows)


def show(rows: Sequence[interleave.Row]) -> None:
  """Prints times, ratios and memory."""
  measured = [row for row in rows if row.get('temporary_bytes') is not None]
  for title, rows_, cell in (
    (f'Median in ms (over {OURS[0]}):', rows, interleave.milliseconds(OURS[0])),
    (f'Median over {OURS[1]}:', rows, interleave.ratio(OURS[1])),
    (
      'Temporary memory in MiB:',
      measured,
      lambda row: f'{row["temporary_bytes"] / 2**20:.1f}',
    ),
  ):
    interleave.show(title, rows_, ('batch', 'layer'), cell)


if __name__ == '__main__':
  main()
