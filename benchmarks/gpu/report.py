"""The suite's JSON file, which is complete after every result."""

import pathlib
from typing import Any

from benchmarks import interleave
from lconv_jax import runs


class Report:
  """Rows of several parts, each with its command and environment.

  Parts that this process does not measure stay as the file has them.
  """

  def __init__(self, path: str | None, environment: dict[str, Any]) -> None:
    """Reads the file as it is.

    Args:
      path: the file; None keeps everything in memory.
      environment: see `device.describe`.
    """
    self._path, self._environment = path, environment
    self.content = {}
    if path:
      self.content = runs.read_json(pathlib.Path(path)) or {}

  def begin(self, part: str) -> None:
    """Drops the rows of a part."""
    self.content[part] = interleave.content([], self._environment)
    interleave.write(self._path, self.content)

  def add(self, part: str, row: interleave.Row) -> None:
    """Writes a row of a part that has begun."""
    self.content[part]['rows'].append(row)
    interleave.write(self._path, self.content)
