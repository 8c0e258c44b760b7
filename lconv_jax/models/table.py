"""Tables 3 and 4: every layer of every net, counted and beside the paper's.

Counts are of the kernels that are built. As in the paper, batch norm and the
last layer's biases are left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from lconv_jax import models


class Formula(NamedTuple):
  """An entry of the paper's tables."""

  text: str
  # (s, α, c) -> weights: image size in pixels, base channels, classes.
  value: Callable[[int, int, int], float]


class Line(NamedTuple):
  """A layer of a net, or the sum of them."""

  layer: str  # 'total' for the sum
  shape: tuple[int, ...]  # of the output, without the batch; () for the sum
  weights: int
  paper: Formula | None  # None where the paper gives none
  paper_weights: float | None  # its value


def _d_stages(text: str, value: Callable[..., float]) -> dict[str, Formula]:
  """The rows conv2 to conv8 of table 3, whose exponents grow by one a row."""
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

# In the column D-LOCAL, conv3 to conv8 are not what the strides of the same
# table make of them: positions fall by four at every second layer, channels
# double at the same one.
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
  model: ml_collections.ConfigDict, image_size: int, num_classes: int
) -> list[Line]:
  """Returns the layers of the net that `config.model` describes.

  Args:
    model: see configs/base.py.
    image_size: height and width of the colour images.
    num_classes: number of logits.
  """
  shape = (image_size, image_size, 3)
  module = models.build(model, shape, num_classes)
  _, variables = jax.eval_shape(
    lambda key, x: module.init_with_output(
      key, x, capture_intermediates=True, mutable=True
    ),
    jax.random.key(0),
    jnp.zeros((1, *shape)),
  )
  layers = models.kernels(variables['params'])
  shapes = {
    # Convolutions have the batch last, dense layers first.
    layer: out.shape[:-1] if out.ndim == 4 else out.shape[1:]
    for layer in layers
    for out in variables['intermediates'][layer]['__call__']
  }
  sizes = {layer: kernel.size for layer, kernel in layers.items()}
  sizes['total'] = sum(sizes.values())
  formulas = PAPER.get(model.name, {})
  args = image_size, model.base_channels, num_classes
  return [
    Line(
      layer,
      shapes.get(layer, ()),
      size,
      formulas.get(layer),
      formulas[layer].value(*args) if layer in formulas else None,
    )
    for layer, size in sizes.items()
  ]


def text(name: str, rows: list[Line]) -> str:
  """Returns a net's layers as a table for a terminal."""
  paper = {'s': 'table 4', 'd': 'table 3'}.get(name.split('_')[0], 'paper')
  cells = [('layer', 'output', 'weights', paper, '', '')]
  for row in rows:
    right, note = BY_STRIDES.get((name, row.layer)), ''
    if right:
      note = f'≠ {right.text} by its strides'
    elif row.paper and row.paper_weights != row.weights:
      note = '' if row.paper.text.startswith('≈') else '≠'
    cells.append(
      (
        row.layer,
        '×'.join(map(str, row.shape)),
        f'{row.weights:,}',
        f'{row.paper_weights:,.0f}' if row.paper else '–',
        row.paper.text if row.paper else '',
        note,
      )
    )
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  to_the_right = (False, False, True, True, False, False)
  return '\n'.join(
    '  '.join(
      c.rjust(w) if r else c.ljust(w)
      for c, w, r in zip(line, widths, to_the_right, strict=True)
    ).rstrip()
    for line in cells
  )
