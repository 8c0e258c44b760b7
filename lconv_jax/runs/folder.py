"""The run folder: config.json, metrics.jsonl, checkpoints/, done.json."""

import contextlib
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np
from jaxtyping import PyTree

from lconv_jax import errors
from lconv_jax.runs import (
  checkpoint,
  checksums,
  compare,
  content,
  hosts,
  inputs,
  interrupt,
  lock,
  lost,
  metrics,
  record,
)
from lconv_jax.runs.environment import environment
from lconv_jax.runs.event import Event, FirstLayer
from lconv_jax.runs.files import read_json, write_json
from lconv_jax.runs.record import done

LOCK = '.lock'
_SOURCE = 'init_from.json'
ERROR = 'error.txt'  # says why a run stopped before its end
_NOT_IN_PATHS = '[]\\'  # orbax writes there and cannot read back


class Folder:
  """Folder of a run that is trained or evaluated.

  If several processes train the run, they all call the same methods in the
  same order: the first process reads and writes, the others get what it has
  read, and an error in one process stops all.
  """

  def __init__(
    self,
    workdir: str | pathlib.Path,
    config: ml_collections.ConfigDict,
    callbacks: Sequence[Callable[[Event], None]] = (),
  ) -> None:
    """Notes its arguments; nothing is read or written yet.

    Args:
      workdir: the folder, which need not exist.
      config: must agree with the folder's own, if it has one.
      callbacks: functions that the first process calls with each `Event`.
    """
    self.path = errors.local_path('--workdir', workdir).absolute()
    self.config = config
    self.best_row: dict[str, Any] = {}  # metrics of the best net so far
    self.error: Exception | None = None  # why the run does not go on
    # What trains side by side with it, for the checkpoints; {}: nothing.
    self.group: dict[str, Any] = {}
    # Where it began, if it continues; only the first process has it.
    self.environment: dict[str, Any] = {}
    self._rows: list[dict[str, Any]] | None = None  # of the checkpoint
    self._damaged: set[int] = set()  # steps
    self._callbacks = callbacks
    self._files: contextlib.ExitStack | None = None  # while it is open
    self._checkpoints: checkpoint.Checkpoints | None = None
    self._writer: metrics.Writer | None = None

  @property
  def rows(self) -> list[dict[str, Any]]:
    """Metrics written so far; only the first process has them."""
    return self._writer.rows if self._writer else []

  def is_better(self, row: dict[str, Any]) -> bool:
    """Returns whether no earlier evaluation was better.

    Without a validation part the latest net is the best: nothing may be chosen
    by its test accuracy.
    """
    score = 'validation/accuracy'
    return row.get(score, 0.0) >= self.best_row.get(score, 0.0)

  @contextlib.contextmanager
  def open(self) -> Iterator[None]:
    """Keeps other runs out of the folder, and notes why this one stops.

    Raises:
      UsageError: the folder holds a run of another config, cannot be written,
        or is in use by another process; or there is no checkpoint to evaluate.
    """
    try:
      with contextlib.ExitStack() as self._files:
        self._open()
        try:
          yield
        except Exception as e:
          known = self.error or done(self.path)
          if not (known or isinstance(e, interrupt.Interrupted)):
            self.fail(e)
          raise
    finally:
      self._files = self._checkpoints = self._writer = None

  @hosts.in_first
  def _open(self) -> None:
    if self.config.train.epochs == 0 and not checkpoint.exists(self.path):
      raise errors.UsageError(
        f'config.train.epochs=0 evaluates a run, but {self.path} holds no '
        'checkpoint.'
      )
    if wrong := set(_NOT_IN_PATHS) & set(str(self.path)):
      raise errors.UsageError(
        f'--workdir={self.path} contains {" ".join(sorted(wrong))}, and '
        'checkpoints there could not be read back; choose another.'
      )
    self.best_row, self._rows = {}, None
    try:
      self.path.mkdir(parents=True, exist_ok=True)
      self._files.enter_context(lock.locked(self.path / LOCK))
    except BlockingIOError as e:
      raise errors.UsageError(
        f'Another process is training in {self.path}; wait for it, or choose '
        'another --workdir.'
      ) from e
    except OSError as e:
      raise errors.UsageError(
        f'--workdir={self.path} cannot be written ({e.strerror}); choose '
        'another.'
      ) from e
    if _begun(self.path):
      self._compare()
    else:
      config = {**self.config.to_dict(), 'environment': environment()}
      write_json(self.path / 'config.json', config)
    (self.path / ERROR).unlink(missing_ok=True)

  def _compare(self) -> None:
    """Raises a UsageError if the folder's run has another config."""
    old = read_json(self.path / 'config.json')
    if old is None:
      raise errors.UsageError(
        f'{self.path} holds a run whose config.json is missing or damaged; put '
        'it back, or choose another --workdir.'
      )
    self.environment = content.environment(old.get('environment'))
    if differ := compare.differences(old, self.config.to_dict(), self._free):
      raise errors.UsageError(
        f'{self.path} holds a run of another config ({differ}): choose another '
        '--workdir, or repeat its settings to continue it.'
      )

  @property
  def _free(self) -> tuple[str, ...]:
    """Fields that need not agree with the folder's."""
    if self.config.train.epochs:
      return compare.FREE
    return compare.FREE_IN_EVALUATION

  @hosts.in_first
  def done(self) -> dict[str, Any] | None:
    """Returns the final numbers of a finished run, None before its end.

    Raises:
      UsageError: the folder holds a finished run of another config.
    """
    found = done(self.path)
    if found:
      self._compare()
      metrics.warn_of_damage(self.path)
    return found

  @hosts.in_first
  def check_inputs(self, found: dict[str, str]) -> None:
    """Notes with what data the run begins, or compares them.

    Args:
      found: from `inputs.of`.

    Raises:
      UsageError: the run began with other inputs.
    """
    path = self.path / inputs.FILE
    if _begun(self.path) and path.exists():
      inputs.check(self.path, found)
    elif self.config.train.epochs:
      write_json(path, found)

  @hosts.in_first
  def steps(self) -> list[int]:
    """Returns the steps of checkpoints from which the run can continue.

    The list is empty before the first checkpoint.

    Raises:
      UsageError: all checkpoints are damaged or lost.
    """
    found = checkpoint.steps(self.path)
    good = [step for step in found if step not in self._damaged]
    if found and not good:
      raise checkpoint.none_can_be_read(self.path)
    if not found:
      lost.check(self.path, self.config)
    return good

  def restore(
    self, shapes: Callable[[], tuple[PyTree, PyTree]], step: int
  ) -> checkpoint.Checkpoint | None:
    """Returns the checkpoint of a step; None, and a warning, if it is damaged.

    Args:
      shapes: returns shapes and dtypes of the state and the best net.
      step: one of `steps`.

    Raises:
      UsageError: the checkpoint belongs to another run, or cannot be read for a
        reason that may pass.
    """
    like, found = shapes(), None

    def read() -> tuple[PyTree, PyTree]:
      nonlocal found
      found = self._opened().restore(*like, step)
      if not found:
        return like if hosts.alone() else hosts.zeros(like)
      where = self.path / checkpoint.FOLDER / str(step)
      config = self.config.to_dict()
      checkpoint.check_config(where, found.config, config, self._free)
      self.group, self._rows = found.group, found.rows
      return found.state, found.best

    trees = hosts.arrays_in_first(read, like)
    self.best_row = hosts.in_first(lambda: found and found.best_row)()
    if self.best_row is None:
      return None
    return checkpoint.Checkpoint(*trees, self.best_row)

  @hosts.in_first
  def begin(self, step: int) -> None:
    """Opens the metrics of a run that continues from `step`.

    Later checkpoints are removed; damaged ones are moved away.
    """
    self._writer = metrics.Writer(self.path, step, self._rows)
    self._files.callback(self._writer.close)
    if checkpoint.exists(self.path):
      self._opened().begin(step)

  @hosts.in_first
  def write(
    self, row: dict[str, Any], first_layer: Callable[[], FirstLayer]
  ) -> None:
    """Writes the metrics of an evaluation, and tells the callbacks.

    Args:
      row: the metrics.
      first_layer: fetches the first layer from the device.
    """
    self._writer.write(row)
    show = functools.partial(self._writer.write_image, row['step'])
    self._call(Event(self.path, row, False, first_layer, show))

  @hosts.in_first
  def shows_weights(self) -> bool:
    """Returns whether anybody can look at `write_histograms`."""
    return self._writer.has_events

  @hosts.in_first
  def write_histograms(
    self, step: int, histograms: Mapping[str, tuple[np.floating, np.ndarray]]
  ) -> None:
    """Writes histograms of weights, as `metrics.Writer` takes them."""
    self._writer.write_histograms(step, histograms)

  @hosts.in_first
  def save(self, step: int, state: PyTree, best: PyTree) -> None:
    """Saves a checkpoint, unless that step is saved already.

    Raises:
      UsageError: it cannot be written, as on a full disk, or the first
        checkpoint cannot be read back.
    """
    self._writer.sync()
    config = self.config.to_dict()
    saved = checkpoint.Checkpoint(
      state, best, self.best_row, self.rows, config, self.group
    )
    self._opened().save(step, saved)

  def _opened(self) -> checkpoint.Checkpoints:
    if not self._checkpoints:
      self._checkpoints = checkpoint.Checkpoints(self.path, self._damaged)
      self._files.callback(self._checkpoints.close)
    return self._checkpoints

  @hosts.in_first
  def note_source(self, source: str) -> None:
    """Notes the run whose net this run starts from, for the final numbers."""
    run = record.read(pathlib.Path(source).expanduser().absolute())
    best = run.done['best'] if run.done else {}
    about = {
      'run': str(run.path),
      'finished': bool(run.done),
      'epoch': best.get('epoch'),
      'test/accuracy': best.get('test/accuracy'),
      'commit': run.environment.get('commit'),
    }
    write_json(self.path / _SOURCE, about)

  @hosts.in_first
  def finish(self, result: dict[str, Any]) -> None:
    """Writes the final numbers."""
    if source := read_json(self.path / _SOURCE):
      result = {**result, 'init_from': source}
    result = json.loads(json.dumps(result))
    result[metrics.CHECKSUM] = checksums.of_json(self.rows)
    checksum = checksums.of_json(result)
    write_json(self.path / 'done.json', {**result, 'checksum': checksum})

  @hosts.in_first
  def tell_the_end(self, best: dict[str, Any]) -> None:
    """Tells the callbacks that the run is finished."""
    self._call(Event(self.path, best, finished=True))

  def _call(self, event: Event) -> None:
    for callback in self._callbacks:
      callback(event)

  def fail(self, error: Exception) -> None:
    """Notes why the run stops, also in error.txt.

    A folder that is not open and belongs to another run stays as it is.
    """
    self.error = error
    strange = not self._files and (_begun(self.path) or in_use(self.path))
    if hosts.is_first() and not strange:
      with contextlib.suppress(OSError):  # as the disk may be what is full
        self.path.mkdir(parents=True, exist_ok=True)
        text = f'{errors.one_line(error) or type(error).__name__}\n'
        (self.path / ERROR).write_text(text, encoding='utf-8')

  @contextlib.contextmanager
  def failing_alone(self) -> Iterator[None]:
    """Notes a UsageError as this run's, so that other runs go on."""
    try:
      yield
    except errors.UsageError as e:
      self.fail(e)


def in_use(folder: pathlib.Path) -> bool:
  """Returns whether a process has opened a run folder."""
  return lock.held(folder / LOCK)


def _begun(folder: pathlib.Path) -> bool:
  """Returns whether a folder has contents that another config would spoil."""
  rows = folder / metrics.FILE
  return (
    checkpoint.exists(folder)
    or (folder / 'done.json').exists()
    or (rows.exists() and rows.stat().st_size > 0)
  )
