"""Least times of layers, training steps and whole grids on a device, on paper.

  python -m benchmarks.floor --tflops 790 --bandwidth 4.3   # layers and steps
  python -m benchmarks.floor table1 table2   # hours of the grids' runs

A layer takes at least the time of its arithmetic, and at least that of its
memory traffic. `fused` reads and writes every array once in each pass, as a
kernel that cuts patches on the fly would. `im2col` also writes and reads the
patches of LOCAL layers, as the batched method of `batch_minor` does. Batch norm
and ReLU count as fused into the layers; the update reads and writes weights and
momentum in float32. The default device is an H200 in bfloat16.

A run takes epochs times steps times the fused floor of a step. This leaves out
evaluation, augmentation, compilation, saving, and all that a real step needs
beyond its floor, so plan with a multiple.
"""

import argparse
import functools
import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import ml_collections

from benchmarks import interleave, pictures
from configs import base
from launch import sweep
from lconv_jax import models

NETS = (*base.ALPHA.items(), ('s_local', 32))
TRAIN = {'cifar10': 50_000, 'cifar100': 50_000, 'svhn_cropped': 73_257}
_BYTES = 2  # of a 16-bit number


class Device(NamedTuple):
  """Speed of a device on paper, by default of an H200 in bfloat16."""

  tflops: float = 790.0  # 10¹²/s
  bandwidth: float = 4.3  # TB/s


class Layer(NamedTuple):
  """Arithmetic and traffic of a layer in a training step."""

  name: str
  flop: float
  fused_bytes: float
  im2col_bytes: float  # patches alone


class Floor(NamedTuple):
  """Least seconds of a layer or a step."""

  products: float
  fused: float
  im2col: float


@functools.cache
def layers(
  name: str,
  alpha: int,
  batch: int,
  momentum: bool = True,
  kernel_size: int = 0,
) -> list[Layer]:
  """Returns the layers of a net for 10 classes of 32 × 32 × 3 images.

  Args:
    name: one of `models.NETS`.
    alpha: base channels.
    batch: images in a step.
    momentum: whether the update also reads and writes a momentum.
    kernel_size: of convolutions, pixels; 0: the net's own.
  """
  model = base.base().model
  model.update({'name': name, 'base_channels': alpha})
  model.kernel_size = kernel_size
  net = models.describe(model, pictures.SHAPE, pictures.CLASSES)
  return [
    # The images need no gradient.
    _layer(layer, batch, 3 if i else 2, momentum)
    for i, layer in enumerate(net.layers)
  ]


def _layer(
  layer: models.Layer, batch: int, passes: int, momentum: bool
) -> Layer:
  weights = layer.weights
  x, y = math.prod(layer.inputs), math.prod(layer.outputs)  # of one example
  window = math.prod(layer.kernel[-3:])
  products = weights if layer.kind == 'dense' else y * window
  patches = layer.window.count * window if layer.kind == 'local' else 0
  # Forward: x and w in, y out. Weights' gradient: x and dy in. Inputs'
  # gradient: dy and w in, dx out.
  moved = 2 * batch * (x + y) + weights
  if passes == 3:
    moved += batch * (x + y) + weights
  # In float32: gradient, weight and momentum are each read and written.
  update = 4 * (6 if momentum else 4) * weights
  return Layer(
    layer.name,
    2 * passes * products * batch,
    moved * _BYTES + update,
    # Patches are written and read in every pass.
    2 * passes * patches * batch * _BYTES,
  )


def seconds(layer: Layer, device: Device = Device()) -> Floor:  # noqa: B008
  """Returns the floors of a layer."""
  products = layer.flop / device.tflops / 1e12
  fused = layer.fused_bytes / device.bandwidth / 1e12
  im2col = fused + layer.im2col_bytes / device.bandwidth / 1e12
  return Floor(products, max(products, fused), max(products, im2col))


def total(floors: Sequence[Floor]) -> Floor:
  """Returns the floors of a step, whose layers run one after the other."""
  return Floor(*map(sum, zip(*floors, strict=True)))


def step(c: ml_collections.ConfigDict, device: Device) -> Floor:
  """Returns the floors of a step with the net and optimiser of a config."""
  m = c.model
  momentum = c.optim.momentum > 0
  net = m.name, m.base_channels, c.train.batch_size, momentum, m.kernel_size
  return total([seconds(layer, device) for layer in layers(*net)])


def run(c: ml_collections.ConfigDict, device: Device) -> float:
  """Returns the least seconds of all steps of a run.

  Raises:
    ValueError: the data set is not among `TRAIN`.
  """
  if c.data.name not in TRAIN:
    raise ValueError(
      f'data.name={c.data.name} has no floor; there is one for '
      f'{", ".join(TRAIN)}.'
    )
  images = c.data.limit or TRAIN[c.data.name] - c.data.validation
  steps = images // c.train.batch_size
  return c.train.epochs * steps * step(c, device).fused


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the fields of `Device` to a command line."""
  device = Device()
  parser.add_argument('--tflops', type=float, default=device.tflops)
  parser.add_argument(
    '--bandwidth', type=float, default=device.bandwidth, help='TB/s'
  )


def main(argv: Sequence[str] | None = None) -> int:
  """Prints floors; returns the exit status."""
  parser = interleave.parser('benchmarks.floor', __doc__, out=False)
  parser.add_argument(
    'grids', nargs='*', metavar='GRID', help='as launch.local takes it'
  )
  add_arguments(parser)
  parser.add_argument('--batch', type=int, default=512)
  args = parser.parse_args(argv)
  device = Device(args.tflops, args.bandwidth)
  try:
    _show_grids(args.grids, device)
  except ValueError as e:
    print(f'error: {e}', file=sys.stderr)
    return 2
  if not args.grids:
    for name, alpha in NETS:
      _show_net(name, alpha, args.batch, device)
  return 0


def _show_net(name: str, alpha: int, batch: int, device: Device) -> None:
  found = layers(name, alpha, batch)
  floors = [seconds(layer, device) for layer in found]
  floors.append(total(floors))
  names = [*(layer.name for layer in found), 'step']
  interleave.print_table(
    f'{models.NETS[name].title}, α = {alpha}, batch {batch}: µs',
    ('layer', *Floor._fields),
    [
      [label, *(f'{1e6 * t:.1f}' for t in floor)]
      for label, floor in zip(names, floors, strict=True)
    ],
  )


def _show_grids(grids: Sequence[str], device: Device) -> None:
  lines = []
  for name in grids:
    configs = sweep.configs(sweep.expand(name))
    t = [run(c, device) / 3600 for c in configs]
    lines.append((name, f'{len(t):,}', f'{sum(t):.2f}', f'{max(t):.2f}'))
  if lines:
    columns = ('grid', 'runs', 'all', 'longest run')
    interleave.print_table('Hours at least:', columns, lines)


if __name__ == '__main__':
  sys.exit(main())
