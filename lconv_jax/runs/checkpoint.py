"""Checkpoints of a run: the last training state and the best net, by orbax."""

import pathlib
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from absl import logging
from flax import serialization
from jaxtyping import PyTree

from lconv_jax import errors, models

FOLDER = 'checkpoints'


class Checkpoint(NamedTuple):
  """State and best net, saved together so that they cannot disagree."""

  state: PyTree  # TrainState, arrays on the host
  best: PyTree  # params and batch_stats of the best epoch so far
  best_row: dict[str, Any]  # its metrics; empty before the first evaluation


class Checkpoints:
  """Checkpoints of a run folder, each in a folder named after its step.

  Two are kept: if the newest turns out to be damaged, the one before it serves.
  A save that is killed midway leaves no checkpoint behind. Of several
  processes, only the first one uses this class.
  """

  def __init__(self, workdir: str | pathlib.Path) -> None:
    """Opens, or creates, the checkpoints in `workdir`."""
    self._folder = pathlib.Path(workdir).absolute() / FOLDER
    self._folder.mkdir(parents=True, exist_ok=True)
    self._unreadable: list[int] = []
    self._manager = _manager(
      self._folder, max_to_keep=2, cleanup_tmp_directories=True
    )

  def save(self, step: int, checkpoint: Checkpoint) -> None:
    """Saves a checkpoint, unless that step is saved already.

    Raises:
      UsageError: it cannot be written, as on a full disk.
    """
    for damaged in self._unreadable:  # orbax saves nothing below the newest
      self._manager.delete(damaged)
    self._unreadable = []
    if step in self._manager.all_steps():
      return
    items = ocp.args.Composite(
      state=ocp.args.StandardSave(
        serialization.to_state_dict(checkpoint.state)
      ),
      best=ocp.args.StandardSave(serialization.to_state_dict(checkpoint.best)),
      best_row=ocp.args.JsonSave(checkpoint.best_row),
    )
    try:
      self._manager.save(step, args=items)
    except Exception as e:  # a full disk is a ValueError of orbax
      raise errors.UsageError(
        f'Step {step} cannot be saved in {self._folder} '
        f'({errors.one_line(e)[:200]}); make room there and repeat the '
        'command: it continues from what was saved before.'
      ) from e

  def restore(self, state: PyTree, best: PyTree) -> Checkpoint | None:
    """Returns the newest checkpoint that can be read; None if there are none.

    Args:
      state: what to restore, arrays or their shapes and dtypes.
      best: arrays, or shapes and dtypes, of params and batch_stats.

    Raises:
      UsageError: the checkpoint belongs to another architecture, or there are
        checkpoints, but none can be read.
    """
    if not self._manager.all_steps():
      return None
    step, items, self._unreadable = _newest(
      self._manager,
      state=ocp.args.StandardRestore(),
      best=ocp.args.StandardRestore(),
      best_row=ocp.args.JsonRestore(),
    )
    where = self._folder / str(step)
    return Checkpoint(
      models.match(state, items['state'], where),
      models.match(best, items['best'], where),
      items['best_row'],
    )

  def close(self) -> None:
    """Waits for what is being written."""
    self._manager.close()


def exists(workdir: str | pathlib.Path) -> bool:
  """Returns whether a run folder holds a checkpoint that was saved whole."""
  return newest(workdir) >= 0


def newest(workdir: str | pathlib.Path) -> int:
  """Returns the step of a run folder's newest checkpoint, or -1 without one."""
  folders = pathlib.Path(workdir, FOLDER).glob('*')
  return max((int(f.name) for f in folders if f.name.isdigit()), default=-1)


def load_net(
  workdir: str | pathlib.Path, which: str = 'best'
) -> dict[str, PyTree]:
  """Returns `params` and `batch_stats` of a run as NumPy arrays.

  Args:
    workdir: a run folder.
    which: 'best' (by validation accuracy) or 'last'.

  Raises:
    UsageError: there is no checkpoint that can be read, or no best net yet.
  """
  folder = pathlib.Path(workdir).absolute() / FOLDER
  item = {'best': 'best', 'last': 'state'}[which]
  if exists(workdir):
    with _manager(folder) as manager:
      args = {
        item: ocp.args.StandardRestore(),
        'best_row': ocp.args.JsonRestore(),
      }
      items = _newest(manager, **args)[1]
    if which == 'best' and not items['best_row']:
      raise errors.UsageError(
        f'{workdir} has no evaluated epoch yet; let it train on.'
      )
    return {name: items[item][name] for name in ('params', 'batch_stats')}
  raise errors.UsageError(f'{workdir} holds no checkpoint; train there first.')


def _manager(folder: pathlib.Path, **options: Any) -> ocp.CheckpointManager:
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


def _newest(
  manager: ocp.CheckpointManager, **items: ocp.args.CheckpointArgs
) -> tuple[int, ocp.args.Composite, list[int]]:
  """Returns the newest step that can be read, its items, and newer steps."""
  unreadable = []
  for step in sorted(manager.all_steps(), reverse=True):
    try:
      found = manager.restore(step, args=ocp.args.Composite(**items))
    # A damaged file can make orbax raise anything; an older one may serve.
    except Exception as e:
      logging.warning(
        'The checkpoint of step %d in %s cannot be read: %s',
        step,
        manager.directory,
        errors.one_line(e)[:200],
      )
      unreadable.append(step)
    else:
      return step, found, unreadable
  raise errors.UsageError(
    f'None of the checkpoints in {manager.directory} can be read; train again '
    'in another --workdir.'
  )
