"""Many runs in one process: those that share a program train side by side."""

import contextlib
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import jax
import ml_collections

from lconv_jax import errors
from lconv_jax.data import dataset as data
from lconv_jax.runs import checkpoint, hosts, interrupt
from lconv_jax.runs import folder as run
from lconv_jax.train import loop, optim
from lconv_jax.train import run as train
from lconv_jax.train.trainer import DoesNotFit, Setup, Trainer, setup

# Numbers that are left out of the program where they are 0.
_SWITCHES = ('optim.momentum', 'model.dropout')


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
      if run.done(root / name):
        run.agree(root / name, config)
        finished += 1
        continue
    except errors.UsageError as e:
      failed[name] = e
      _leave_word(root / name, e)
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
      for name in group:
        _leave_word(root / name, e)
    else:
      failed |= _group(group, root, built, dataset, at_once)
  return failed


def _leave_word(folder: pathlib.Path, error: errors.UsageError) -> None:
  """Says in a folder why its run does not begin."""
  if not (run.in_use(folder) or run.done(folder)):
    with contextlib.suppress(OSError):
      folder.mkdir(parents=True, exist_ok=True)
    run.write_error(folder, error)


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
      except errors.UsageError as e:
        failed[name] = e
      else:
        checkpoints = checkpoint.Checkpoints(folder)
        stack.callback(checkpoints.close)
        one = loop.Run(config, folder, checkpoints)
        by_step.setdefault(checkpoint.newest(folder), []).append(one)
    runs = [one for members in by_step.values() for one in members]
    if not at_once:
      at_once = 1 if _gains_nothing(config) else len(runs)
    waiting = [p for m in by_step.values() for p in _parts(m, at_once)]
    while waiting:
      waiting[:1] = _train(waiting[0], root, built, dataset)
  return failed | {one.folder.name: one.error for one in runs if one.error}


def _train(
  runs: Sequence[loop.Run],
  root: pathlib.Path,
  built: Setup,
  dataset: data.Dataset,
) -> list[Sequence[loop.Run]]:
  """Trains runs, or returns the parts in which they are to be trained."""
  by_step = {}
  for one in runs:
    one.best_row = {}  # of an attempt that did not fit
    with _failing([one]):
      saved = train.restore(one, built)
      step = int(saved.state.step) if saved else 0
      by_step.setdefault(step, []).append((one, saved))
  if len(by_step) != 1:  # a newest checkpoint was damaged
    return [[one for one, _ in members] for members in by_step.values()]
  ((step, members),) = by_step.items()
  runs, saved = zip(*members, strict=True)
  config = runs[0].config
  hypers = [optim.Hyper.from_config(one.config) for one in runs]
  try:
    with _failing(runs):
      trainer = Trainer(built, saved if step else (), hypers)
      if config.train.init_from and not step:
        train.warm(trainer, runs, dataset)
      where = root if runs[1:] else runs[0].folder
      print(train.headline(config, trainer, where), flush=True)
      if received := loop.train(runs, trainer, where):
        raise interrupt.Interrupted(
          received,
          f'{received.name}: what was training in {root} is finished; the same '
          'command continues with the rest.',
        )
  except (DoesNotFit, jax.errors.JaxRuntimeError) as e:
    full = isinstance(e, DoesNotFit) or 'RESOURCE_EXHAUSTED' in str(e)
    if not full:
      raise
    if not runs[1:]:
      with _failing(runs):
        raise errors.UsageError(
          f'It does not fit into memory ({errors.one_line(e)[:200]}).'
        ) from e
      return []
    print(f'{errors.one_line(e)[:200]} Half of them at a time, then.')
    return list(_parts(runs, -(-len(runs) // 2)))
  return []


@contextlib.contextmanager
def _failing(runs: Sequence[loop.Run]) -> Iterator[None]:
  """Turns a UsageError into that of each run that is not finished."""
  try:
    yield
  except errors.UsageError as e:
    for one in runs:
      if not (one.error or run.done(one.folder)):
        one.error = e
        run.write_error(one.folder, e)


def _gains_nothing(config: ml_collections.ConfigDict) -> bool:
  """Returns whether runs side by side are slower than one after the other."""
  # 0.7 times the speed (benchmarks/results/grid_steps.json); elsewhere unknown.
  return config.model.name == 'resnet18' and jax.default_backend() == 'cpu'


def _parts(runs: Sequence[loop.Run], size: int) -> Iterator[Sequence[loop.Run]]:
  for start in range(0, len(runs), size):
    yield runs[start : start + size]
