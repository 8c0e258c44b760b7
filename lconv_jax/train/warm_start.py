"""A net to start from: another run's, embedded where it has to be."""

import pathlib
from typing import Any

import ml_collections
from jaxtyping import PyTree

from lconv_jax import errors, models
from lconv_jax.models import embed
from lconv_jax.runs import checkpoint
from lconv_jax.runs import folder as run


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
  folder = pathlib.Path(config.train.init_from).expanduser().absolute()
  try:
    target = config.model.copy_and_resolve_references()
    target.dropout = 0.0  # is no part of the net's parameters
    source = _model(folder, like=target)
    modules = [
      models.build(m, image_shape, num_classes) for m in (source, target)
    ]
    variables = checkpoint.load_net(folder)
    if source == target:
      return embed.fitting(variables, modules[0], image_shape)
    if not all(isinstance(m, models.Net) and m.stages for m in modules):
      a, b = (
        f'{models.TITLES[m.name]} with α = {m.base_channels}'
        for m in (source, target)
      )
      raise errors.UsageError(
        f'{a} cannot become {b}: only S- and D-nets are embedded in one '
        'another.'
      )
    return embed.embed(variables, *modules, image_shape)
  except errors.UsageError as e:
    where = f'config.train.init_from={config.train.init_from}'
    raise errors.UsageError(f'{where}: {e}') from e


def describe(folder: str | pathlib.Path) -> dict[str, Any]:
  """Returns what a result needs beside it that began with another run's net."""
  folder = pathlib.Path(folder).expanduser().absolute()
  finished = run.done(folder) or {}
  config = run.read_json(folder / 'config.json') or {}
  environment = finished.get('environment') or config.get('environment', {})
  return {
    'run': str(folder),
    'finished': bool(finished),
    'epoch': finished.get('best', {}).get('epoch'),
    'test/accuracy': finished.get('best', {}).get('test/accuracy'),
    'commit': environment.get('commit'),
  }


def _model(
  folder: pathlib.Path, like: ml_collections.ConfigDict
) -> ml_collections.ConfigDict:
  """Returns `config.model` of a run; fields it has not got are as in `like`."""
  found = run.read_json(folder / 'config.json')
  fields = found.get('model') if isinstance(found, dict) else None
  if not isinstance(fields, dict):
    raise errors.UsageError(
      'it is no run folder, or has no config.json that can be read; give a '
      'folder that main.py got as --workdir.'
    )
  model = like.copy_and_resolve_references()
  try:
    model.update({k: v for k, v in fields.items() if k in like})
  except TypeError as e:
    raise errors.UsageError(f'its config.json is damaged ({e}).') from e
  model.dropout = 0.0
  return model
