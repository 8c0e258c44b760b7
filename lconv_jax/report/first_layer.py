"""The filters of a net's first layer."""

import functools

import numpy as np

from lconv_jax import errors, locality, models, runs


@functools.lru_cache(maxsize=8)  # as large as nets, and shown more than once
def filters(run: runs.Record, as_dense: bool = False) -> np.ndarray:
  """Returns the filters of the first layer of a run's best net.

  Filters of dense layers have the size of the image. Those of LOCAL layers do
  as well: each stands at its place, with zeros outside of its window.

  Args:
    run: from `runs.read`.
    as_dense: whether the filters of CONV layers are repeated at all places in
      the image, as a dense layer has them, instead of returned as they are.

  Returns:
    [units, h, w, C] float32.

  Raises:
    UsageError: the run is not finished, its net cannot be read, or its first
      layer does not look at images.
  """
  if run.done is None:
    raise errors.UsageError('the run is not finished')
  image = tuple(run.done['image_shape'])
  net, variables = runs.load_net(run, image)
  layer = net.layers[0]
  kernel = np.asarray(variables['params'][layer.name]['kernel'])
  if layer.kind == 'conv' and not as_dense:
    return kernel
  if layer.kind != 'dense':
    kernel = models.embed.dense(kernel, layer.window, image[:2])
  try:
    return locality.from_kernel(kernel, image)
  except ValueError as e:
    raise errors.UsageError(str(e)) from e
