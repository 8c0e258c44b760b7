"""The training loop: what the host does between chunks of steps."""

import contextlib
import math
import pathlib
import signal
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import ml_collections
import numpy as np

from lconv_jax import (
  check,
  checkpoint,
  data,
  errors,
  hosts,
  interrupt,
  metrics,
  parallel,
  precision,
  progress,
  run,
  warm_start,
)
from lconv_jax.trainer import Trainer, means, setup


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
    check.check(config)
  config = config.copy_and_resolve_references()
  # A run that began in one precision shall not continue in another one.
  config.precision = precision.compute_dtype(config.precision).name
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
    return _run(config, folder, Trainer(built), checkpoints, dataset)


def _run(
  config: ml_collections.ConfigDict,
  folder: pathlib.Path,
  trainer: Trainer,
  checkpoints: checkpoint.Checkpoints | None,
  dataset: data.Dataset,
) -> dict[str, Any]:
  """Evaluates, continues or begins; `checkpoints` has the first process."""
  restored = trainer.restore(checkpoints)
  if config.train.epochs == 0:
    if not restored:
      raise _nothing_to_evaluate(folder)
    return _evaluate_only(trainer)
  if config.train.init_from and not restored:
    net = None
    with hosts.together():
      if hosts.is_first():
        shape = dataset.train.images.shape[1:]
        net = warm_start.load(config, shape, dataset.num_classes)
        run.write_json(
          folder / 'init_from.json',
          warm_start.describe(config.train.init_from),
        )
    trainer.start_from(net)
  with hosts.together():
    writer = (
      metrics.Writer(folder, trainer.step)
      if hosts.is_first()
      else metrics.Silent()
    )
  with interrupt.Watch() as watch, contextlib.closing(writer):
    return _loop(config, folder, trainer, checkpoints, writer, watch)


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


def _evaluate_only(trainer: Trainer) -> dict[str, Any]:
  result = {}
  if trainer.best_row:  # else no epoch has been evaluated yet
    result['best'] = trainer.evaluate(trainer.best)
  result['last'] = trainer.evaluate(trainer.net())
  for name, row in result.items():
    values = '  '.join(f'{k} {v:.4f}' for k, v in row.items())
    _say(f'{name}: {values}')
  return result


def _loop(
  config: ml_collections.ConfigDict,
  folder: pathlib.Path,
  trainer: Trainer,
  checkpoints: checkpoint.Checkpoints | None,
  writer: metrics.Writer | metrics.Silent,
  watch: interrupt.Watch,
) -> dict[str, Any]:
  t = config.train
  per_epoch = trainer.setup.program.steps_per_epoch
  total = t.epochs * per_epoch
  now, to_trace = trainer.step, t.profile
  clock = progress.Clock(writer.rows[-1]['seconds'] if writer.rows else 0.0)
  display = progress.Display(silent=not hosts.is_first())
  display.line(_headline(config, trainer, folder))
  while now < total:
    wishes = hosts.gather([clock.save_is_due(), watch.received or 0])
    due, received = wishes[0, 0], int(wishes[:, 1].max())
    if due or received:
      trainer.save(checkpoints)
    if received:
      number = signal.Signals(received)
      raise interrupt.Interrupted(
        number,
        f'{number.name}: saved after step {now} of {total} (epoch '
        f'{now / per_epoch:.2f}) in {folder}; the same command continues.',
      )
    chunk = int(hosts.gather([clock.chunk()])[0, 0])
    stop = min(now + chunk, (now // per_epoch + 1) * per_epoch)
    tracing = clock.warm and to_trace
    if tracing:  # as many steps as were asked for, or as the epoch has left
      end = (now // per_epoch + 1) * per_epoch
      stop, to_trace = min(now + to_trace, end), 0
    with _trace(folder) if tracing else contextlib.nullcontext():
      totals = trainer.train_until(stop)
      clock.tick(now, stop)
    if not math.isfinite(totals.loss):
      raise errors.UsageError(
        f'The training loss is {totals.loss} between steps {now} and {stop} '
        f'(epoch {stop / per_epoch:.2f}); {folder} keeps what it had before. '
        'Lower config.optim.lr, or raise config.precision, in another '
        '--workdir.'
      )
    now = stop
    row = {
      'epoch': now / per_epoch,
      'step': now,
      **means('train', totals),
      'images_per_second': clock.steps_per_second() * t.batch_size,
    }
    epoch_ends, finished = now % per_epoch == 0, now == total
    if epoch_ends and (finished or _every(t.eval_every_epochs, row['epoch'])):
      row |= trainer.evaluate(trainer.net())
      row['seconds'] = clock.seconds()
      trainer.keep_if_best(row)
      with hosts.together():
        writer.write(row)
    line = progress.line(row, t.epochs, clock.left(now, total))
    if epoch_ends:
      display.line(line)
      clock.lap()
    else:
      display.passing(line)
    if finished or (
      epoch_ends and _every(t.checkpoint_every_epochs, row['epoch'])
    ):
      trainer.save(checkpoints)
  return _finish(folder, trainer, writer.rows)


@contextlib.contextmanager
def _trace(folder: pathlib.Path) -> Iterator[None]:
  if not hosts.is_first():
    yield
    return
  where = folder / 'profile'
  with jax.profiler.trace(str(where), create_perfetto_trace=True):
    yield
  _say(f'Profile in {where}: TensorBoard shows it, or ui.perfetto.dev.')


def _every(epochs: int, epoch: float) -> bool:
  return epoch % epochs == 0


def _headline(
  config: ml_collections.ConfigDict, trainer: Trainer, folder: pathlib.Path
) -> str:
  setup, device = trainer.setup, jax.devices()[0].device_kind
  sizes = {name: stop - start for name, (start, stop) in setup.splits.items()}
  now = trainer.step
  many = '' if hosts.alone() else f', {jax.process_count()} processes'
  return (
    f'{config.model.name} α={config.model.base_channels}: '
    f'{sum(trainer.weights.values()):,} weights, {config.optim.name}, '
    f'{setup.program.dtype} on {parallel.device_count()} × {device}{many}\n'
    f'{config.data.name}: {sizes["train"]:,} training, '
    f'{sizes["validation"]:,} validation, {sizes["test"]:,} test images\n'
    f'{folder}: {_beginning(config, now)}'
  )


def _beginning(config: ml_collections.ConfigDict, step: int) -> str:
  if step:
    return f'continues after step {step}'
  source = config.train.init_from
  return f'a new run, from the best net of {source}' if source else 'a new run'


def _finish(
  folder: pathlib.Path, trainer: Trainer, rows: list[dict[str, Any]]
) -> dict[str, Any]:
  best = trainer.best_row
  why = (
    'the best by validation' if 'validation/accuracy' in best else 'the last'
  )
  result = {
    'best': best,
    'last': rows[-1] if rows else best,  # somebody may have lost metrics.jsonl
    'weights': trainer.weights,
    'image_shape': list(trainer.setup.data.images.shape[2:]),
    'environment': run.environment(),
  }
  with hosts.together():
    if hosts.is_first():
      if source := run.read_json(folder / 'init_from.json'):
        result['init_from'] = source
      run.write_json(folder / 'done.json', result)
  _say(
    f'Done: test accuracy {best["test/accuracy"]:.2%} at epoch '
    f'{best["epoch"]:g}, {why}.'
  )
  return hosts.from_first(result)
