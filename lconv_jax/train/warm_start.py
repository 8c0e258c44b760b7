"""A net to start from: another run's, embedded where necessary."""

import pathlib
from collections.abc import Sequence

from jaxtyping import PyTree

from lconv_jax import errors, models, runs
from lconv_jax.train.trainer import Trainer


def start(trainer: Trainer, folders: Sequence[runs.Folder]) -> None:
  """Lets runs that begin start from the net of `config.train.init_from`."""
  source, net = folders[0].config.train.init_from, trainer.setup.net
  trainer.start_from(
    runs.hosts.arrays_in_first(lambda: load(source, net), like=net.shapes)
  )
  for folder in folders:
    folder.note_source(source)


def load(folder: str, net: models.Description) -> dict[str, PyTree]:
  """Returns the best net of a run as that of another one.

  Args:
    folder: of the run, as `config.train.init_from` gives it.
    net: the net that begins: the run's own, or one in which it can be embedded
      (CONV in LOCAL in FC).

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
