"""Metrics of a run as JSON lines and, where possible, TensorBoard events."""

import contextlib
import functools
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging

from lconv_jax import errors, host_tensorflow

FILE = 'metrics.jsonl'
# What TensorBoard would show as a straight line.
_NO_CURVES = ('step', 'epoch', 'seconds')


def read(folder: str | pathlib.Path) -> list[dict[str, Any]]:
  """Returns the rows of a run folder, without a half-written last line."""
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
  """Appends rows to metrics.jsonl and, where possible, TensorBoard events."""

  def __init__(self, folder: pathlib.Path, step: int) -> None:
    """Opens the metrics of a run that continues from `step`.

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


def _line(row: dict[str, Any]) -> str:
  return json.dumps(row) + '\n'
