"""Exact maps of trained nets: CONV to LOCAL to FC.

A convolution is a locally connected layer whose positions agree, and that is a
dense layer with zeros outside of each window. The net computes the same
function afterwards, and training may go on from there: the "eFCN" of d'Ascoli,
Sagun, Biroli and Bruna (Finding the Needle in the Haystack with Convolutions,
NeurIPS 2019).
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from lconv_jax import errors
from lconv_jax.conv import windows
from lconv_jax.models import description, functions
from lconv_jax.models.description import Description, Layer
from lconv_jax.models.functions import Variables


def embed(
  variables: Variables, source: Description, target: Description
) -> Variables:
  """Returns a net's parameters and statistics as those of a larger one.

  Args:
    variables: `params` and `batch_stats` of `source`, arrays on the host.
    source: the net that was trained.
    target: a net of the same family, whose layers are the same or come later in
      the order CONV, LOCAL, FC. A layer with batch norm per unit counts as
      larger than the same layer with batch norm per channel.

  Returns:
    `params` and `batch_stats` of `target`, which gives the same logits in
    evaluation, to float32 rounding.

  Raises:
    UsageError: the target is not a larger version of the source, or the
      variables are not the source's.
  """
  _check(source, target)
  variables = functions.fitting(variables, source)
  params, batch_stats = (dict(variables[k]) for k in ('params', 'batch_stats'))
  for a, b in zip(source.layers, target.layers, strict=True):
    if a.kind != b.kind:
      kernel = np.asarray(params[a.name]['kernel'])
      if b.kind == 'dense':
        kernel = dense(kernel, a.window, a.inputs[:2])
      else:
        kernel = np.array(np.broadcast_to(kernel, b.kernel))
      params[b.name] = {'kernel': kernel}
    if a.statistics != b.statistics:
      for tree in (params, batch_stats):
        tree[b.norm] = {
          k: np.broadcast_to(v, a.outputs).reshape(b.statistics).copy()
          for k, v in tree[a.norm].items()
        }
  return {'params': params, 'batch_stats': batch_stats}


def dense(
  kernel: Shaped[np.ndarray, '*positions o kh kw i'],
  w: windows.Window,
  spatial: tuple[int, ...],
) -> Float[np.ndarray, 'inputs outputs']:
  """Returns the kernel of a CONV or LOCAL layer as that of a dense layer.

  Args:
    kernel: [Cout, Kh, Kw, Cin], or [Ho, Wo, Cout, Kh, Kw, Cin].
    w: how the window moves.
    spatial: height and width of the layer's input.

  Returns:
    [H · W · Cin, Ho · Wo · Cout], zero outside of the windows.
  """
  inputs, outputs, values = entries(kernel, w, spatial)
  shape = math.prod(spatial) * kernel.shape[-1], w.count * kernel.shape[-4]
  out = np.zeros(shape, kernel.dtype)
  out[inputs, outputs] = values
  return out


def entries(
  kernel: Shaped[np.ndarray, '*positions o kh kw i'],
  w: windows.Window,
  spatial: tuple[int, ...],
) -> tuple[
  Int[np.ndarray, ' n'], Int[np.ndarray, ' n'], Shaped[np.ndarray, ' n']
]:
  """Returns the entries of `dense`'s kernel that lie inside of the windows.

  Args:
    kernel: as in `dense`.
    w: as in `dense`.
    spatial: as in `dense`.

  Returns:
    The input, the output and the value of each entry.
  """
  kernel = np.broadcast_to(kernel, (*w.positions, *kernel.shape[-4:]))
  cout, cin = kernel.shape[2], kernel.shape[-1]
  # The row, or the column, of the image that each position sees at each place
  # of its window, which may lie outside of the image.
  rows, columns = (
    np.arange(count)[:, None] * stride + np.arange(size) - before
    for count, stride, size, (before, _) in zip(
      w.positions, w.strides, w.size, w.padding, strict=True
    )
  )
  height, width = spatial
  rows, columns = rows[:, None, :, None], columns[None, :, None, :]
  inside = (0 <= rows) & (rows < height) & (0 <= columns) & (columns < width)
  pixels = (rows * width + columns)[:, :, None, ..., None]
  inputs = pixels * cin + np.arange(cin)
  outputs = np.arange(w.count * cout).reshape(*w.positions, cout, 1, 1, 1)
  which = np.broadcast_to(inside[:, :, None, ..., None], kernel.shape)
  inputs, outputs = np.broadcast_arrays(inputs, outputs)
  return inputs[which], outputs[which], kernel[which]


def _check(source: Description, target: Description) -> None:
  titles = [
    f'{net.architecture.title} with α = {net.base_channels}'
    for net in (source, target)
  ]
  cannot = f'{titles[0]} cannot become {titles[1]}'
  if source.architecture.family != target.architecture.family:
    raise errors.UsageError(
      f'{cannot}: only nets of one family, such as the S-nets, are embedded in '
      'one another.'
    )
  for a, b in zip(source.layers, target.layers, strict=True):
    if any(x > y for x, y in zip(_size(a), _size(b), strict=True)):
      raise errors.UsageError(
        f'{cannot}: nets are embedded in the order CONV, LOCAL, FC, and batch '
        'norm per channel before per unit.'
      )
    for what, value in _looks(a, like=b).items():
      if value != (wanted := _looks(b, like=b)[what]):
        raise errors.UsageError(
          f'{cannot}: {a.name} has {what} {value} and not {wanted}; the nets '
          'must differ in nothing but CONV, LOCAL and FC.'
        )


def _size(layer: Layer) -> tuple[int, int]:
  kind = description.KINDS.index(layer.kind)
  return kind, math.prod(layer.statistics)


def _looks(layer: Layer, like: Layer) -> dict[str, Any]:
  """Returns the properties that embedding in a layer `like` this must keep."""
  if like.kind == 'dense':
    inputs, outputs = map(math.prod, (layer.inputs, layer.outputs))
    return {'inputs': inputs, 'outputs': outputs}
  *_, filters, height, width, channels = layer.kernel
  return {
    'channels': filters,
    'windows': (height, width),
    'strides': layer.window.strides,
    'input channels': channels,
  }
