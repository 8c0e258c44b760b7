"""The lines that tell a person what is trained, and on what."""

import pathlib

import jax

from lconv_jax import runs
from lconv_jax.train import groups, parallel
from lconv_jax.train.trainer import Trainer

_ROUNDING = 'results will differ by rounding from those of an uninterrupted run'


def of(part: groups.Part, trainer: Trainer, folder: pathlib.Path) -> str:
  """Returns lines that tell a person what is trained, and on what."""
  config = part.folders[0].config
  built, device = trainer.setup, jax.devices()[0].device_kind
  sizes = {name: stop - start for name, (start, stop) in built.splits.items()}
  count, more = trainer.count, jax.process_count()
  processes = '' if more == 1 else f', {more} processes'
  side_by_side = '' if count == 1 else f', {count} runs side by side'
  if idle := part.lanes.count(None):
    side_by_side += f' ({idle} of these idle)'
  beginning = 'a new run'
  if trainer.step:
    why = _in_other_company(part) or _elsewhere(part)
    beginning = f'continues after step {trainer.step}{why}'
  elif source := config.train.init_from:
    beginning = f'a new run, from the best net of {source}'
  return (
    f'{config.model.name} α={config.model.base_channels}: '
    f'{sum(trainer.weights.values()):,} weights, {config.optim.name}, '
    f'{built.program.dtype} on {parallel.device_count()} × '
    f'{device}{processes}{side_by_side}\n'
    f'{config.data.name}: {sizes["train"]:,} training, '
    f'{sizes["validation"]:,} validation, {sizes["test"]:,} test images\n'
    f'{folder}: {beginning}'
  )


def _in_other_company(part: groups.Part) -> str:
  """Returns a sentence if runs trained side by side with others before."""
  now = list(part.company)
  for folder in part.folders:
    if folder.group is not None:
      before = list(folder.group)
      if before != now:
        return (
          f'; {folder.path.name} trained side by side with '
          f'{len(before[1:])} other runs before, and not with the same ones '
          f'now: its {_ROUNDING}'
        )
  return ''


def _elsewhere(part: groups.Part) -> str:
  """Returns a sentence if a run began where numbers are rounded otherwise."""
  for folder in part.folders:
    if found := runs.changed_environment(folder.environment):
      words = [
        f'{name}={was} (now {now})' for name, (was, now) in found.items()
      ]
      return (
        f'; {folder.path.name} began with {", ".join(words)}: its {_ROUNDING}'
      )
  return ''
