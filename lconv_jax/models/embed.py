"""Exact maps of trained nets: CONV to LOCAL to FC.

A convolution is a locally connected layer whose positions agree, and that is a
dense layer with zeros outside of each window. The net computes the same
function afterwards, and training may go on from there: the "eFCN" of d'Ascoli,
Sagun, Biroli and Bruna (Finding the Needle in the Haystack with Convolutions,
NeurIPS 2019).
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Float, PyTree

from lconv_jax import errors, models
from lconv_jax.conv import windows
from lconv_jax.models import functions

Variables = dict[str, PyTree]  # params and batch_stats


def embed(
  variables: Variables,
  source: models.Net,
  target: models.Net,
  image_shape: tuple[int, int, int],
) -> Variables:
  """Returns a net's parameters and statistics as those of a larger one.

  Args:
    variables: `params` and `batch_stats` of `source`, arrays on the host.
    source: the net that was trained.
    target: the same net with the same or a later connectivity in the order
      CONV, LOCAL, FC; LOCAL with batch norm per unit counts as larger than
      LOCAL with batch norm per channel.
    image_shape: height, width and channels of the images.

  Returns:
    `params` and `batch_stats` of `target`, which gives the same logits in
    evaluation, to float32 rounding.

  Raises:
    UsageError: the target is no larger version of the source, or the variables
      are not the source's.
  """
  _check(source, target)
  variables = fitting(variables, source, image_shape)
  if _order(source) == _order(target):
    return variables
  params, batch_stats = (dict(variables[k]) for k in ('params', 'batch_stats'))
  to_fc = target.connectivity == 'fc'
  spatial = image_shape[:2]
  for i, stage in enumerate(source.stages, start=1):
    name, bn = f'conv{i}', f'conv{i}_bn'
    size = (stage.kernel_size, stage.kernel_size)
    w = windows.window(spatial, size, stage.stride)
    kernel = np.asarray(params[name]['kernel'])
    if source.connectivity == 'conv':
      kernel = np.broadcast_to(kernel, (*w.positions, *kernel.shape))
    if to_fc:
      kernel = dense(kernel, w, spatial)
    params[name] = {'kernel': np.array(kernel)}
    if _per_unit(target):
      units = (*w.positions, stage.channels)
      for tree in (params, batch_stats):
        values = {k: np.broadcast_to(v, units) for k, v in tree[bn].items()}
        tree[bn] = {
          k: np.array(v.reshape(-1) if to_fc else v) for k, v in values.items()
        }
    spatial = w.positions
  return {'params': params, 'batch_stats': batch_stats}


def fitting(
  variables: Variables,
  net: nn.Module,
  image_shape: tuple[int, int, int],
  where: str = 'to start from',
) -> Variables:
  """Returns a net's variables, whose shapes and dtypes were compared.

  Args:
    variables: `params` and `batch_stats`.
    net: to which they must belong.
    image_shape: height, width and channels of the images.
    where: which checkpoint it is, as part of a sentence.

  Raises:
    UsageError: they are of another net, or for images of another shape.
  """
  shapes = jax.eval_shape(
    models.as_functions(net).init,
    jax.random.key(0),
    jnp.zeros((1, *image_shape)),
  )
  return functions.match(
    dict(zip(('params', 'batch_stats'), shapes, strict=True)),
    variables,
    where,
    f'it must be a net for {net.num_classes} classes of images of shape '
    f'{image_shape}',
  )


def dense(
  kernel: Float[np.ndarray, 'y x o kh kw i'],
  w: windows.Window,
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


def _check(source: models.Net, target: models.Net) -> None:
  a, b = _order(source), _order(target)
  if a[0] > b[0] or a[1] > b[1]:
    raise errors.UsageError(
      f'{source.connectivity.upper()} cannot become '
      f'{target.connectivity.upper()}: nets are embedded in the order CONV, '
      'LOCAL, FC, and batch norm per channel before per unit.'
    )
  for what, of in (
    ('channels', lambda net: [s.channels for s in net.stages]),
    ('strides', lambda net: [s.stride for s in net.stages]),
    ('windows', lambda net: [s.kernel_size for s in net.stages]),
    ('hidden widths', lambda net: list(net.hidden)),
    ('classes', lambda net: net.num_classes),
  ):
    if what == 'windows' and target.connectivity == 'fc':
      continue  # they do not show in an FC net
    if of(source) != of(target):
      raise errors.UsageError(
        f'A net with {what} {of(source)} cannot become one with {of(target)}: '
        'they must differ in nothing but CONV, LOCAL and FC.'
      )
