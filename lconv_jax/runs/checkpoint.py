"""Checkpoints of a run: the last training state and the best net, by orbax."""

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orbax.checkpoint as ocp
from absl import logging
from flax import serialization
from jaxtyping import PyTree

from lconv_jax import errors, models
from lconv_jax.runs import checksums, compare, files, stored

FOLDER = 'checkpoints'
DAMAGED = 'damaged'  # where damaged checkpoints are kept, in the run folder
_KEPT = 2


class Checkpoint(NamedTuple):
  """State and best net, saved together so that they cannot disagree."""

  state: PyTree  # TrainState, arrays on the host
  best: PyTree  # params and batch_stats of the best epoch so far
  best_row: dict[str, Any]  # its metrics; empty before the first evaluation
  # All metrics so far, and the config; None in checkpoints without checksums.
  rows: Sequence[dict[str, Any]] | None = None
  config: Mapping[str, Any] | None = None
  # What was trained side by side with this run, see `train.groups`.
  group: Mapping[str, Any] | None = None


class Checkpoints:
  """Checkpoints of a run folder, each in a folder named after its step.

  Two are kept: if the newest turns out to be damaged, the one before it serves.
  A save that is killed midway leaves no checkpoint behind. Of several
  processes, only the first one uses this class.
  """

  def __init__(
    self, workdir: str | pathlib.Path, damaged: set[int] | None = None
  ) -> None:
    """Opens, or creates, the checkpoints in `workdir`.

    Args:
      workdir: the run folder.
      damaged: steps whose checkpoints are known to be damaged; `restore` adds
        to them.
    """
    self._folder = pathlib.Path(workdir).absolute() / FOLDER
    self._folder.mkdir(parents=True, exist_ok=True)
    self._damaged = set() if damaged is None else damaged
    self._manager = stored.manager(
      self._folder, max_to_keep=_KEPT, cleanup_tmp_directories=True
    )

  def save(self, step: int, checkpoint: Checkpoint) -> None:
    """Saves a checkpoint, unless that step is saved already.

    Raises:
      UsageError: it cannot be written, as on a full disk, or the first
        checkpoint of a run cannot be read back.
    """
    before = self._manager.all_steps()
    if step in before:
      return
    where = f'Step {step} cannot be saved in {self._folder}'
    about = {
      'step': step,
      'first': not before,
      'state': checksums.of_tree(checkpoint.state),
      'best': checksums.of_tree(checkpoint.best),
      'best_row': checksums.of_json(checkpoint.best_row),
      **{k: getattr(checkpoint, k) for k in ('rows', 'config', 'group')},
    }
    about = {'content': about, 'checksum': checksums.of_json(about)}
    items = ocp.args.Composite(
      state=ocp.args.StandardSave(
        serialization.to_state_dict(checkpoint.state)
      ),
      best=ocp.args.StandardSave(serialization.to_state_dict(checkpoint.best)),
      best_row=ocp.args.JsonSave(checkpoint.best_row),
      **{stored.ABOUT: ocp.args.JsonSave(about)},
    )
    try:
      saved = self._manager.save(step, args=items)
    except Exception as e:  # a full disk is a ValueError of orbax
      raise files.not_written(where, e) from e
    if not saved:  # orbax saves nothing below the newest
      raise errors.UsageError(
        f'{where}, where {max(before, default=0)} is the newest; move that '
        'folder away and repeat the command.'
      )
    if not before:
      self._read_back(step)

  def _read_back(self, step: int) -> None:
    try:
      with stored.manager(self._folder) as manager:
        stored.load(manager, step, 'state', 'best', 'best_row')
    except (stored.Damaged, errors.UsageError) as e:
      raise errors.UsageError(
        f'The checkpoint of step {step} was saved in {self._folder}, but '
        f'cannot be read back ({e}); choose another --workdir.'
      ) from e

  def restore(
    self, state: PyTree, best: PyTree, step: int
  ) -> Checkpoint | None:
    """Returns the checkpoint of a step; None, and a warning, if it is damaged.

    Args:
      state: what to restore, arrays or their shapes and dtypes.
      best: arrays, or shapes and dtypes, of params and batch_stats.
      step: one of `steps`.

    Raises:
      UsageError: the checkpoint belongs to another architecture or step, or
        cannot be read for a reason that may pass.
    """
    try:
      items, about = stored.load(
        self._manager, step, 'state', 'best', 'best_row'
      )
    except stored.Damaged as e:
      logging.warning('%s', e)
      self._damaged.add(step)
      return None
    where = self._folder / str(step)
    return Checkpoint(
      models.match(state, items['state'], where),
      models.match(best, items['best'], where),
      items['best_row'],
      **{k: about.get(k) for k in ('rows', 'config', 'group')},
    )

  def begin(self, step: int) -> None:
    """Removes checkpoints of later steps than that from which a run continues.

    Damaged ones are kept outside of the checkpoints' folder.
    """
    later = [s for s in self._manager.all_steps() if s > step]
    for s in sorted(later, reverse=True):
      folder = self._folder / str(s)
      if s in self._damaged:
        aside = self._folder.parent / DAMAGED
        aside.mkdir(exist_ok=True)
        os.replace(folder, files.free_name(aside / str(s)))
      else:
        # By the name of an unfinished save, it is not taken for a checkpoint
        # if this process is killed now.
        gone = files.free_name(self._folder / f'{s}.orbax-checkpoint-tmp-later')
        os.replace(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)
    if later:
      self._manager.reload()

  def close(self) -> None:
    """Waits for what is being written."""
    self._manager.close()


def exists(workdir: str | pathlib.Path) -> bool:
  """Returns whether a run folder holds a checkpoint that was saved whole."""
  return bool(steps(workdir))


def newest(workdir: str | pathlib.Path) -> int:
  """Returns the step of a run folder's newest checkpoint, or -1 without one."""
  return max(steps(workdir), default=-1)


def steps(workdir: str | pathlib.Path) -> list[int]:
  """Returns the steps of a run folder's checkpoints in ascending order."""
  folders = pathlib.Path(workdir, FOLDER).glob('*')
  return sorted(int(f.name) for f in folders if f.name.isdecimal())


def about(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Returns what the newest checkpoint that is not damaged says of itself.

  A checkpoint without checksums says nothing, {}, as does a missing one.

  Returns:
    `step`, `first` (whether no checkpoint was saved before), `rows`, `config`
    and `group`.
  """
  folder = pathlib.Path(workdir).absolute() / FOLDER
  if exists(workdir):
    with stored.manager(folder) as manager:
      for step in reversed(steps(workdir)):
        try:
          return stored.load(manager, step)[1]
        except stored.Damaged:
          continue
  return {}


def load_net(
  workdir: str | pathlib.Path,
  which: str = 'best',
  config: Mapping[str, Any] | None = None,
) -> dict[str, PyTree]:
  """Returns `params` and `batch_stats` of a run as NumPy arrays.

  Args:
    workdir: a run folder.
    which: 'best' (by validation accuracy) or 'last'.
    config: the run's config, which is compared with the checkpoint's own.

  Raises:
    UsageError: there is no checkpoint that can be read, or no best net yet.
  """
  folder = pathlib.Path(workdir).absolute() / FOLDER
  item = {'best': 'best', 'last': 'state'}[which]
  if not exists(workdir):
    raise errors.UsageError(
      f'{workdir} holds no checkpoint; train there first.'
    )
  with stored.manager(folder) as manager:
    for step in reversed(steps(workdir)):
      try:
        items, about = stored.load(manager, step, item, 'best_row')
      except stored.Damaged as e:
        logging.warning('%s', e)
        continue
      if config is not None:
        check_config(folder / str(step), about.get('config'), config)
      if which == 'best' and not items['best_row']:
        raise errors.UsageError(
          f'{workdir} has no evaluated epoch yet; let it train on.'
        )
      return {name: items[item][name] for name in ('params', 'batch_stats')}
  raise none_can_be_read(workdir)


def none_can_be_read(workdir: str | pathlib.Path) -> errors.UsageError:
  """Returns the error for a run folder whose checkpoints are all damaged."""
  return errors.UsageError(
    f'None of the checkpoints in {workdir}/{FOLDER} can be read; train again '
    'in another --workdir.'
  )


def check_config(
  folder: pathlib.Path,
  before: Mapping[str, Any] | None,
  now: Mapping[str, Any],
  free: Sequence[str] = compare.FREE,
) -> None:
  """Raises a UsageError if a checkpoint was saved with another config.

  Args:
    folder: the checkpoint's folder.
    before: the config in the checkpoint; None if it has none.
    now: the config of the run folder.
    free: as in `compare.differences`.
  """
  differ = before is not None and compare.differences(before, now, free)
  if differ:
    raise errors.UsageError(
      f'The checkpoint {folder} is of another run ({differ}); put back the one '
      'that was saved here.'
    )
