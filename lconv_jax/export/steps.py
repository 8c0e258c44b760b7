"""A folded net as steps with arrays, from which every form of it is written."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from lconv_jax import errors
from lconv_jax.conv import windows
from lconv_jax.models import embed, fold, graph


class Step(NamedTuple):
  """Step of the computation of logits; the last one returns them.

  A step `image` returns pixels as numbers in 0 ... 255, `normalise` multiplies
  them by the kernel and adds the bias, and `dense`, `local` and `conv` are
  layers. As in `models.graph`, there are also `relu`, `add` and `mean`.
  """

  op: str
  inputs: tuple[int, ...]  # places of the steps before it
  shape: tuple[int, ...]  # of the output for a single image
  name: str = ''  # of the layer
  # dense: sparse [out, in]; conv: [Cout, Kh, Kw, Cin]; local: positions before.
  kernel: np.ndarray | scipy.sparse.csr_array | None = None
  bias: Float[np.ndarray, '...'] | None = None  # float64
  window: windows.Window | None = None

  @property
  def described(self) -> dict[str, Any]:
    """The step without its arrays, as JSON can hold it."""
    fields = {'op': self.op, 'inputs': self.inputs, 'shape': self.shape}
    if self.name:
      fields['name'] = self.name
    if self.window:
      fields['window'] = self.window._asdict()
      del fields['window']['positions']
    return fields


def steps(
  nodes: Sequence[graph.Node],
  folded: fold.Folded,
  sparse: bool,
  origin: Int[np.ndarray, ' pixels'] | None = None,
) -> tuple[Step, ...]:
  """Returns a net's steps.

  The normalisation of pixels becomes part of the first layers' weights where
  all of these are dense. Otherwise it is a step, as zeros that pad an image are
  normalised pixels.

  Args:
    nodes: of the net.
    folded: its weights.
    sparse: whether LOCAL layers become dense layers that are mostly zeros.
    origin: where each pixel that the net was trained on is in an image, if
      pixels were moved.

  Raises:
    UsageError: pixels were moved before a layer that has windows.
  """
  result = [_step(node, folded, sparse) for node in nodes]
  moments = folded[fold.NORMALISE]
  mean, std = (np.float64(moments[name]) for name in ('mean', 'std'))
  scale, shift = 1 / (255 * std), -mean / std
  first = [i for i, step in enumerate(result) if step.inputs == (0,)]
  if all(result[i].op == 'dense' for i in first):
    for i in first:
      result[i] = _normalised(result[i], scale, shift)
      if origin is not None:
        result[i] = _put_back(result[i], origin)
    return tuple(result)
  if origin is not None:
    raise errors.UsageError(
      'The net cannot be exported in this form, as data.permute or data.layout '
      'moved the pixels that its windows see; only dense layers, and LOCAL '
      'layers in .npz, can take pixels from where they were.'
    )
  normalise = Step(
    'normalise', (0,), result[0].shape, 'normalise', scale, shift
  )
  moved = [
    step._replace(inputs=tuple(i + 1 for i in step.inputs))
    for step in result[1:]
  ]
  return result[0], normalise, *moved


def _step(node: graph.Node, folded: fold.Folded, sparse: bool) -> Step:
  layer = node.layer
  if layer is None:
    return Step(node.op, node.inputs, node.shape)
  kernel, bias = (folded[layer.name][leaf] for leaf in ('kernel', 'bias'))
  bias = np.float64(bias)
  if layer.kind == 'dense':
    kernel = scipy.sparse.csr_array(kernel.T)
  elif layer.kind == 'local' and sparse:
    inputs, outputs, values = embed.entries(
      kernel, layer.window, layer.inputs[:2]
    )
    shape = math.prod(layer.outputs), math.prod(layer.inputs)
    kernel = scipy.sparse.csr_array((values, (outputs, inputs)), shape)
    kernel.eliminate_zeros()
    bias = np.broadcast_to(bias, layer.outputs).ravel()
  else:
    return Step(
      layer.kind, node.inputs, node.shape, layer.name, kernel, bias,
      layer.window,
    )  # fmt: skip
  return Step('dense', node.inputs, node.shape, layer.name, kernel, bias)


def _normalised(
  step: Step, scale: Float[np.ndarray, ' c'], shift: Float[np.ndarray, ' c']
) -> Step:
  """Returns a dense layer that takes pixels in 0 ... 255."""
  kernel = step.kernel.astype(np.float64)
  pixels = kernel.shape[1] // len(scale)
  bias = step.bias + kernel @ np.tile(shift, pixels)
  kernel.data *= np.tile(scale, pixels)[kernel.indices]
  return step._replace(kernel=kernel.astype(np.float32), bias=bias)


def _put_back(step: Step, origin: Int[np.ndarray, ' pixels']) -> Step:
  """Returns a dense layer that takes each pixel from where it was."""
  kernel = step.kernel.copy()
  channels = kernel.shape[1] // len(origin)
  pixel, channel = np.divmod(kernel.indices, channels)
  indices = origin[pixel] * channels + channel
  kernel.indices = indices.astype(kernel.indices.dtype)
  kernel.has_sorted_indices = False
  kernel.sort_indices()
  return step._replace(kernel=kernel)
