"""Start from the net of another run, which is embedded if necessary."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import PyTree

from lconv_jax import errors, models, runs
from lconv_jax.data import pixels
from lconv_jax.train.trainer import Trainer


def start(trainer: Trainer, folders: Sequence[runs.Folder]) -> None:
  """Replaces the initial nets of runs by that of `config.train.init_from`."""
  source = folders[0].config.train.init_from
  net, origin = trainer.setup.net, trainer.setup.origin
  trainer.start_from(
    runs.hosts.arrays_in_first(
      lambda: load(source, net, origin), like=net.shapes
    )
  )
  for folder in folders:
    folder.note_source(source)


def load(
  folder: str, net: models.Description, origin: pixels.Order | None = None
) -> dict[str, PyTree]:
  """Returns the best net of a run as another net's variables.

  Args:
    folder: the run folder, as in `config.train.init_from`.
    net: the net that begins: the same as the run's, or one in which that can be
      embedded (CONV in LOCAL in FC).
    origin: where each pixel of the images was (`Dataset.origin`); None: where
      it is.

  Returns:
    `params` and `batch_stats` of `net`, on the host.

  Raises:
    UsageError: there is no such run, its net cannot be embedded, or it has seen
      pixels in another order.
  """
  try:
    source = runs.read(pathlib.Path(folder).expanduser().absolute())
    was, variables = runs.load_net(source, net.image_shape, net.num_classes)
    _check_order(source, net, origin)
    return models.embed.embed(variables, was, net)
  except errors.UsageError as e:
    raise errors.UsageError(f'config.train.init_from={folder}: {e}') from e


def _check_order(
  source: runs.Record, net: models.Description, origin: pixels.Order | None
) -> None:
  """Raises a UsageError if a run's images have pixels in another order."""
  data, unmoved = source.config.data, np.arange(np.prod(net.image_shape[:2]))
  before = pixels.origin(data, net.image_shape)
  orders = (unmoved if order is None else order for order in (before, origin))
  if not np.array_equal(*orders):
    raise errors.UsageError(
      'the pixels of its images are in another order; set '
      f'config.data.permute={data.permute} and config.data.layout='
      f'{data.layout!r} as they were there.'
    )
