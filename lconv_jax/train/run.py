"""The driver: from configs to results, for one run and for many."""

import contextlib
import functools
import json
import pathlib
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import ml_collections

from lconv_jax import backends, errors, runs
from lconv_jax.data import dataset as data
from lconv_jax.train import (
  check,
  groups,
  headline,
  loop,
  precision,
  warm_start,
)
from lconv_jax.train.side_by_side import DoesNotFit
from lconv_jax.train.trainer import Setup, Trainer, setup

# What XLA says; the second where another process takes a GPU's memory while a
# program is compiled.
_NO_MEMORY = ('RESOURCE_EXHAUSTED', 'cudaErrorMemoryAllocation')


@backends.pinned()
def train_and_evaluate(
  config: ml_collections.ConfigDict,
  workdir: str | pathlib.Path,
  callbacks: Sequence[Callable[[runs.Event], None]] = (),
) -> dict[str, Any]:
  """Trains, or continues, the run in `workdir`.

  Args:
    config: see configs/base.py.
    workdir: the run folder; the same config in the same folder continues.
    callbacks: functions to call after each evaluation and at the end.

  Returns:
    The content of done.json: metrics of the `best` epoch (by validation
    accuracy, as the paper reports) and of the `last` one, numbers of weights,
    environment.

  Raises:
    UsageError: something that the user can mend.
    Interrupted: SIGTERM, SIGHUP or Ctrl-C came; the state is saved.
  """
  backends.check_backend()
  config = _resolve(config)
  folder = runs.Folder(workdir, config, callbacks)
  if config.train.epochs == 0:
    return _evaluate(folder)
  if result := folder.done():
    best = result['best']
    runs.hosts.say(
      f'{folder.path} is finished: test accuracy '
      f'{best["test/accuracy"]:.2%} (epoch {best["epoch"]:g}). Choose another '
      '--workdir to train again.'
    )
  else:
    _train_in_turn([groups.Part.of([folder])], folder.path)
    if folder.error:
      raise folder.error
    result = folder.done()
    best = result['best']
    validated = 'validation/accuracy' in best
    runs.hosts.say(
      f'Done: test accuracy {best["test/accuracy"]:.2%} at epoch '
      f'{best["epoch"]:g}, the {"best by validation" if validated else "last"}.'
    )
  folder.tell_the_end(best)
  return result


@backends.pinned()
def train_all(
  configs: Mapping[str, ml_collections.ConfigDict],
  root: str | pathlib.Path,
  at_once: int = 0,
) -> dict[str, Exception]:
  """Trains, or continues, a run for each config, in `root`/name.

  Runs whose configs differ only in the fields of `optim.Hyper` train side by
  side in one program. Their folders are like those of single runs: a run that
  has begun here can be continued alone, and the other way round.

  Args:
    configs: see configs/base.py; by the names of the runs.
    root: the folder of all run folders.
    at_once: how many may train side by side; 0: as many as fit into memory,
      where that is faster.

  Returns:
    The errors of the runs that did not get to their end, by name.

  Raises:
    UsageError: the command as a whole makes no sense.
    Interrupted: SIGTERM, SIGHUP or Ctrl-C came; the states are saved.
  """
  backends.check_backend()
  if not runs.hosts.alone():
    raise errors.UsageError(
      'Runs side by side are for one process; leave out --distributed, or '
      'start each run by itself.'
    )
  root = errors.local_path('--workdir', root).absolute()
  folders = {n: runs.Folder(root / n, config) for n, config in configs.items()}
  programs, unfinished, finished = {}, [], 0
  for folder in folders.values():
    with folder.failing_alone():
      folder.config = config = _resolve(folder.config)
      if config.train.epochs == 0:
        raise errors.UsageError(
          'config.train.epochs=0 evaluates a single run; give its folder as '
          '--workdir, without a grid.'
        )
      members = programs.setdefault(groups.program_of(config), [])
      members.append(folder)
      if folder.done():
        finished += 1
      else:
        unfinished.append(folder)
  runs.hosts.say(
    f'{root}: {len(folders)} runs, {finished} finished; {len(unfinished)} to '
    f'train, in {len(programs)} program(s).'
  )
  waiting = []
  for members in programs.values():
    size = groups.most_at_once(members[0].config, at_once, len(members))
    rest = [folder for folder in members if folder in unfinished]
    waiting += groups.parts(members, rest, size)
  _train_in_turn(waiting, root)
  return {name: f.error for name, f in folders.items() if f.error}


def _resolve(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Returns a checked copy, in which nothing depends on the machine.

  Raises:
    UsageError: a field cannot be right, or other processes have another config.
  """
  with runs.hosts.fail_together():
    check.check(config)
    config = config.copy_and_resolve_references()
    # A run that began in one precision shall not continue in another one.
    config.precision = precision.compute_dtype(config.precision).name
  same = config.copy_and_resolve_references()
  same.data.dir = ''  # each host has its own; what lies there is compared
  runs.hosts.check_same('The configs', same.to_json(sort_keys=True).encode())
  return config


def _prepare(
  config: ml_collections.ConfigDict,
) -> tuple[Setup, dict[str, str]]:
  """Loads the data and builds the program.

  Returns:
    The program, and the checksums of what it works on.
  """
  runs.hosts.say(f'Loading {config.data.name} …')
  with runs.hosts.fail_together():
    dataset = data.load(config.data)
    built = setup(config, dataset)
  found = runs.inputs.of(dataset.splits, built.program.augment.policy)
  runs.hosts.check_same(
    'The data sets or policies', json.dumps(found, sort_keys=True).encode()
  )
  return built, found


def _evaluate(folder: runs.Folder) -> dict[str, Any]:
  """Evaluates the best and the last net of a run folder."""
  with folder.open():
    built, found = _prepare(folder.config)
    folder.check_inputs(found)
    _, saved, _ = _restore(groups.Part.of([folder]), built.shapes)
    if folder.error:
      raise folder.error
    trainer = Trainer(built, list(saved.values()))
    nets = {'best': trainer.best, 'last': trainer.net()}
    if not folder.best_row:
      del nets['best']  # no epoch has been evaluated yet
    result = {name: trainer.evaluate(net)[0] for name, net in nets.items()}
    for name, row in result.items():
      values = '  '.join(f'{k} {v:.4f}' for k, v in row.items())
      runs.hosts.say(f'{name}: {values}')
    return result


def _train_in_turn(waiting: list[groups.Part], where: pathlib.Path) -> None:
  """Trains one part after the other; the folders note what fails.

  Args:
    waiting: the parts.
    where: the folder to name in messages about all runs.

  Raises:
    Interrupted: a signal came.
  """
  while waiting:
    received = None
    try:
      waiting[:1], received = _train(waiting[0], where)
    except errors.UsageError:  # noted
      del waiting[0]
    if received and waiting:
      raise runs.Interrupted(
        received,
        f'{received.name}: what was training in {where} is finished; the same '
        'command continues with the rest.',
      )


def _train(
  part: groups.Part, where: pathlib.Path
) -> tuple[list[groups.Part], signal.Signals | None]:
  """Trains runs side by side, or returns smaller parts in which they can train.

  Returns:
    The parts that are left to train, and a signal that came when there was
    nothing left to interrupt.
  """
  with contextlib.ExitStack() as stack:
    for folder in part.folders:
      with folder.failing_alone():
        stack.enter_context(folder.open())
    part = part.alive()
    if not part.folders:
      return [], None
    built, found = _prepare(part.folders[0].config)
    for folder in part.folders:
      with folder.failing_alone():
        folder.check_inputs(found)
    part, saved, rest = _restore(part, functools.cache(built.shapes))
    if rest or not part.folders:
      return rest, None
    lanes, config = part.lanes, part.folders[0].config
    where = where if lanes[1:] else part.folders[0].path
    any_saved = next(iter(saved.values()), None)
    try:
      trainer = Trainer(
        built,
        [saved.get(lane, any_saved) for lane in lanes] if saved else (),
        part.hypers,
      )
      if config.train.init_from and not saved:
        warm_start.start(trainer, part.folders)
      runs.hosts.say(headline.of(part, trainer, where))
      part.note()
      return [], loop.train(lanes, trainer, where)
    except (DoesNotFit, jax.errors.JaxRuntimeError) as e:
      out_of_memory = any(words in str(e) for words in _NO_MEMORY)
      if not (out_of_memory or isinstance(e, DoesNotFit)):
        raise
      why = errors.one_line(e)[:200]
      if lanes[1:]:
        print(f'{why} They train in two halves instead.')
        return part.halves(), None
      # Not raised: `e` would keep the memory that it tells of.
      part.folders[0].fail(
        errors.UsageError(
          f'It does not fit into the memory that other processes leave ({why}).'
        )
      )
      return [], None


def _restore(
  part: groups.Part, shapes: Callable[[], Any]
) -> tuple[groups.Part, dict[runs.Folder, runs.Checkpoint], list[groups.Part]]:
  """Restores runs at the newest step of which all have a checkpoint.

  Returns:
    The part, in which runs where this fails are idle lanes; the checkpoints,
    none if the runs begin; and the parts that take its place if it has no step
    in common.
  """
  while True:
    steps, saved = {}, {}
    for folder in part.folders:
      with folder.failing_alone():
        steps[folder.path.name] = set(folder.steps())
    part = part.alive()
    if part.fresh or not any(steps.values()):
      return part, {}, []
    common = set.intersection(*steps.values())
    if not common:
      same = groups.apart(part.folders, steps)
      return part, {}, [part._replace(folders=folders) for folders in same]
    for folder in part.folders:
      with folder.failing_alone():
        saved[folder] = folder.restore(shapes, max(common))
    part = part.alive()
    if all(saved[folder] for folder in part.folders):
      return part, {f: saved[f] for f in part.folders}, []
