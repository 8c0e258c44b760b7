"""Checkpoints as orbax stores them; damage is told from what may pass."""

import errno
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging

from lconv_jax import errors
from lconv_jax.runs import checksums

# The item in which a checkpoint says what it has; old ones have none.
ABOUT = 'about'
# Words for what may pass, in errors of libraries. A file that is there and
# cannot be used has other words, such as DATA_LOSS.
_PASSING = (
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'Too many open files',
  'Cannot allocate memory',
  "can't start new thread",
  'Resource temporarily unavailable',
  'Input/output error',
)


class Damaged(Exception):
  """A checkpoint is not what was saved; the message says why."""


def manager(folder: pathlib.Path, **options: Any) -> ocp.CheckpointManager:
  """Returns a manager for which no other process has to wait."""
  alone = ocp.options.MultiprocessingOptions(
    primary_host=jax.process_index(),
    active_processes={jax.process_index()},
    barrier_sync_key_prefix=f'process_{jax.process_index()}',
  )
  return ocp.CheckpointManager(
    folder,
    options=ocp.CheckpointManagerOptions(
      create=False,
      enable_async_checkpointing=False,
      multiprocessing_options=alone,
      **options,
    ),
  )


def load(
  manager: ocp.CheckpointManager, step: int, *items: str
) -> tuple[Mapping[str, Any], dict[str, Any]]:
  """Returns items of a checkpoint, and what it says of itself; {} if nothing.

  Raises:
    Damaged: the checkpoint is not what was saved.
    UsageError: it is of another step, or cannot be read for a reason that may
      pass.
  """
  folder = pathlib.Path(manager.directory) / str(step)
  try:
    found, about = _read(manager, step, items)
  # A damaged file can make orbax raise anything.
  except Exception as e:
    if passing := _passing(e, folder):
      raise errors.UsageError(
        f'The checkpoint {folder} cannot be read now ({passing}); mend that, '
        'or move the folder away to use the one before it.'
      ) from e
    reason = errors.one_line(e)[:200] or type(e).__name__
    raise Damaged(f'The checkpoint {folder} is damaged: {reason}') from e
  saved = about.get('step', step)
  if not about and 'state' in items:
    saved = int(found['state'].get('step', step))
  if saved != step:
    raise errors.UsageError(
      f'{folder} holds the checkpoint of step {saved}, not of step {step}; '
      'move that folder away and repeat the command.'
    )
  return found, about


def _read(
  manager: ocp.CheckpointManager, step: int, items: Sequence[str]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
  """Returns items of a checkpoint, and what it says of itself.

  Raises:
    ValueError: a checksum differs.
    Exception: whatever orbax raises.
  """
  folder = pathlib.Path(manager.directory) / str(step)
  args = {name: ocp.args.StandardRestore() for name in items}
  if 'best_row' in items:
    args['best_row'] = ocp.args.JsonRestore()
  about = {}
  # orbax lists the items that it has saved.
  listed = folder / '_CHECKPOINT_METADATA'
  says = listed.read_text('utf-8') if listed.exists() else ''
  if (folder / ABOUT).exists() or f'"{ABOUT}"' in says:
    args[ABOUT] = ocp.args.JsonRestore()
  elif not items:
    return {}, {}
  found = manager.restore(step, args=ocp.args.Composite(**args))
  if ABOUT not in args:
    _notice(folder)
    return found, {}
  about = found[ABOUT]['content']
  if found[ABOUT]['checksum'] != checksums.of_json(about):
    raise ValueError(f'{ABOUT} differs from its checksum')
  for name in items:
    of = checksums.of_json if name == 'best_row' else checksums.of_tree
    if of(found[name]) != about[name]:
      raise ValueError(f'{name} differs from its checksum')
  return found, about


@functools.cache  # once for each checkpoint
def _notice(folder: pathlib.Path) -> None:
  logging.warning(
    'The checkpoint %s is of a version that saved no checksums, and is used as '
    'it is.',
    folder,
  )


def _passing(error: Exception, folder: pathlib.Path) -> str:
  """Returns why a checkpoint may be readable later, '' if it is damaged."""
  if isinstance(error, MemoryError):
    return 'there is not enough memory'
  if any(word in str(error) for word in _PASSING):
    return errors.one_line(error)[:200]
  try:
    for file in _files(folder):
      with file.open('rb') as f:
        while f.read(2**20):
          pass
  except FileNotFoundError:  # which a process that trains may have removed
    return ''
  except OSError as e:
    return f'{e.filename or folder}: {e.strerror}'
  return ''


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns all files of a checkpoint.

  Raises:
    OSError: a folder cannot be listed.
  """

  def fail(error: OSError) -> None:
    if error.errno != errno.ENOENT:
      raise error

  return [
    pathlib.Path(parent, name)
    for parent, _, names in os.walk(folder, onerror=fail)
    for name in names
  ]
