"""The net that a run has trained."""

from jaxtyping import PyTree

from lconv_jax import models
from lconv_jax.runs import checkpoint, record


def load_net(
  run: record.Record,
  image_shape: tuple[int, int, int],
  num_classes: int | None = None,
  which: str = 'best',
) -> tuple[models.Description, dict[str, PyTree]]:
  """Returns a run's net: its description, and variables that fit it.

  Args:
    run: from `runs.read`.
    image_shape: height, width and channels of the images.
    num_classes: number of logits; None: as many as the net has.
    which: 'best' (by validation accuracy) or 'last'.

  Returns:
    The description, and `params` and `batch_stats` as NumPy arrays, whose
    shapes and dtypes were compared.

  Raises:
    UsageError: there is no checkpoint that can be read, or it is not of the
      net that the run's config describes.
  """
  variables = checkpoint.load_net(run.path, which, run.config.to_dict())
  if num_classes is None:
    last = models.describe(run.config.model, image_shape, 1).layers[-1].name
    kernels = models.kernels(variables['params'])
    num_classes = kernels[last].shape[-1] if last in kernels else 1
  net = models.describe(run.config.model, image_shape, num_classes)
  return net, models.fitting(variables, net, f'in {run.path}')
