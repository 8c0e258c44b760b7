"""The filters of a net's first layer."""

import functools

import numpy as np

from lconv_jax import data, errors, locality, models, runs


@functools.lru_cache(maxsize=8)  # several figures show the same filters
def filters(run: runs.Record, as_dense: bool = False) -> np.ndarray:
  """Returns the filters of the first layer of a run's best net.

  Filters of dense layers have the size of the image. Filters of LOCAL layers
  do as well: each stands at its place, with zeros outside of its window. Their
  pixels are where `data.permute` and `data.layout` have taken them from.

  Args:
    run: from `runs.read`.
    as_dense: whether the filters of CONV layers are repeated at all places in
      the image, as a dense layer has them, instead of returned as they are.

  Returns:
    [units, h, w, C] float32.

  Raises:
    UsageError: the run is not finished, its net cannot be read, or its first
      layer does not look at images, or the layout of its pixels is missing.
  """
  if run.done is None:
    raise errors.UsageError('the run is not finished')
  image = tuple(run.done['image_shape'])
  net, variables = runs.load_net(run, image)
  kernel = np.asarray(variables['params'][net.layers[0].name]['kernel'])
  found = from_layer(net.layers[0], kernel, image, as_dense)
  if net.layers[0].kind == 'conv' and not as_dense:
    return found  # windows, which have no place
  return data.pixels.put_back(found, data.pixels.origin(run.config.data, image))


def is_periodic(run: runs.Record) -> bool:
  """Returns whether a run's images continue at the opposite border."""
  return run.config.data.name in data.PERIODIC


def from_layer(
  layer: models.Layer,
  kernel: np.ndarray,
  image: tuple[int, int, int],
  as_dense: bool = False,
) -> np.ndarray:
  """Returns the filters of a first layer, as `filters` does.

  Args:
    layer: what the layer is.
    kernel: its kernel.
    image: height, width and channels of the images.
    as_dense: as `filters` takes it.

  Raises:
    UsageError: the layer does not look at images.
  """
  if layer.kind == 'conv' and not as_dense:
    return kernel
  if layer.kind != 'dense':
    kernel = models.embed.dense(kernel, layer.window, image[:2])
  try:
    return locality.from_kernel(kernel, image)
  except ValueError as e:
    raise errors.UsageError(str(e)) from e
