"""Every net of the paper (A.1), and nets of one's own: `NETS` lists them.

`build` makes the net that a config asks for, `describe` says what it consists
of, and `as_functions` turns a module into pure functions. `embed` maps a
trained net to a larger one, `fold` takes batch norm into its weights, `match`
and `fitting` compare variables with what a net needs. `graph` says what happens
between its layers.
"""

from lconv_jax.models import embed, fold, graph
from lconv_jax.models.description import KINDS, Description, Layer, describe
from lconv_jax.models.families import CONNECTIVITIES, FAMILIES, Family, Stage
from lconv_jax.models.functions import (
  Model,
  as_functions,
  fitting,
  kernels,
  match,
)
from lconv_jax.models.net import Net
from lconv_jax.models.registry import LOCAL_NORMS, NETS, Architecture, build
from lconv_jax.models.resnet import ResNet18

__all__ = [
  'CONNECTIVITIES',
  'FAMILIES',
  'KINDS',
  'LOCAL_NORMS',
  'NETS',
  'Architecture',
  'Description',
  'Family',
  'Layer',
  'Model',
  'Net',
  'ResNet18',
  'Stage',
  'as_functions',
  'build',
  'describe',
  'embed',
  'fitting',
  'fold',
  'graph',
  'kernels',
  'match',
]
