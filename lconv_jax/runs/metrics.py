"""Metrics of a run as JSON lines and, where possible, TensorBoard events."""

import contextlib
import functools
import json
import os
import pathlib
from typing import Any

from absl import logging

from lconv_jax import errors, host_tensorflow

FILE = 'metrics.jsonl'


def read(folder: str | pathlib.Path) -> list[dict[str, Any]]:
  """Returns the rows of a run folder; a half-written last line is left out."""
  path = pathlib.Path(folder) / FILE
  if not path.exists():
    return []
  rows = []
  for line in path.read_text(encoding='utf-8').splitlines():
    try:
      rows.append(json.loads(line))
    except json.JSONDecodeError:
      break
  return rows


class Writer:
  """Appends rows to metrics.jsonl and to TensorBoard events."""

  def __init__(self, folder: pathlib.Path, step: int) -> None:
    """Opens the metrics of a run that stands at `step`.

    Rows of later steps, which an interrupted process wrote after its last
    checkpoint, are dropped: they will be written again.
    """
    self._folder = folder
    self._events = None
    self.rows = [row for row in read(folder) if row['step'] <= step]
    partial = folder / f'{FILE}.partial'
    partial.write_text(''.join(map(_line, self.rows)), encoding='utf-8')
    os.replace(partial, folder / FILE)
    self._file = (folder / FILE).open('a', encoding='utf-8')

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
    scalars = {k: v for k, v in row.items() if k != 'step'}
    try:
      self._events.write_scalars(row['step'], scalars)
      self._events.flush()
    except Exception as e:  # of TensorFlow's own classes
      raise errors.UsageError(
        f'TensorBoard events cannot be written to {self._folder} '
        f'({errors.one_line(e)[-200:]}); make room there and repeat the '
        'command: it continues from what was saved before.'
      ) from e

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
    host_tensorflow.load()
    from clu import metric_writers
  except ImportError as e:
    logging.warning(
      'There are no TensorBoard events (%s), only %s: for events, pip install '
      "'lconv_jax[tensorboard]'.",
      e,
      FILE,
    )
    return None
  return metric_writers.SummaryWriter


@functools.cache  # so that it warns once
def _summary_writer() -> type | None:
  """Returns clu's writer of events, or warns that something is missing."""
  try:
    host_tensorflow.load()
    from clu import metric_writers
  except ImportError as e:
    logging.warning(
      'There are no TensorBoard events (%s), only %s: for events, pip install '
      "'lconv_jax[tensorboard]'.",
      e,
      FILE,
    )
    return None
  return metric_writers.SummaryWriter


def _line(row: dict[str, Any]) -> str:
  return json.dumps(row) + '\n'
