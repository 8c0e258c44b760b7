"""Tables 3 and 4: the weights of every layer, beside the paper's formulas.

Counts are of the kernels that are built. As in the paper, batch norm and the
last layer's biases are left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import ml_collections

from lconv_jax.models.description import describe


class Formula(NamedTuple):
  """Entry of the paper's tables."""

  text: str
  # (s, α, c) -> weights: image size in pixels, base channels, classes.
  value: Callable[[int, int, int], float]


class Line(NamedTuple):
  """Layer of a net, or the sum over its layers."""

  layer: str  # 'total' for the sum
  shape: tuple[int, ...]  # of the output, without the batch; () for the sum
  weights: int
  paper: Formula | None  # None if the paper has no formula
  paper_weights: float | None  # value of the formula


def _d_stages(text: str, value: Callable[..., float]) -> dict[str, Formula]:
  """Returns rows conv2 to conv8 of table 3, whose exponents grow by one."""
  return {
    f'conv{i}': Formula(text.format(i - 1, 2 ** (i - 1)),
    lambda s, a, c, i=i: value(s, a, i - 1))
    for i in range(2, 9)
  }  # fmt: skip


_S_FC = {
  'fc1': Formula('6s²α²', lambda s, a, c: 6 * s**2 * a**2),
  'fc2': Formula('24cα', lambda s, a, c: 24 * c * a),
}
_D_FC = {
  'fc1': Formula('4s²α²', lambda s, a, c: 4 * s**2 * a**2),
  'fc2': Formula('64cα', lambda s, a, c: 64 * c * a),
}

# Which table of the paper shows a family.
NUMBERS = {'s': 'table 4', 'd': 'table 3'}

# Tables 3 and 4 as printed, their last row under 'total'.
PAPER = {
  's_conv': {
    'conv1': Formula('81·3α', lambda s, a, c: 243 * a), **_S_FC,
    'total': Formula(
      '6s²α² + (243 + 24c)α',
      lambda s, a, c: 6 * s**2 * a**2 + (243 + 24 * c) * a,
    ),
  },
  's_local': {
    'conv1': Formula('81·3s²α/4', lambda s, a, c: 243 * s**2 * a / 4), **_S_FC,
    'total': Formula(
      '6s²α² + (243s²/4 + 24c)α',
      lambda s, a, c: 6 * s**2 * a**2 + (243 * s**2 / 4 + 24 * c) * a,
    ),
  },
  's_fc': {
    'conv1': Formula('3s⁴α/4', lambda s, a, c: 3 * s**4 * a / 4), **_S_FC,
    'total': Formula(
      '6s²α² + (3s⁴/4 + 24c)α',
      lambda s, a, c: 6 * s**2 * a**2 + (3 * s**4 / 4 + 24 * c) * a,
    ),
  },
  'd_conv': {
    'conv1': Formula('9·3α', lambda s, a, c: 27 * a),
    **_d_stages('9·2^{0}α²', lambda s, a, i: 9 * 2**i * a**2), **_D_FC,
    'total': Formula(
      '≈ (9·2⁸ + 4s²)α² + (27 + 64c)α',
      lambda s, a, c: (9 * 2**8 + 4 * s**2) * a**2 + (27 + 64 * c) * a,
    ),
  },
  'd_local': {
    'conv1': Formula('9·3s²α', lambda s, a, c: 27 * s**2 * a),
    **_d_stages('9·s²α²/{1}', lambda s, a, i: 9 * s**2 * a**2 / 2**i), **_D_FC,
    'total': Formula(
      '≈ 13s²α² + (27s² + 64c)α',
      lambda s, a, c: 13 * s**2 * a**2 + (27 * s**2 + 64 * c) * a,
    ),
  },
  'd_fc': {
    'conv1': Formula('3s⁴α', lambda s, a, c: 3 * s**4 * a),
    **_d_stages('s⁴α²/{1}', lambda s, a, i: s**4 * a**2 / 2**i), **_D_FC,
    'total': Formula(
      '≈ (s⁴ + 4s²)α² + (3s⁴ + 64c)α',
      lambda s, a, c: (s**4 + 4 * s**2) * a**2 + (3 * s**4 + 64 * c) * a,
    ),
  },
}  # fmt: skip

# In the column D-LOCAL, conv3 to conv8 contradict the strides of the same
# table: positions fall by four at every second layer, where channels double.
BY_STRIDES = {
  ('d_local', f'conv{i}'): (
    Formula('9·s²α²/2', lambda s, a, c: 9 * s**2 * a**2 / 2)
    if i % 2 == 0
    else Formula('9·s²α²', lambda s, a, c: 9 * s**2 * a**2)
  )
  for i in range(3, 9)
} | {
  ('d_local', 'total'): Formula(
    '49s²α² + (27s² + 64c)α',
    lambda s, a, c: 49 * s**2 * a**2 + (27 * s**2 + 64 * c) * a,
  )
}


def lines(
  name: str,
  base_channels: int,
  image_shape: tuple[int, int, int],
  num_classes: int,
) -> list[Line]:
  """Returns the layers of a net, and their sum.

  Args:
    name: one of `NETS`.
    base_channels: α.
    image_shape: height, width and channels. The paper's formulas are of square
      colour images.
    num_classes: number of logits.
  """
  model = ml_collections.ConfigDict(
    {
      'name': name,
      'base_channels': base_channels,
      'kernel_size': 0,
      'local_norm': 'channel',
      'dropout': 0.0,
    }
  )
  net = describe(model, image_shape, num_classes)
  rows = [(layer.name, layer.outputs, layer.weights) for layer in net.layers]
  rows.append(('total', (), sum(layer.weights for layer in net.layers)))
  height, width, channels = image_shape
  formulas = PAPER.get(name, {}) if (height, channels) == (width, 3) else {}
  args = height, base_channels, num_classes
  return [
    Line(
      *row,
      formulas.get(row[0]),
      formulas[row[0]].value(*args) if row[0] in formulas else None,
    )
    for row in rows
  ]
