"""The suite's JSON file, complete after every result."""

import pathlib
from typing import Any

from benchmarks import interleave
from lconv_jax import runs


class Report:
  """Rows of several parts, each with its command and environment.

  Parts that this process does not measure stay as the file has them.
  """

  def __init__(
    self, path: str | pathlib.Path | None, environment: dict[str, Any]
  ) -> None:
    """Reads what there is.

    Args:
      path: the file; None keeps everything in memory.
      environment: see `device.describe`.
    """
    self._path = path and pathlib.Path(path)
    self._environment = environment
    self.content = (runs.read_json(self._path) if self._path else None) or {}

  def begin(self, part: str) -> None:
    """Throws away what a part had."""
    self.content[part] = {
      'command': interleave.command(),
      'environment': self._environment,
      'rows': [],
    }
    self._write()

  def add(self, part: str, row: dict[str, Any]) -> None:
    """Writes a row of a part that has begun."""
    self.content[part]['rows'].append(row)
    self._write()

  def _write(self) -> None:
    if self._path:
      self._path.parent.mkdir(parents=True, exist_ok=True)
      runs.write_json(self._path, self.content)
