"""A net to start from: another run's, embedded where it has to be."""

import pathlib
from typing import Any

import ml_collections
from jaxtyping import PyTree

from lconv_jax import errors, models, runs


def load(
  config: ml_collections.ConfigDict,
  image_shape: tuple[int, int, int],
  num_classes: int,
) -> dict[str, PyTree]:
  """Returns the best net of the run `config.train.init_from`.

  Args:
    config: of the run that begins. Its net is the same as the other run's, or
      one in which that can be embedded (CONV in LOCAL in FC).
    image_shape: height, width and channels of the images.
    num_classes: number of logits.

  Returns:
    `params` and `batch_stats` of the net that begins, on the host.

  Raises:
    UsageError: there is no such run, or its net is another one.
  """
  try:
    source = runs.read(_folder(config.train.init_from))
    was, variables = runs.load_net(source, image_shape, num_classes)
    becomes = models.describe(config.model, image_shape, num_classes)
    return models.embed.embed(variables, was, becomes)
  except errors.UsageError as e:
    where = f'config.train.init_from={config.train.init_from}'
    raise errors.UsageError(f'{where}: {e}') from e


def describe(folder: str | pathlib.Path) -> dict[str, Any]:
  """Returns what stands beside a result that began with another run's net."""
  run = runs.read(_folder(folder))
  best = run.done['best'] if run.done else {}
  return {
    'run': str(run.path),
    'finished': bool(run.done),
    'epoch': best.get('epoch'),
    'test/accuracy': best.get('test/accuracy'),
    'commit': run.environment.get('commit'),
  }


def _folder(path: str | pathlib.Path) -> pathlib.Path:
  return pathlib.Path(path).expanduser().absolute()
