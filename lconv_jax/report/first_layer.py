"""The filters of a net's first layer."""

import functools

import numpy as np

from lconv_jax import errors, locality, models, runs
from lconv_jax.conv import windows
from lconv_jax.models import embed


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
  module, variables = runs.load_net(run, image)
  kernel = next(iter(models.kernels(variables['params']).values()))
  kernel = np.asarray(kernel)
  if kernel.ndim == 4 and not as_dense:
    return kernel
  if kernel.ndim > 2:
    stages = getattr(module, 'stages', None)
    w = windows.window(
      image[:2], kernel.shape[-3:-1], stages[0].stride if stages else 1
    )
    if kernel.ndim == 4:
      kernel = np.broadcast_to(kernel, (*w.positions, *kernel.shape))
    kernel = embed.dense(kernel, w, image[:2])
  try:
    return locality.from_kernel(kernel, image)
  except ValueError as e:
    raise errors.UsageError(str(e)) from e
