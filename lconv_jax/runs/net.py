"""The net that a run has trained."""

import ml_collections
from flax import linen as nn
from jaxtyping import PyTree

from lconv_jax import models
from lconv_jax.models import embed
from lconv_jax.runs import checkpoint, record


def load_net(
  run: record.Record,
  image_shape: tuple[int, int, int],
  num_classes: int | None = None,
  which: str = 'best',
) -> tuple[nn.Module, dict[str, PyTree]]:
  """Returns a run's net: the module, and variables that fit it.

  Args:
    run: from `runs.read`.
    image_shape: height, width and channels of the images.
    num_classes: number of logits; None: as many as the net has.
    which: 'best' (by validation accuracy) or 'last'.

  Returns:
    The module, for evaluation in float32, and its `params` and `batch_stats`
    as NumPy arrays, whose shapes and dtypes were compared.

  Raises:
    UsageError: there is no checkpoint that can be read, or it is not of the
      net that the run's config describes.
  """
  variables = checkpoint.load_net(run.path, which)
  if num_classes is None:
    *_, logits = models.kernels(variables['params']).values()
    num_classes = logits.shape[-1]
  # Dropout is not part of a trained net.
  model = ml_collections.ConfigDict({**run.config.model, 'dropout': 0.0})
  module = models.build(model, image_shape, num_classes)
  where = f'in {run.path}'
  return module, embed.fitting(variables, module, image_shape, where)
