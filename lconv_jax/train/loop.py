"""The training loop, which is the host's work between chunks of steps."""

import contextlib
import functools
import math
import pathlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from lconv_jax import data, errors, locality, runs
from lconv_jax.train import progress
from lconv_jax.train.trainer import Trainer, means

_SHOWN = 10  # times in a run weights are shown as histograms


Lanes = Sequence[runs.Folder | None]  # None: an idle lane, which no run uses


def train(
  folders: Lanes, trainer: Trainer, where: pathlib.Path
) -> signal.Signals | None:
  """Trains runs to their end; each run that gets there has a done.json.

  A run whose loss is not finite gets an `error`, and the others go on.

  Args:
    folders: the folder of each lane. The configs of runs differ only in the
      fields of `optim.Hyper`.
    trainer: the runs' trainer, at the step where they begin.
    where: the folder to name in messages about all runs.

  Returns:
    A signal that came when there was nothing left to interrupt.

  Raises:
    UsageError: something that the user can mend.
    Interrupted: SIGTERM, SIGHUP or Ctrl-C came; the states are saved.
  """
  t = _any(folders).config.train
  per_epoch = trainer.setup.program.steps_per_epoch
  now, total, to_trace = trainer.step, t.epochs * per_epoch, t.profile
  for folder in filter(None, folders):
    folder.begin(now)
  rows = _any(folders).rows
  clock = progress.Clock(rows[-1]['seconds'] if rows else 0.0)
  display = progress.Display()
  shown = now * _SHOWN // total if total else 0
  with runs.Watch() as watch:
    while now < total:
      received = watch.asked()
      if received or clock.save_is_due():
        _save(folders, trainer, clock)
      if received:
        raise runs.Interrupted(
          received,
          f'{received.name}: saved after step {now} of {total} (epoch '
          f'{now / per_epoch:.2f}) in {where}; the same command continues.',
        )
      first, epoch_end = now, (now // per_epoch + 1) * per_epoch
      steps, trace = clock.chunk(), contextlib.nullcontext()
      if clock.warm and to_trace:
        steps, trace, to_trace = to_trace, _trace(where), 0
      now = min(first + steps, epoch_end)
      with trace:
        totals = trainer.train_until(now)
        clock.tick(first, now)
      rows = [
        {
          'epoch': now / per_epoch,
          'step': now,
          **means('train', part),
          'learning_rate': lr,
          'images_per_second': clock.steps_per_second() * t.batch_size,
        }
        for part, lr in zip(totals, trainer.learning_rates(), strict=True)
      ]
      for folder, row in _alive(folders, rows):
        if not math.isfinite(row['train/loss']):
          _stop(folder, row, first)
          if folders[1:]:
            display.line(f'{folder.path.name}: {folder.error}')
      alive = [row for _, row in _alive(folders, rows)]
      if not alive:
        return None
      epochs, at_end = now // per_epoch, now == epoch_end
      if at_end and (now == total or epochs % t.eval_every_epochs == 0):
        _evaluate(folders, rows, trainer, clock.seconds())
        if now * _SHOWN // total > shown and _any(folders).shows_weights():
          shown = now * _SHOWN // total
          for folder, found in _alive(folders, trainer.histograms()):
            folder.write_histograms(now, found)
      if at_end:
        clock.lap()
      left = clock.left(total - now, t.epochs - epochs)
      line = progress.line(alive, t.epochs, left)
      (display.line if at_end else display.passing)(line)
      if at_end and (now == total or epochs % t.checkpoint_every_epochs == 0):
        _save(folders, trainer, clock)
    _finish(folders, trainer)
  return watch.received


def _alive(folders: Lanes, *values: Sequence[Any]) -> list[tuple[Any, ...]]:
  """Returns the folders whose runs go on, each with its values."""
  return [
    x for x in zip(folders, *values, strict=True) if x[0] and not x[0].error
  ]


def _stop(folder: runs.Folder, row: dict[str, Any], first: int) -> None:
  """Stops a run whose loss is not finite."""
  folder.fail(
    errors.UsageError(
      f'The training loss is {row["train/loss"]} between steps {first} and '
      f'{row["step"]} (epoch {row["epoch"]:.2f}); {folder.path} keeps what it '
      'had before. Lower config.optim.lr, or raise config.precision, in '
      'another --workdir.'
    )
  )


def _evaluate(
  folders: Lanes,
  rows: Sequence[dict[str, Any]],
  trainer: Trainer,
  seconds: float,
) -> None:
  """Adds an evaluation to rows, writes them, and keeps the best nets."""
  better = []
  found = trainer.evaluate(trainer.net())
  for folder, row, more in zip(folders, rows, found, strict=True):
    row |= {**more, 'seconds': seconds}
    better.append(bool(folder) and not folder.error and folder.is_better(row))
    if better[-1]:
      folder.best_row = row
  trainer.keep(better)

  def first_layer(run: int) -> runs.FirstLayer:
    kernel = trainer.first_layer(trainer.net())[run]
    layer, shape = trainer.setup.net.layers[0], trainer.setup.net.image_shape
    return runs.FirstLayer(layer, kernel, shape)

  kernels = [None] * len(rows)
  if _any(folders).config.train.log_locality:
    kernels = trainer.first_layer(trainer.net(), locality.sample)
  image_shape = trainer.setup.net.image_shape
  periodic = _is_periodic(folders)
  for folder, row, kernel in _alive(folders, rows, kernels):
    if kernel is not None:
      found = locality.metrics(kernel, image_shape, True, periodic)
      row |= {f'locality/{k}': v for k, v in found.items()}
    folder.write(row, functools.partial(first_layer, folders.index(folder)))


def _save(folders: Lanes, trainer: Trainer, clock: progress.Clock) -> None:
  """Saves states and best nets so far."""
  for folder, (state, best) in _alive(folders, trainer.saved()):
    folder.save(trainer.step, state, best)
  clock.saved()


@contextlib.contextmanager
def _trace(folder: pathlib.Path) -> Iterator[None]:
  where = folder / 'profile'
  trace = jax.profiler.trace(str(where), create_perfetto_trace=True)
  with runs.hosts.only_first(trace):
    yield
  runs.hosts.say(
    f'Profile in {where}: TensorBoard shows it, or ui.perfetto.dev.'
  )


def _finish(folders: Lanes, trainer: Trainer) -> None:
  """Writes the final numbers of runs that have reached their end."""
  net = trainer.setup.net
  for folder, kernel in _alive(folders, trainer.first_layer(trainer.best)):
    result = {
      'best': folder.best_row,
      # Somebody may have lost metrics.jsonl.
      'last': folder.rows[-1] if folder.rows else folder.best_row,
      'weights': trainer.weights,
      'image_shape': list(net.image_shape),
      'environment': runs.environment(),
    }
    if folders[1:]:
      result['environment']['side_by_side'] = len(folders)
    if net.layers[0].kind == 'dense':  # not local by design
      result['locality'] = locality.metrics(
        kernel, net.image_shape, periodic=_is_periodic(folders)
      )
    folder.finish(result)


def _is_periodic(folders: Lanes) -> bool:
  return _any(folders).config.data.name in data.PERIODIC


def _any(folders: Lanes) -> runs.Folder:
  """Returns the first folder: all have the same in what this is asked for."""
  return next(folder for folder in folders if folder)
