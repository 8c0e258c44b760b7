"""Least times of layers and whole training steps on a device, on paper.

  python -m benchmarks.floor --tflops 790 --bandwidth 4.3

A layer takes at least the time of its arithmetic, and at least that of its
memory traffic. `fused` reads and writes every array once in each pass, as a
kernel that cuts patches on the fly would. `im2col` also writes and reads the
patches of LOCAL layers, as the batched method of `batch_minor` does. The
defaults are an H200's products and copies in bfloat16. Batch norm and ReLU
count as fused into the layers; the update reads and writes weights and momentum
in float32.
"""

import argparse
import math
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import interleave, pictures
from configs import base
from lconv_jax import models

NETS = (*base.ALPHA.items(), ('s_local', 32))
TFLOPS, BANDWIDTH = 790.0, 4.3  # an H200's in bfloat16: 10¹²/s, TB/s
_BYTES = 2  # of a 16-bit number


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


def seconds(
  layer: Layer, tflops: float = TFLOPS, bandwidth: float = BANDWIDTH
) -> Floor:
  """Returns the floors of a layer, for a device of 10¹²/s and TB/s."""
  products = layer.flop / tflops / 1e12
  fused = layer.fused_bytes / bandwidth / 1e12
  im2col = fused + layer.im2col_bytes / bandwidth / 1e12
  return Floor(products, max(products, fused), max(products, im2col))


def total(floors: Sequence[Floor]) -> Floor:
  """Returns the floors of a step, whose layers run one after the other."""
  return Floor(*map(sum, zip(*floors, strict=True)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the device's speed on paper to a command line."""
  parser.add_argument('--tflops', type=float, default=TFLOPS, help='10¹²/s')
  parser.add_argument('--bandwidth', type=float, default=BANDWIDTH, help='TB/s')


def main(argv: Sequence[str] | None = None) -> None:
  """Prints floors."""
  parser = interleave.parser('benchmarks.floor', __doc__, out=False)
  add_arguments(parser)
  parser.add_argument('--batch', type=int, default=512)
  args = parser.parse_args(argv)
  for name, alpha in NETS:
    found = layers(name, alpha, args.batch)
    floors = [seconds(layer, args.tflops, args.bandwidth) for layer in found]
    floors.append(total(floors))
    names = [*(layer.name for layer in found), 'step']
    interleave.print_table(
      f'{models.NETS[name].title}, α = {alpha}, batch {args.batch}: µs',
      ('layer', *Floor._fields),
      [
        [label, *(f'{1e6 * t:.1f}' for t in floor)]
        for label, floor in zip(names, floors, strict=True)
      ],
    )


if __name__ == '__main__':
  main()
