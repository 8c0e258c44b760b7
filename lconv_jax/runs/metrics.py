"""Metrics of a run as JSON lines and, where possible, TensorBoard events."""

import codecs
import contextlib
import functools
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from lconv_jax import backends, errors
from lconv_jax.runs import checksums, files

FILE = 'metrics.jsonl'
CHECKSUM = 'metrics_checksum'  # of all rows, in a finished run's done.json
# What TensorBoard would show as a straight line.
_NO_CURVES = ('step', 'epoch', 'seconds')


def read(folder: str | pathlib.Path) -> list[dict[str, Any]]:
  """Returns the rows of a run folder, by ascending steps.

  Lines that are not rows are left out with a warning. Of a row that is there
  twice, the first one counts. A half-written last line, which a killed process
  leaves, is left out silently. Warns if a finished run's rows differ from those
  it wrote.

  Raises:
    UsageError: the file cannot be read.
  """
  path = pathlib.Path(folder) / FILE
  rows, wrong = _parse(path)
  done = path.parent / 'done.json'
  if not path.exists() and done.exists():
    wrong = 'is missing, although the run is finished'
  with contextlib.suppress(OSError):  # done.json has its own readers
    checksum = (files.read_json(done) or {}).get(CHECKSUM)
    if not wrong and checksum not in (None, checksums.of_json(rows)):
      wrong = (
        'is damaged, as its checksum is not the one in done.json; delete '
        'done.json, and the command that trained there restores the rows from '
        'the checkpoint'
      )
  if wrong:
    _warn(path.absolute(), wrong)
  return rows


def warn_of_damage(folder: str | pathlib.Path) -> None:
  """Warns if rows are damaged or cannot be read; a finished run needs none."""
  try:
    read(folder)
  except errors.UsageError as e:
    logging.warning('%s', e)


class Writer:
  """Appends rows to metrics.jsonl and, where possible, TensorBoard events."""

  def __init__(
    self,
    folder: pathlib.Path,
    step: int,
    saved: Sequence[dict[str, Any]] | None = None,
  ) -> None:
    """Opens the metrics of a run that continues from `step`.

    Rows of later steps, which an interrupted process wrote after its last
    checkpoint, are dropped: they will be written again. A damaged file is kept
    under another name.

    Args:
      folder: the run folder.
      step: the number of steps taken.
      saved: the rows that were saved with the checkpoint of that step, which
        count if the file has others; None: the file alone counts.
    """
    self._folder = folder
    self._events = None
    path = folder / FILE
    rows, wrong = _parse(path)
    self.rows = [row for row in rows if row['step'] <= step]
    if saved is not None and _lines(saved) != _lines(self.rows):
      self.rows = list(saved)
      wrong = wrong or 'was restored from the checkpoint'
    if wrong and path.exists():
      aside = files.free_name(folder / f'{FILE}.damaged')
      shutil.copyfile(path, aside)
      wrong += f'; the file as found is kept as {aside.name}'
    if wrong:
      _warn(path, wrong)
    partial = folder / f'{FILE}.partial'
    partial.write_text(_lines(self.rows), encoding='utf-8')
    os.replace(partial, path)
    self._file = path.open('a', encoding='utf-8')

  def write(self, row: dict[str, Any]) -> None:
    """Writes one row, a flat dict with a `step`.

    Raises:
      UsageError: TensorBoard events cannot be written, as on a full disk.
    """
    self.rows.append(row)
    self._file.write(_line(row))
    self._file.flush()
    # TensorFlow takes seconds to import; training has begun by now.
    if self._events is None and (writer := _summary_writer()):
      self._events = writer(str(self._folder))
    if self._events is None:
      return
    scalars = {k: v for k, v in row.items() if k not in _NO_CURVES}
    with self._explained():
      self._events.write_scalars(row['step'], scalars)
      self._events.flush()

  @property
  def has_events(self) -> bool:
    """True if TensorBoard events are written; known after the first `write`."""
    return self._events is not None

  def write_image(self, step: int, name: str, image: np.ndarray) -> None:
    """Writes a uint8 image [h, w, 3] for TensorBoard alone."""
    if self.has_events:
      with self._explained():
        self._events.write_images(step, {name: image})

  def write_histograms(
    self, step: int, histograms: Mapping[str, tuple[np.floating, np.ndarray]]
  ) -> None:
    """Writes histograms of weights for TensorBoard alone.

    Args:
      step: the number of steps taken.
      histograms: by layer, the limit of the bins and the counts in bins of
        equal width from -limit to limit.
    """
    if not self.has_events:
      return
    from tensorboard.plugins.histogram import metadata

    values = {}
    for layer, (limit, counts) in histograms.items():
      edges = np.linspace(-limit, limit, len(counts) + 1)
      values[f'weights/{layer}'] = np.stack([edges[:-1], edges[1:], counts], 1)
    kind = metadata.create_summary_metadata(None, None)
    with self._explained():
      self._events.write_summaries(step, values, dict.fromkeys(values, kind))

  @contextlib.contextmanager
  def _explained(self) -> Iterator[None]:
    try:
      yield
    except Exception as e:  # of TensorFlow's own classes
      what = f'TensorBoard events cannot be written to {self._folder}'
      raise files.not_written(what, e) from e

  def sync(self) -> None:
    """Waits until the rows are on the disk."""
    os.fsync(self._file.fileno())

  def close(self) -> None:
    """Flushes and closes the files."""
    self._file.close()
    if self._events is not None:
      # `write` has flushed all, or has said why it could not.
      with contextlib.suppress(Exception):
        self._events.close()


@functools.cache  # so that it warns once
def _summary_writer() -> type | None:
  """Returns clu's writer of events, or warns that something is missing."""
  try:
    backends.load_tensorflow()
    from clu import metric_writers
  # TensorFlow imports much else, such as matplotlib, that may be broken.
  except Exception as e:
    logging.warning(
      'There are no TensorBoard events (%s), only %s: for events, pip install '
      "'lconv_jax[tensorboard]'.",
      errors.one_line(e)[:200],
      FILE,
    )
    return None
  return metric_writers.SummaryWriter


def _line(row: dict[str, Any]) -> str:
  return json.dumps(row) + '\n'


def _lines(rows: Sequence[dict[str, Any]]) -> str:
  return ''.join(map(_line, rows))


def _parse(path: pathlib.Path) -> tuple[list[dict[str, Any]], str]:
  """Returns the rows of a file, and what is wrong with it, or ''."""
  try:
    content = path.read_bytes()
  except FileNotFoundError:
    return [], ''
  except OSError as e:
    raise errors.UsageError(
      f'{path} cannot be read ({e.strerror}); mend that and repeat the command.'
    ) from e
  *lines, half = content.removeprefix(codecs.BOM_UTF8).split(b'\n')
  rows, bad, twice = {}, [], []
  for number, line in enumerate([*lines, half], 1):
    row = _row(line)
    # Zeros may stand where other rows have been.
    if (row is None and number <= len(lines) and line.strip()) or b'\0' in line:
      bad.append(number)
    if row is None:
      continue
    if row['step'] in rows:
      twice.append(number)
    else:
      rows[row['step']] = row
  wrong = []
  if bad:
    wrong.append(f'is damaged in {_named(bad)}')
  if twice:
    wrong.append(f'has steps for a second time in {_named(twice)}')
  return [rows[step] for step in sorted(rows)], ' and '.join(wrong)


def _row(line: bytes) -> dict[str, Any] | None:
  """Returns the row in a line, or None if the line is not a row."""
  try:
    row = json.loads(line.strip(b'\0').decode('utf-8'))
  except (ValueError, RecursionError):
    return None
  is_row = isinstance(row, dict) and isinstance(row.get('step'), int)
  return row if is_row else None


def _named(numbers: Sequence[int]) -> str:
  more = f' and {len(numbers) - 3} more' if numbers[3:] else ''
  shown = ', '.join(map(str, numbers[:3]))
  return f'line{"s" if numbers[1:] else ""} {shown}{more}'


@functools.cache  # once for each state of a file
def _warn(path: pathlib.Path, wrong: str) -> None:
  logging.warning('%s %s.', path, wrong)
