"""Start from the net of another run, which is embedded if necessary."""

import pathlib
from collections.abc import Sequence

from jaxtyping import PyTree

from lconv_jax import errors, models, runs
from lconv_jax.train.trainer import Trainer


def start(trainer: Trainer, folders: Sequence[runs.Folder]) -> None:
  """Replaces the initial nets of runs by that of `config.train.init_from`."""
  source, net = folders[0].config.train.init_from, trainer.setup.net
  trainer.start_from(
    runs.hosts.arrays_in_first(lambda: load(source, net), like=net.shapes)
  )
  for folder in folders:
    folder.note_source(source)


def load(folder: str, net: models.Description) -> dict[str, PyTree]:
  """Returns the best net of a run as another net's variables.

  Args:
    folder: the run folder, as in `config.train.init_from`.
    net: the net that begins: the same as the run's, or one in which that can be
      embedded (CONV in LOCAL in FC).

  Returns:
    `params` and `batch_stats` of `net`, on the host.

  Raises:
    UsageError: there is no such run, or its net cannot be embedded.
  """
  try:
    source = runs.read(pathlib.Path(folder).expanduser().absolute())
    was, variables = runs.load_net(source, net.image_shape, net.num_classes)
    return models.embed.embed(variables, was, net)
  except errors.UsageError as e:
    raise errors.UsageError(f'config.train.init_from={folder}: {e}') from e
