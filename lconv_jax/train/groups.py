"""Groups: which runs train side by side, and at which step they continue.

How numbers are rounded depends on which runs share a program, and in what
order. A checkpoint therefore says which runs these were, and a run continues
among the same ones. Those that no longer train take part as idle lanes.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
from flax import traverse_util

from lconv_jax import errors, runs
from lconv_jax.train import optim

# The numbers of `optim.Hyper` by the names of their fields, by the name of the
# run folder; the order is that of the lanes.
Group = Mapping[str, Mapping[str, int | float]]

# Numbers that are left out of the program if they are 0.
_SWITCHES = ('optim.momentum', 'model.dropout')


class Part(NamedTuple):
  """Runs that train side by side."""

  folders: Sequence[runs.Folder]
  # All lanes, also idle ones. They are chosen before any folder is opened: a
  # run that cannot begin, as on a full disk, leaves the others in their lanes.
  group: Group
  fresh: bool = False  # whether they begin, whatever checkpoints there are

  @classmethod
  def of(cls, folders: Sequence[runs.Folder], fresh: bool = False) -> 'Part':
    """Returns the part in which runs train among themselves."""
    group = {folder.path.name: _fields(folder) for folder in folders}
    return cls(folders, group, fresh)

  @property
  def lanes(self) -> list[runs.Folder | None]:
    """The folder of each lane, None for an idle one."""
    by_name = {folder.path.name: folder for folder in self.folders}
    return [by_name.get(name) for name in self.group]

  @property
  def hypers(self) -> list[optim.Hyper]:
    """The hyperparameters of each lane."""
    return [_hyper(fields) for fields in self.group.values()]

  @property
  def company(self) -> Group:
    """The group as checkpoints name it: that of a single run is empty."""
    return self.group if self.lanes[1:] else {}

  def alive(self) -> 'Part':
    """Returns the part with idle lanes in place of runs that have failed."""
    return self._replace(folders=[f for f in self.folders if not f.error])

  def halves(self) -> list['Part']:
    """Returns smaller parts, each with half of the lanes."""
    names = list(self.group)
    half = -(-len(names) // 2)
    found = []
    for lanes in (names[:half], names[half:]):
      if members := [f for f in self.folders if f.path.name in lanes]:
        group = {name: self.group[name] for name in lanes}
        found.append(Part(members, group, self.fresh))
    return found

  def note(self) -> None:
    """Notes the group in the folders, for their checkpoints."""
    for folder in self.folders:
      folder.group = dict(self.company)


def program_of(config: ml_collections.ConfigDict) -> str:
  """Returns a key that is equal for runs that one program can train."""
  flat = traverse_util.flatten_dict(config.to_dict(), sep='.')
  for field in optim.FIELDS:
    # Without dropout, or momentum, the program is another one.
    flat[field] = field in _SWITCHES and flat[field] > 0
  return json.dumps(flat, sort_keys=True)


def most_at_once(
  config: ml_collections.ConfigDict, limit: int, count: int
) -> int:
  """Returns how many of `count` runs may train side by side.

  Args:
    config: that of one of these runs.
    limit: what the user asked for; 0: as many as fit, where that is faster.
    count: the number of runs.
  """
  return limit or (1 if _gains_nothing(config) else count)


def parts(
  folders: Sequence[runs.Folder],
  unfinished: Collection[runs.Folder],
  at_once: int,
) -> Iterator[Part]:
  """Divides the runs of one program into parts that train side by side.

  Args:
    folders: all runs of the program; of those that begin, it depends on all
      which ones train together.
    unfinished: the runs that are to be trained.
    at_once: how many may train side by side.
  """
  begun, fresh = {}, []
  for folder in unfinished:
    with folder.failing_alone():
      about = runs.checkpoint.about(folder.path)
      if runs.checkpoint.exists(folder.path):
        group = about.get('group')
        key = folder.path.name if group == {} else tuple(group or ())
        begun.setdefault(key, []).append((folder, about))
      else:
        fresh.append(folder)
  for members in begun.values():
    group = members[0][1].get('group')
    first = [folder for folder, about in members if about.get('first')]
    # A power cut in the first round of saving: some runs were not saved.
    lost = [f for f in fresh if first and _names(group, f)]
    if lost:
      fresh = [f for f in fresh if f not in lost]
      yield from _limited(Part([*first, *lost], group, fresh=True), at_once)
    later = [f for f, _ in members if not (lost and f in first)]
    steps = {f.path.name: runs.checkpoint.steps(f.path) for f in later}
    for same in apart(later, steps):
      part = Part(same, group) if group else Part.of(same)
      yield from _limited(part, at_once)
  for group in _groups(folders) if fresh else ():
    # Others began without these runs, as on a full disk, and left them a lane.
    late = [f for f in fresh if _names(group, f)]
    if late:
      fresh = [f for f in fresh if f not in late]
      yield from _limited(Part(late, group, fresh=True), at_once)
  for members in split(folders, at_once):
    if members := [f for f in members if f in fresh]:
      yield Part.of(members)


def apart(
  folders: Sequence[runs.Folder], steps: Mapping[str, Collection[int]]
) -> list[list[runs.Folder]]:
  """Divides runs so that those of each part have a checkpoint in common.

  Args:
    folders: the runs.
    steps: the steps of each run's checkpoints, by the name of its folder.
  """
  by_name = {folder.path.name: folder for folder in folders}
  return [[by_name[name] for name in names] for names in in_common(steps)]


def in_common(steps: Mapping[str, Collection[int]]) -> list[list[str]]:
  """Divides names, by descending steps, so that each part has common steps."""
  found: list[tuple[set[int], list[str]]] = []
  for name in sorted(steps, key=lambda name: -max(steps[name], default=-1)):
    for i, (common, names) in enumerate(found):
      if common & set(steps[name]):
        found[i] = common & set(steps[name]), [*names, name]
        break
    else:
      found.append((set(steps[name]), [name]))
  order = list(steps)
  return [sorted(names, key=order.index) for _, names in found]


def split(
  folders: Sequence[runs.Folder], size: int
) -> list[Sequence[runs.Folder]]:
  """Divides runs into parts of at most `size`."""
  return [folders[i : i + size] for i in range(0, len(folders), size)]


def _gains_nothing(config: ml_collections.ConfigDict) -> bool:
  """Returns whether runs side by side are slower than one after the other."""
  # 0.7 times the speed (benchmarks/results/grid_steps.json); elsewhere unknown.
  return config.model.name == 'resnet18' and jax.default_backend() == 'cpu'


def _groups(folders: Sequence[runs.Folder]) -> Iterator[Group]:
  """Yields the groups that checkpoints of runs name, also of finished ones."""
  for folder in folders:
    with contextlib.suppress(errors.UsageError):  # others may name the same
      group = runs.checkpoint.about(folder.path).get('group')
      if _names(group, folder):
        yield group


def _names(group: Group | None, folder: runs.Folder) -> bool:
  """Returns whether a run, with the config that it has now, has a lane."""
  return bool(group) and group.get(folder.path.name) == _fields(folder)


def _limited(part: Part, at_once: int) -> Iterator[Part]:
  if len(part.group) <= at_once:
    yield part
    return
  for folders in split(part.folders, at_once):
    yield Part.of(folders, fresh=part.fresh)


def _fields(folder: runs.Folder) -> dict[str, int | float]:
  hyper = optim.Hyper.from_config(folder.config)
  return dict(zip(optim.FIELDS, (x.item() for x in hyper), strict=True))


def _hyper(fields: Mapping[str, int | float]) -> optim.Hyper:
  seed, *values = (fields[name] for name in optim.FIELDS)
  return optim.Hyper(np.uint32(seed), *map(np.float32, values))
