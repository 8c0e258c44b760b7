"""Exact maps of trained nets: CONV to LOCAL to FC.

A convolution is a locally connected layer whose positions agree, and that is a
dense layer with zeros outside of each window. The net computes the same
function afterwards, and training may go on from there: the "eFCN" of d'Ascoli,
Sagun, Biroli and Bruna (Finding the Needle in the Haystack with Convolutions,
NeurIPS 2019).
"""

import numpy as np
from flax import linen as nn
from jaxtyping import Float, PyTree

from lconv_jax import batch_minor, errors, models

Net = dict[str, PyTree]  # params and batch_stats


def embed(
  net: Net,
  source: nn.Module,
  target: nn.Module,
  image_shape: tuple[int, int, int],
) -> Net:
  """Returns a net's parameters and statistics as those of a larger one.

  Args:
    net: `params` and `batch_stats` of `source`, arrays on the host.
    source: the net that was trained.
    target: the same net with the same or a later connectivity in the order
      CONV, LOCAL, FC; LOCAL with batch norm per unit counts as larger than
      LOCAL with batch norm per channel.
    image_shape: height, width and channels of the images.

  Returns:
    `params` and `batch_stats` of `target`, which gives the same logits in
    evaluation, to float32 rounding.

  Raises:
    UsageError: the target is no larger version of the source.
  """
  if source == target:
    return net
  _check(source, target)
  params, batch_stats = dict(net['params']), dict(net['batch_stats'])
  spatial = image_shape[:2]
  for i, stage in enumerate(source.stages, start=1):
    name, bn = f'conv{i}', f'conv{i}_bn'
    size = (stage.kernel_size, stage.kernel_size)
    w = batch_minor.window(spatial, size, stage.stride)
    kernel = np.asarray(params[name]['kernel'])
    if source.connectivity == 'conv' != target.connectivity:
      kernel = np.broadcast_to(kernel, (*w.positions, *kernel.shape))
    if target.connectivity == 'fc':
      kernel = dense(kernel, w, spatial)
    params[name] = {'kernel': np.array(kernel)}
    if _per_unit(target):
      units = (*w.positions, stage.channels)
      for tree in (params, batch_stats):
        tree[bn] = {
          k: np.array(np.broadcast_to(v, units)) for k, v in tree[bn].items()
        }
        if target.connectivity == 'fc':
          tree[bn] = {k: v.reshape(-1) for k, v in tree[bn].items()}
    spatial = w.positions
  return {'params': params, 'batch_stats': batch_stats}


def dense(
  kernel: Float[np.ndarray, 'y x o kh kw i'],
  w: batch_minor.Window,
  spatial: tuple[int, int],
) -> Float[np.ndarray, 'inputs outputs']:
  """Returns a LOCAL layer's kernel as that of a dense layer.

  Args:
    kernel: [Ho, Wo, Cout, Kh, Kw, Cin].
    w: how the window moves.
    spatial: height and width of the layer's input.

  Returns:
    [H · W · Cin, Ho · Wo · Cout], zero outside of the windows.
  """
  cout, cin = kernel.shape[2], kernel.shape[-1]
  out = np.zeros((*spatial, cin, *w.positions, cout), kernel.dtype)
  for offset in np.ndindex(*w.size):
    # The pixel that each position sees at this place of its window, and which
    # of them lie in the image.
    at = [
      np.arange(count) * stride + o - before
      for count, stride, o, (before, _) in zip(
        w.positions, w.strides, offset, w.padding, strict=True
      )
    ]
    inside = [
      np.flatnonzero((0 <= a) & (a < n))
      for a, n in zip(at, spatial, strict=True)
    ]
    (h, y), (v, x) = ((a[i], i) for a, i in zip(at, inside, strict=True))
    h, y, v, x = h[:, None], y[:, None], v[None], x[None]
    # Indexed axes come first: [y, x, cin, cout].
    out[h, v, :, y, x] = np.swapaxes(kernel[y, x, :, *offset], -1, -2)
  return out.reshape(-1, np.prod(w.positions) * cout)


def _per_unit(net: models.Net) -> bool:
  local = net.connectivity == 'local' and net.local_norm == 'unit'
  return local or net.connectivity == 'fc'


def _order(net: models.Net) -> tuple[int, bool]:
  return models.CONNECTIVITIES.index(net.connectivity), _per_unit(net)


def _check(source: nn.Module, target: nn.Module) -> None:
  same = ('stages', 'hidden', 'num_classes')
  for net in (source, target):
    if not isinstance(net, models.Net) or not net.stages:
      raise errors.UsageError(
        'Only S- and D-nets can be embedded in one another.'
      )
  for field in same:
    a, b = getattr(source, field), getattr(target, field)
    if a != b:
      raise errors.UsageError(
        f'A net with {field}={a} cannot become one with {field}={b}; they must '
        'differ in nothing but CONV, LOCAL and FC.'
      )
  a, b = _order(source), _order(target)
  if a[0] > b[0] or a[1] > b[1]:
    raise errors.UsageError(
      f'{source.connectivity.upper()} cannot become '
      f'{target.connectivity.upper()}: nets are embedded in the order CONV, '
      'LOCAL, FC, and batch norm per channel before per unit.'
    )
