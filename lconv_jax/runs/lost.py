"""Refusal to start a run again in silence, whose checkpoints are lost."""

import pathlib

import ml_collections

from lconv_jax import errors
from lconv_jax.runs import checkpoint, metrics
from lconv_jax.runs.files import read_json

# How much work a power cut may cost, and so the age of the first checkpoint.
SAVE_SECONDS = 600.0


def check(folder: pathlib.Path, config: ml_collections.ConfigDict) -> None:
  """Checks that a run without checkpoints has not lost them.

  Args:
    folder: the run folder.
    config: the config with which the run goes on.

  Raises:
    UsageError: the metrics show that a checkpoint was saved.
  """
  rows = metrics.read(folder)
  began = read_json(folder / 'config.json') or {}
  every = max(
    c.get('train', {}).get('checkpoint_every_epochs', 0)
    for c in (began, config.to_dict())
  )
  # The row of an epoch is older than its checkpoint.
  late = [row for row in rows if row.get('epoch', 0) > every]
  slow = [row for row in rows if row.get('seconds', 0) > SAVE_SECONDS]
  if late or slow[1:]:
    raise errors.UsageError(
      f'{folder} holds no checkpoint, but its {metrics.FILE} goes to step '
      f'{rows[-1]["step"]}, before which one was saved; put '
      f'{checkpoint.FOLDER}/ back, or delete {metrics.FILE} to start again.'
    )
