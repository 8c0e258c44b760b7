"""The run folder: config.json, metrics.jsonl, checkpoints/, done.json."""

import contextlib
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections
import numpy as np
from flax import traverse_util
from jaxtyping import PyTree

from lconv_jax import errors, models
from lconv_jax.runs import checkpoint, hosts, interrupt, lock, metrics, record
from lconv_jax.runs.environment import environment
from lconv_jax.runs.files import read_json, write_json
from lconv_jax.runs.record import done

LOCK = '.lock'
_SOURCE = 'init_from.json'
ERROR = 'error.txt'  # says why a run stopped before its end
# Fields that may change when a run is continued: its results do not.
FREE = (
  'data.dir',
  'train.checkpoint_every_epochs',
  'train.log_locality',
  'train.profile',
)
# Fields that may also change when the run is only evaluated.
FREE_IN_EVALUATION = (
  'train.',
  'precision',
  'seed',
  'data.augment',
  'data.policy',
  'data.crop',
  'data.flip',
  'data.cutout',
  'optim.lr',
  'optim.weight_decay',
  'optim.beta',
  'optim.l1_',
)


class FirstLayer(NamedTuple):
  """The first layer of a net that trains."""

  layer: models.Layer
  kernel: np.ndarray
  image_shape: tuple[int, int, int]


class Event(NamedTuple):
  """Evaluation or end of a run, of which callbacks are told."""

  path: pathlib.Path  # the run folder
  row: Mapping[str, Any]  # its metrics; at the end, those of the best epoch
  finished: bool  # whether this is the end
  # Fetches the first layer from the device; None at the end, when it is saved.
  first_layer: Callable[[], FirstLayer] | None = None
  # Shows an image in TensorBoard, given its name; None at the end.
  show: Callable[[str, np.ndarray], None] | None = None


class Folder:
  """Folder of a run that is trained or evaluated.

  If several processes train the run, all of them call the same methods in the
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
    new = json.loads(json.dumps(self.config.to_dict()))
    before, now = (traverse_util.flatten_dict(c, sep='.') for c in (old, new))
    free = FREE if self.config.train.epochs else (*FREE, *FREE_IN_EVALUATION)
    before = {**record.YOUNGER, **before}
    differ = [
      f'{k}={before[k]!r}, now {now.get(k)!r}'
      for k in sorted(before)
      if before[k] != now.get(k) and not k.startswith(('environment.', *free))
    ]
    if differ:
      raise errors.UsageError(
        f'{self.path} holds a run of another config ({"; ".join(differ)}): '
        'choose another --workdir, or repeat its settings to continue it.'
      )

  @hosts.in_first
  def done(self) -> dict[str, Any] | None:
    """Returns the final numbers of a finished run, None before its end.

    Raises:
      UsageError: the folder holds a finished run of another config.
    """
    found = done(self.path)
    if found:
      self._compare()
    return found

  def restore(
    self, shapes: Callable[[], tuple[PyTree, PyTree]]
  ) -> checkpoint.Checkpoint | None:
    """Returns the newest checkpoint that can be read; None if there are none.

    Args:
      shapes: returns shapes and dtypes of the state and the best net, if asked.

    Raises:
      UsageError: the checkpoint belongs to another architecture, or there are
        checkpoints, but none can be read.
    """
    self.best_row = {}
    if not hosts.in_first(checkpoint.exists)(self.path):
      return None
    like = shapes()

    def read() -> tuple[PyTree, PyTree]:
      *trees, self.best_row = self._opened().restore(*like)
      return tuple(trees)

    trees = hosts.arrays_in_first(read, like)
    self.best_row = hosts.in_first(lambda: self.best_row)()
    return checkpoint.Checkpoint(*trees, self.best_row)

  @hosts.in_first
  def begin(self, step: int) -> None:
    """Opens the metrics of a run that continues from `step`."""
    self._writer = metrics.Writer(self.path, step)
    self._files.callback(self._writer.close)

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
      UsageError: it cannot be written, as on a full disk.
    """
    content = checkpoint.Checkpoint(state, best, self.best_row)
    self._opened().save(step, content)

  def _opened(self) -> checkpoint.Checkpoints:
    if not self._checkpoints:
      self._checkpoints = checkpoint.Checkpoints(self.path)
      self._files.callback(self._checkpoints.close)
    return self._checkpoints

  @hosts.in_first
  def note_source(self, source: str) -> None:
    """Notes the run whose net this run starts from, for the final numbers."""
    run = record.read(pathlib.Path(source).expanduser().absolute())
    best = run.done['best'] if run.done else {}
    content = {
      'run': str(run.path),
      'finished': bool(run.done),
      'epoch': best.get('epoch'),
      'test/accuracy': best.get('test/accuracy'),
      'commit': run.environment.get('commit'),
    }
    write_json(self.path / _SOURCE, content)

  @hosts.in_first
  def finish(self, result: dict[str, Any]) -> None:
    """Writes the final numbers."""
    if source := read_json(self.path / _SOURCE):
      result = {**result, 'init_from': source}
    write_json(self.path / 'done.json', result)

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
