"""One run, from its config to its results."""

import contextlib
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import numpy as np

from lconv_jax import errors
from lconv_jax.data import dataset as data
from lconv_jax.runs import checkpoint, hosts
from lconv_jax.runs import folder as run
from lconv_jax.train import check, loop, parallel, precision, warm_start
from lconv_jax.train.trainer import Setup, Trainer, like, setup


def train_and_evaluate(
  config: ml_collections.ConfigDict, workdir: str | pathlib.Path
) -> dict[str, Any]:
  """Trains, or continues, the run in `workdir`.

  Args:
    config: see configs/base.py.
    workdir: the run folder; the same config in the same folder continues it.

  Returns:
    What done.json holds: metrics of the `best` epoch (by validation accuracy,
    as the paper reports) and of the `last`, number of weights, environment.

  Raises:
    UsageError: something that the user can mend.
    Interrupted: SIGTERM or Ctrl-C came; the state is saved.
  """
  with hosts.together():
    config = resolve(config)
  content = config.copy_and_resolve_references()
  content.data.dir = ''  # each host has its own; what lies there is compared
  _same_everywhere('The configs', content.to_json(sort_keys=True).encode())
  with contextlib.ExitStack() as stack:
    folder = pathlib.Path(workdir).expanduser().absolute()
    with hosts.together():
      finished = checkpoints = None
      if hosts.is_first():
        stack.enter_context(run.open_folder(workdir, config))
        finished = run.done(folder)
        if config.train.epochs == 0 and not checkpoint.exists(folder):
          raise _nothing_to_evaluate(folder)
    finished = hosts.from_first(finished)
    if finished and config.train.epochs:
      best = finished['best']
      _say(
        f'{folder} is finished: test accuracy '
        f'{best["test/accuracy"]:.2%} (epoch {best["epoch"]:g}). Choose '
        'another --workdir to train again.'
      )
      return finished
    with hosts.together():
      dataset = data.load(config.data)
      built = setup(config, dataset)
      if hosts.is_first():
        checkpoints = checkpoint.Checkpoints(folder)
        stack.callback(checkpoints.close)
    for split in (dataset.train, dataset.validation, dataset.test):
      _same_everywhere('The images', split.images)
      _same_everywhere('The labels', split.labels)
    one = loop.Run(config, folder, checkpoints)
    saved = restore(one, built)
    if config.train.epochs == 0:
      if saved is None:
        raise _nothing_to_evaluate(folder)
      return _evaluate_only(Trainer(built, [saved]), one)
    trainer = Trainer(built, [saved] if saved else ())
    if config.train.init_from and not saved:
      warm(trainer, [one], dataset)
    _say(headline(config, trainer, folder))
    loop.train([one], trainer, folder)
  if one.error:
    raise one.error
  best = one.best_row
  why = (
    'the best by validation' if 'validation/accuracy' in best else 'the last'
  )
  _say(
    f'Done: test accuracy {best["test/accuracy"]:.2%} at epoch '
    f'{best["epoch"]:g}, {why}.'
  )
  with hosts.together():
    finished = run.done(folder) if hosts.is_first() else None
  return hosts.from_first(finished)


def resolve(
  config: ml_collections.ConfigDict,
) -> ml_collections.ConfigDict:
  """Returns a checked copy, in which nothing is left to the machine.

  Raises:
    UsageError: a field cannot be right.
  """
  check.check(config)
  config = config.copy_and_resolve_references()
  # A run that began in one precision shall not continue in another one.
  config.precision = precision.compute_dtype(config.precision).name
  return config


def restore(one: loop.Run, built: Setup) -> checkpoint.Checkpoint | None:
  """Returns a run's newest checkpoint; None where there is none.

  The first process has the checkpoints, and sends the others what it reads.
  """
  with hosts.together():
    found = one.checkpoints is not None and checkpoint.exists(one.folder)
  if not hosts.from_first(found):
    return None
  shapes, saved = like(built), None
  with hosts.together():
    if one.checkpoints:
      saved = one.checkpoints.restore(*shapes)
  if saved is None:
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    saved = checkpoint.Checkpoint(*zeros, {})
  state, best = hosts.arrays_from_first((saved.state, saved.best))
  one.best_row = hosts.from_first(saved.best_row)
  return checkpoint.Checkpoint(state, best, one.best_row)


def warm(
  trainer: Trainer, runs: Sequence[loop.Run], dataset: data.Dataset
) -> None:
  """Lets runs that begin start from the net of `config.train.init_from`."""
  net, config = None, runs[0].config
  with hosts.together():
    if hosts.is_first():
      shape = dataset.train.images.shape[1:]
      net = warm_start.load(config, shape, dataset.num_classes)
      source = warm_start.describe(config.train.init_from)
      for one in runs:
        run.write_json(one.folder / 'init_from.json', source)
  trainer.start_from(net)


def headline(
  config: ml_collections.ConfigDict, trainer: Trainer, folder: pathlib.Path
) -> str:
  """Returns what is going to be trained, on what, as lines for a person."""
  setup, device = trainer.setup, jax.devices()[0].device_kind
  sizes = {name: stop - start for name, (start, stop) in setup.splits.items()}
  processes = '' if hosts.alone() else f', {jax.process_count()} processes'
  runs = '' if trainer.count == 1 else f', {trainer.count} runs side by side'
  return (
    f'{config.model.name} α={config.model.base_channels}: '
    f'{sum(trainer.weights.values()):,} weights, {config.optim.name}, '
    f'{setup.program.dtype} on {parallel.device_count()} × '
    f'{device}{processes}{runs}\n'
    f'{config.data.name}: {sizes["train"]:,} training, '
    f'{sizes["validation"]:,} validation, {sizes["test"]:,} test images\n'
    f'{folder}: {_beginning(config, trainer.step)}'
  )


def _beginning(config: ml_collections.ConfigDict, step: int) -> str:
  if step:
    return f'continues after step {step}'
  source = config.train.init_from
  return f'a new run, from the best net of {source}' if source else 'a new run'


def _same_everywhere(what: str, content: bytes | np.ndarray) -> None:
  """Raises a UsageError if another process has other content."""
  if hosts.alone():
    return
  digests = hosts.gather([zlib.crc32(content) >> 1])
  if (digests != digests[0]).any():
    raise errors.UsageError(
      f'{what} differ between the {len(digests)} processes of this run; start '
      'all of them with the same.'
    )


def _say(text: str) -> None:
  if hosts.is_first():
    print(text, flush=True)


def _nothing_to_evaluate(folder: pathlib.Path) -> errors.UsageError:
  return errors.UsageError(
    f'config.train.epochs=0 evaluates a run, but {folder} has no checkpoint.'
  )


def _evaluate_only(trainer: Trainer, one: loop.Run) -> dict[str, Any]:
  result = {}
  if one.best_row:  # else no epoch has been evaluated yet
    (result['best'],) = trainer.evaluate(trainer.best)
  (result['last'],) = trainer.evaluate(trainer.net())
  for name, row in result.items():
    values = '  '.join(f'{k} {v:.4f}' for k, v in row.items())
    _say(f'{name}: {values}')
  return result
