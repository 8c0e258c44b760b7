"""Number of weights of the paper's nets, without any run (figure 1)."""

import functools
import pathlib
from collections.abc import Sequence

from lconv_jax import models
from lconv_jax.figures import parameters
from lconv_jax.models import table
from lconv_jax.paper import captions
from lconv_jax.paper.experiments import Experiment
from lconv_jax.paper.item import Drawn

ALPHAS = (1, 4, 15, 50, 150, 256)
# The formulas of tables 3 and 4 take multiples of 16.
SIZES = (16, 32, 64, 128, 256)
_SIZE, _CLASSES = 32, 10
_NOTE = 'D-LOCAL'  # its printed column is not what its strides make of it


def draw(
  chosen: Sequence[Experiment], path: pathlib.Path, request: captions.Request
) -> Drawn:
  """Draws the S- and D-nets as built, whatever is chosen; see `item.Item`."""
  del chosen
  alphas = {name: models.FAMILIES[name].base_channels for name in ('d', 's')}
  nets = [
    _net(name)
    for family in alphas
    for name, net in models.NETS.items()
    if net.family == family
  ]
  text = captions.caption(
    (
      'Number of weights against base channels α and image size (figure 1 of '
      'the paper): kernels as built, without batch norm and biases, for '
      f'{_CLASSES} classes.',
      f'Left: images of {_SIZE} × {_SIZE} pixels. Right: the α of the paper, '
      f'{alphas["d"]} for D-nets and {alphas["s"]} for S-nets. Markers: the '
      'nets that the paper reports.',
      'On the left D-CONV and S-CONV nearly coincide, on the right S-CONV and '
      'S-LOCAL, whose layer fc1 holds most of their weights.',
      f'Dotted: the total of the column {_NOTE} as printed in table 3, which '
      'contradicts the strides in the same table; the line is what they make '
      'of it. All other columns agree with what is built.',
    ),
    (),
    request,
  )
  return Drawn(parameters.draw(nets, path, text))


@functools.cache
def _net(name: str) -> parameters.Net:
  title, alpha, *_ = models.NETS[name]
  by_alpha = [(a, _total(name, a, _SIZE)) for a in ALPHAS]
  by_size = [(s, _total(name, alpha, s)) for s in SIZES]
  net = parameters.Net(
    title,
    [(a, line.weights) for a, line in by_alpha],
    [(s, line.weights) for s, line in by_size],
    alpha,
    _SIZE,
  )
  if net.title != _NOTE:
    return net
  return net._replace(
    printed_by_alpha=[(a, line.paper_weights) for a, line in by_alpha],
    printed_by_size=[(s, line.paper_weights) for s, line in by_size],
  )


def _total(name: str, alpha: int, size: int) -> table.Line:
  return table.lines(name, alpha, size, _CLASSES)[-1]
