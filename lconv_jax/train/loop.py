"""The training loop: what the host does between chunks of steps."""

import contextlib
import dataclasses
import math
import pathlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np

from lconv_jax import errors, locality
from lconv_jax.runs import checkpoint, hosts, interrupt, metrics
from lconv_jax.runs import folder as run_folder
from lconv_jax.train import progress
from lconv_jax.train.trainer import Trainer, means


@dataclasses.dataclass
class Run:
  """One of the runs that a `Trainer` trains: its folder, and what is best."""

  config: ml_collections.ConfigDict
  folder: pathlib.Path
  checkpoints: checkpoint.Checkpoints | None  # of the first process alone
  best_row: dict[str, Any] = dataclasses.field(default_factory=dict)
  writer: metrics.Writer | metrics.Silent | None = None
  error: errors.UsageError | None = None  # why it does not train any more

  def is_better(self, row: dict[str, Any]) -> bool:
    """Notes an evaluation; returns whether none before had a better one.

    Without a validation part the latest net is the best: nothing may be chosen
    by its test accuracy.
    """
    score = 'validation/accuracy'
    better = row.get(score, 0.0) >= self.best_row.get(score, 0.0)
    if better:
      self.best_row = row
    return better


def train(
  runs: Sequence[Run], trainer: Trainer, where: pathlib.Path
) -> signal.Signals | None:
  """Trains runs to their end; each that gets there has a done.json.

  One whose loss is not finite has an `error`, and the others go on.

  Args:
    runs: they differ in what `optim.Hyper` holds, and in nothing else.
    trainer: at the step where they begin.
    where: what to name when all of them are meant.

  Returns:
    A signal that came when there was nothing left to interrupt.

  Raises:
    UsageError: something that the user can mend.
    Interrupted: SIGTERM or Ctrl-C came; the states are saved.
  """
  with contextlib.ExitStack() as stack:
    for run in runs:
      with hosts.together():
        run.writer = (
          metrics.Writer(run.folder, trainer.step)
          if hosts.is_first()
          else metrics.Silent()
        )
      stack.callback(run.writer.close)
    watch = stack.enter_context(interrupt.Watch())
    _train(runs, trainer, where, watch)
    return watch.received


def _train(
  runs: Sequence[Run],
  trainer: Trainer,
  where: pathlib.Path,
  watch: interrupt.Watch,
) -> None:
  t = runs[0].config.train
  per_epoch = trainer.setup.program.steps_per_epoch
  total = t.epochs * per_epoch
  now, to_trace = trainer.step, t.profile
  rows = runs[0].writer.rows
  clock = progress.Clock(rows[-1]['seconds'] if rows else 0.0)
  display = progress.Display(silent=not hosts.is_first())
  while now < total:
    wishes = hosts.gather([clock.save_is_due(), watch.received or 0])
    due, received = wishes[0, 0], int(wishes[:, 1].max())
    if due or received:
      _save(runs, trainer)
    if received:
      number = signal.Signals(received)
      raise interrupt.Interrupted(
        number,
        f'{number.name}: saved after step {now} of {total} (epoch '
        f'{now / per_epoch:.2f}) in {where}; the same command continues.',
      )
    chunk = int(hosts.gather([clock.chunk()])[0, 0])
    stop = min(now + chunk, (now // per_epoch + 1) * per_epoch)
    tracing = clock.warm and to_trace
    if tracing:  # as many steps as were asked for, or as the epoch has left
      end = (now // per_epoch + 1) * per_epoch
      stop, to_trace = min(now + to_trace, end), 0
    with _trace(where) if tracing else contextlib.nullcontext():
      totals = trainer.train_until(stop)
      clock.tick(now, stop)
    steps, now = (now, stop), stop
    rows = [
      {
        'epoch': now / per_epoch,
        'step': now,
        **means('train', part),
        'images_per_second': clock.steps_per_second() * t.batch_size,
      }
      for part in totals
    ]
    for run, row in zip(runs, rows, strict=True):
      if not run.error and not math.isfinite(row['train/loss']):
        _stop(run, row, steps)
        if runs[1:]:
          display.line(f'{run.folder.name}: {run.error}')
    if all(run.error for run in runs):
      return
    epoch_ends, finished = now % per_epoch == 0, now == total
    if epoch_ends and (finished or now // per_epoch % t.eval_every_epochs == 0):
      _evaluate(runs, rows, trainer, clock.seconds())
    alive = [r for r, run in zip(rows, runs, strict=True) if not run.error]
    line = progress.line(alive, t.epochs, clock.left(now, total))
    if epoch_ends:
      display.line(line)
      clock.lap()
    else:
      display.passing(line)
    if finished or (
      epoch_ends and now // per_epoch % t.checkpoint_every_epochs == 0
    ):
      _save(runs, trainer)
  kernels = trainer.first_layer(trainer.best)
  for run, kernel in zip(runs, kernels, strict=True):
    if not run.error:
      _finish(run, trainer, kernel)


def _stop(run: Run, row: dict[str, Any], steps: tuple[int, int]) -> None:
  """Notes that a run's loss is not finite."""
  run.error = errors.UsageError(
    f'The training loss is {row["train/loss"]} between steps {steps[0]} and '
    f'{steps[1]} (epoch {row["epoch"]:.2f}); {run.folder} keeps what it had '
    'before. Lower config.optim.lr, or raise config.precision, in another '
    '--workdir.'
  )
  with hosts.together():
    if hosts.is_first():
      run_folder.write_error(run.folder, run.error)


def _evaluate(
  runs: Sequence[Run],
  rows: Sequence[dict[str, Any]],
  trainer: Trainer,
  seconds: float,
) -> None:
  """Adds to rows, writes those of runs that go on, and keeps the best nets."""
  better = []
  for run, row, found in zip(
    runs, rows, trainer.evaluate(trainer.net()), strict=True
  ):
    row |= found
    row['seconds'] = seconds
    better.append(not run.error and run.is_better(row))
  trainer.keep(better)
  kernels = [None] * len(runs)
  if runs[0].config.train.log_locality:
    kernels = trainer.first_layer(trainer.net(), locality.sample)
  with hosts.together():
    for run, row, kernel in zip(runs, rows, kernels, strict=True):
      if run.error:
        continue
      if kernel is not None and hosts.is_first():
        found = locality.metrics(kernel, _image_shape(trainer), quick=True)
        row |= {f'locality/{k}': v for k, v in found.items()}
      run.writer.write(row)


def _save(runs: Sequence[Run], trainer: Trainer) -> None:
  """Saves states and best nets so far; the first process does."""
  with hosts.together():
    if hosts.is_first():
      for run, (state, best) in zip(runs, trainer.saved(), strict=True):
        if not run.error:
          run.checkpoints.save(
            trainer.step, checkpoint.Checkpoint(state, best, run.best_row)
          )


@contextlib.contextmanager
def _trace(folder: pathlib.Path) -> Iterator[None]:
  if not hosts.is_first():
    yield
    return
  where = folder / 'profile'
  with jax.profiler.trace(str(where), create_perfetto_trace=True):
    yield
  print(f'Profile in {where}: TensorBoard shows it, or ui.perfetto.dev.')


def _finish(run: Run, trainer: Trainer, first_layer: np.ndarray) -> None:
  result = {
    'best': run.best_row,
    # Somebody may have lost metrics.jsonl.
    'last': run.writer.rows[-1] if run.writer.rows else run.best_row,
    'weights': trainer.weights,
    'image_shape': list(_image_shape(trainer)),
    'environment': run_folder.environment(),
  }
  if trainer.count > 1:
    result['environment']['side_by_side'] = trainer.count
  with hosts.together():
    if hosts.is_first():
      if trainer.setup.layers[0].kind == 'dense':  # not local by design
        result['locality'] = locality.metrics(
          first_layer, _image_shape(trainer)
        )
      if source := run_folder.read_json(run.folder / 'init_from.json'):
        result['init_from'] = source
      run_folder.write_json(run.folder / 'done.json', result)


def _image_shape(trainer: Trainer) -> tuple[int, int, int]:
  return trainer.setup.data.images.shape[2:]
