"""What a device could do at best, on paper, for each layer and whole steps.

  python -m benchmarks.floor --tflops 790 --bandwidth 4.3

A layer takes at least the time of its arithmetic, and at least that of its
memory traffic. `fused` reads and writes every array once in each pass, as a
kernel that cuts patches on the fly would; `im2col` also writes and reads the
patches, as `batch_minor`'s batched method does. The defaults are an H200's
products and copies in bfloat16. Batch norm and ReLU are taken to be fused into
the layers; the update reads and writes weights and momentum in float32.
"""

import argparse
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from lconv_jax import models

NETS = (('d_local', 15), ('s_local', 32), ('s_local', 150))
_BYTES = 2  # of a 16-bit number
# Per weight, in float32: gradient written and read, weight and momentum read
# and written.
_UPDATE_BYTES = 4 * 6


class Layer(NamedTuple):
  """What a layer computes and moves, per training step."""

  name: str
  flop: float
  fused_bytes: float
  im2col_bytes: float  # patches alone


def layers(family: str, alpha: int, batch: int) -> list[Layer]:
  """Returns the layers of a LOCAL net for 10 classes of 32 × 32 × 3 images."""
  stages, hidden = models.FAMILIES[family]
  image, channels, found = 32, 3, []
  for i, (size, width, stride) in enumerate(stages, start=1):
    filters, out = width * alpha, -(-image // stride)
    passes = 2 if i == 1 else 3  # the images need no gradient
    # Patches are written and read in every pass.
    weights = out**2 * size**2 * channels * filters
    x, y = image**2 * channels * batch, out**2 * filters * batch
    patches = out**2 * size**2 * channels * batch
    found.append(
      _layer(f'conv{i}', weights, x, y, batch, passes, 2 * passes * patches)
    )
    image, channels = out, filters
  widths = (image**2 * channels, hidden * alpha, 10)
  for i, (a, b) in enumerate(itertools.pairwise(widths), start=1):
    found.append(_layer(f'fc{i}', a * b, a * batch, b * batch, batch, 3, 0))
  return found


def _layer(
  name: str,
  weights: int,
  x: int,
  y: int,
  batch: int,
  passes: int,
  patches: int,
) -> Layer:
  # Forward: x and w in, y out. Weights' gradient: x and dy in. Inputs'
  # gradient: dy and w in, dx out.
  moved = x + weights + y + x + y
  if passes == 3:
    moved += y + weights + x
  return Layer(
    name,
    2 * passes * weights * batch,
    moved * _BYTES + weights * _UPDATE_BYTES,
    patches * _BYTES,
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Prints floors.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.floor',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--tflops', type=float, default=790.0, help='10¹²/s')
  parser.add_argument('--bandwidth', type=float, default=4.3, help='TB/s')
  parser.add_argument('--batch', type=int, default=512)
  args = parser.parse_args(argv)
  for name, alpha in NETS:
    print(f'{models.TITLES[name]}, α = {alpha}, batch {args.batch}: µs')
    print(f'{"layer":>8}{"products":>10}{"fused":>10}{"im2col":>10}')
    sums = [0.0, 0.0, 0.0]
    for layer in layers(name[0], alpha, args.batch):
      products = layer.flop / args.tflops / 1e6
      fused = layer.fused_bytes / args.bandwidth / 1e6
      im2col = fused + layer.im2col_bytes / args.bandwidth / 1e6
      times = products, max(products, fused), max(products, im2col)
      sums = [a + b for a, b in zip(sums, times, strict=True)]
      print(f'{layer.name:>8}' + ''.join(f'{t:10.1f}' for t in times))
    print(f'{"step":>8}' + ''.join(f'{t:10.1f}' for t in sums), end='\n\n')


if __name__ == '__main__':
  main()
