"""Many runs in one process: those that share a program train side by side."""

import contextlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import ml_collections

from lconv_jax import checkpoint, data, errors, hosts, loop, optim, run, train
from lconv_jax.trainer import DoesNotFit, Setup, Trainer, setup

# Numbers that are left out of the program where they are 0.
_SWITCHES = ('optim.momentum', 'model.dropout')


class _Member(NamedTuple):
  """A point of the grid whose folder is open."""

  one: loop.Run
  saved: checkpoint.Checkpoint | None

  @property
  def step(self) -> int:
    return int(self.saved.state.step) if self.saved else 0


def train_all(
  configs: Mapping[str, ml_collections.ConfigDict],
  root: str | pathlib.Path,
  at_once: int = 0,
) -> dict[str, Exception]:
  """Trains, or continues, a run for each config, in `root`/name.

  Runs that differ in what `optim.Hyper` holds, and in nothing else, train side
  by side in one program. Their folders are those of single runs: a run that was
  begun here can be continued alone, and the other way round.

  Args:
    configs: see configs/base.py; by name.
    root: the folder of all run folders.
    at_once: how many may train side by side; 0: as many as fit into memory,
      where that is faster.

  Returns:
    What went wrong, by the names of those runs that did not get to their end.

  Raises:
    UsageError: the command as a whole makes no sense.
    Interrupted: SIGTERM or Ctrl-C came; the states are saved.
  """
  if not hosts.alone():
    raise errors.UsageError(
      'Runs side by side are for one process; leave out --distributed, or '
      'start each run by itself.'
    )
  root = pathlib.Path(root).expanduser().absolute()
  failed, groups, finished = {}, {}, 0
  for name, config in configs.items():
    try:
      config = train.resolve(config)
      if config.train.epochs == 0:
        raise errors.UsageError(
          'config.train.epochs=0 evaluates a single run; give its folder as '
          '--workdir, without a grid.'
        )
    except errors.UsageError as e:
      failed[name] = e
      continue
    if run.done(root / name):
      finished += 1
    else:
      groups.setdefault(_program_of(config), {})[name] = config
  left = sum(map(len, groups.values()))
  print(
    f'{root}: {len(configs)} runs, {finished} of them finished; {left} to '
    f'train, in {len(groups)} program(s).',
    flush=True,
  )
  dataset, of = None, None
  for group in groups.values():
    config = next(iter(group.values()))
    try:
      if of != config.data:
        dataset, of = data.load(config.data), config.data
      built = setup(config, dataset)
    except errors.UsageError as e:
      failed |= dict.fromkeys(group, e)
    else:
      failed |= _group(group, root, built, dataset, at_once)
  return failed


def _program_of(config: ml_collections.ConfigDict) -> str:
  """Returns what runs have in common that one program can train."""
  flat = _flat(config.to_dict())
  for field in optim.FIELDS:
    # Without dropout, or momentum, the program is another one.
    flat[field] = field in _SWITCHES and flat[field] > 0
  return json.dumps(flat, sort_keys=True)


def _flat(fields: Mapping, prefix: str = '') -> dict:
  flat = {}
  for key, value in fields.items():
    if isinstance(value, Mapping):
      flat |= _flat(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = value
  return flat


def _group(
  configs: Mapping[str, ml_collections.ConfigDict],
  root: pathlib.Path,
  built: Setup,
  dataset: data.Dataset,
  at_once: int,
) -> dict[str, Exception]:
  """Trains runs that share a program, those at the same step side by side."""
  failed, by_step = {}, {}
  with contextlib.ExitStack() as stack:
    for name, config in configs.items():
      try:
        folder = stack.enter_context(run.open_folder(root / name, config))
        checkpoints = checkpoint.Checkpoints(folder)
        stack.callback(checkpoints.close)
        one = loop.Run(config, folder, checkpoints)
        member = _Member(one, train.restore(one, built))
      except errors.UsageError as e:
        failed[name] = e
      else:
        by_step.setdefault(member.step, []).append(member)
    config = next(iter(configs.values()))
    if not at_once and _gains_nothing(config):
      at_once = 1
    for members in by_step.values():
      waiting = list(_parts(members, at_once or len(members)))
      while waiting:
        part = waiting.pop(0)
        try:
          _train(part, root, built, dataset)
        except (DoesNotFit, jax.errors.JaxRuntimeError) as e:
          fits = 'RESOURCE_EXHAUSTED' not in str(e)
          if len(part) == 1 or (fits and not isinstance(e, DoesNotFit)):
            raise
          print(f'{errors.one_line(e)[:200]} Half of them at a time, then.')
          waiting[:0] = _parts(part, -(-len(part) // 2))
        except errors.UsageError as e:
          for member in part:
            if not (member.one.error or run.done(member.one.folder)):
              member.one.error = e
              run.write_error(member.one.folder, e)
        failed |= {m.one.folder.name: m.one.error for m in part if m.one.error}
  return failed


def _gains_nothing(config: ml_collections.ConfigDict) -> bool:
  """Returns whether runs side by side are slower than one after the other."""
  # 0.7 times the speed (benchmarks/results/grid_steps.json); elsewhere unknown.
  return config.model.name == 'resnet18' and jax.default_backend() == 'cpu'


def _parts(
  members: Sequence[_Member], size: int
) -> Iterable[Sequence[_Member]]:
  for start in range(0, len(members), size):
    yield members[start : start + size]


def _train(
  members: Sequence[_Member],
  root: pathlib.Path,
  built: Setup,
  dataset: data.Dataset,
) -> None:
  runs = [member.one for member in members]
  config = runs[0].config
  trainer = Trainer(
    built,
    [member.saved for member in members if member.saved],
    [optim.Hyper.from_config(one.config) for one in runs],
  )
  if config.train.init_from and not trainer.step:
    train.warm(trainer, runs, dataset)
  where = root if runs[1:] else runs[0].folder
  print(train.headline(config, trainer, where), flush=True)
  loop.train(runs, trainer, where)
