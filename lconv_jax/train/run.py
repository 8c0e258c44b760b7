"""The driver: from configs to results, for one run and for many."""

import contextlib
import functools
import json
import pathlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import ml_collections
from flax import traverse_util

from lconv_jax import errors, jax_settings, runs
from lconv_jax.data import dataset as data
from lconv_jax.train import check, loop, optim, parallel, precision, warm_start
from lconv_jax.train.side_by_side import DoesNotFit
from lconv_jax.train.trainer import Setup, Trainer, setup

# Numbers that are left out of the program if they are 0.
_SWITCHES = ('optim.momentum', 'model.dropout')

_Part = Sequence[runs.Folder]  # of runs that train side by side


@jax_settings.pinned()
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
  jax_settings.check_backend()
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
    _train_in_turn([[folder]], folder.path)
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


@jax_settings.pinned()
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
  jax_settings.check_backend()
  if not runs.hosts.alone():
    raise errors.UsageError(
      'Runs side by side are for one process; leave out --distributed, or '
      'start each run by itself.'
    )
  root = errors.local_path('--workdir', root).absolute()
  folders = {n: runs.Folder(root / n, config) for n, config in configs.items()}
  programs, finished = {}, 0
  for folder in folders.values():
    with folder.failing_alone():
      folder.config = config = _resolve(folder.config)
      if config.train.epochs == 0:
        raise errors.UsageError(
          'config.train.epochs=0 evaluates a single run; give its folder as '
          '--workdir, without a grid.'
        )
      if folder.done():
        finished += 1
      else:
        programs.setdefault(_program_of(config), []).append(folder)
  left = sum(map(len, programs.values()))
  runs.hosts.say(
    f'{root}: {len(folders)} runs, {finished} finished; {left} to train, '
    f'in {len(programs)} program(s).'
  )
  _train_in_turn(
    [p for members in programs.values() for p in _parts(members, at_once)], root
  )
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


def _prepare(config: ml_collections.ConfigDict) -> Setup:
  """Loads the data and builds the program."""
  runs.hosts.say(f'Loading {config.data.name} …')
  with runs.hosts.fail_together():
    dataset = data.load(config.data)
    built = setup(config, dataset)
  splits = (dataset.train, dataset.validation, dataset.test)
  runs.hosts.check_same('The data sets', *(a for s in splits for a in s))
  return built


def _evaluate(folder: runs.Folder) -> dict[str, Any]:
  """Evaluates the best and the last net of a run folder."""
  with folder.open():
    built = _prepare(folder.config)
    trainer = Trainer(built, [folder.restore(built.shapes)])
    nets = {'best': trainer.best, 'last': trainer.net()}
    if not folder.best_row:
      del nets['best']  # no epoch has been evaluated yet
    result = {name: trainer.evaluate(net)[0] for name, net in nets.items()}
    for name, row in result.items():
      values = '  '.join(f'{k} {v:.4f}' for k, v in row.items())
      runs.hosts.say(f'{name}: {values}')
    return result


def _program_of(config: ml_collections.ConfigDict) -> str:
  """Returns a key that is equal for runs that one program can train."""
  flat = traverse_util.flatten_dict(config.to_dict(), sep='.')
  for field in optim.FIELDS:
    # Without dropout, or momentum, the program is another one.
    flat[field] = field in _SWITCHES and flat[field] > 0
  return json.dumps(flat, sort_keys=True)


def _parts(folders: _Part, at_once: int) -> Iterator[_Part]:
  """Divides runs of one program into parts that train side by side.

  The runs of a part are at the same step.
  """
  if not at_once:
    at_once = 1 if _gains_nothing(folders[0].config) else len(folders)
  by_step = {}
  for folder in folders:
    by_step.setdefault(runs.checkpoint.newest(folder.path), []).append(folder)
  for members in by_step.values():
    yield from _split(members, at_once)


def _split(folders: _Part, size: int) -> list[_Part]:
  return [folders[i : i + size] for i in range(0, len(folders), size)]


def _gains_nothing(config: ml_collections.ConfigDict) -> bool:
  """Returns whether runs side by side are slower than one after the other."""
  # 0.7 times the speed (benchmarks/results/grid_steps.json); elsewhere unknown.
  return config.model.name == 'resnet18' and jax.default_backend() == 'cpu'


def _train_in_turn(waiting: list[_Part], where: pathlib.Path) -> None:
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
  folders: _Part, where: pathlib.Path
) -> tuple[list[_Part], signal.Signals | None]:
  """Trains runs side by side, or returns smaller parts in which they can train.

  Returns:
    The parts that are left to train, and a signal that came when there was
    nothing left to interrupt.
  """
  with contextlib.ExitStack() as stack:
    for folder in folders:
      with folder.failing_alone():
        stack.enter_context(folder.open())
    folders = [folder for folder in folders if not folder.error]
    if not folders:
      return [], None
    built, by_step = _prepare(folders[0].config), {}
    shapes = functools.cache(built.shapes)
    for folder in folders:
      with folder.failing_alone():
        saved = folder.restore(shapes)
        step = saved and int(saved.state.step)
        by_step.setdefault(step, []).append((folder, saved))
    if len(by_step) != 1:  # a newest checkpoint was damaged
      return [[f for f, _ in members] for members in by_step.values()], None
    ((step, members),) = by_step.items()
    folders, saved = zip(*members, strict=True)
    where = where if folders[1:] else folders[0].path
    hypers = [optim.Hyper.from_config(folder.config) for folder in folders]
    try:
      trainer = Trainer(built, () if step is None else saved, hypers)
      if folders[0].config.train.init_from and step is None:
        warm_start.start(trainer, folders)
      runs.hosts.say(_headline(folders[0].config, trainer, where))
      return [], loop.train(folders, trainer, where)
    except (DoesNotFit, jax.errors.JaxRuntimeError) as e:
      if not (isinstance(e, DoesNotFit) or 'RESOURCE_EXHAUSTED' in str(e)):
        raise
      why = errors.one_line(e)[:200]
      if folders[1:]:
        print(f'{why} Half of them at a time, then.')
        return _split(folders, -(-len(folders) // 2)), None
      # Not raised: `e` would keep the memory that it tells of.
      folders[0].fail(
        errors.UsageError(f'It does not fit into memory ({why}).')
      )
      return [], None


def _headline(
  config: ml_collections.ConfigDict, trainer: Trainer, folder: pathlib.Path
) -> str:
  """Returns lines that tell a person what is trained, and on what."""
  built, device = trainer.setup, jax.devices()[0].device_kind
  sizes = {name: stop - start for name, (start, stop) in built.splits.items()}
  count, more = trainer.count, jax.process_count()
  processes = '' if more == 1 else f', {more} processes'
  side_by_side = '' if count == 1 else f', {count} runs side by side'
  beginning = 'a new run'
  if trainer.step:
    beginning = f'continues after step {trainer.step}'
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
