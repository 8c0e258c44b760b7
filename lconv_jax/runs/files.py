"""JSON files that are written as a whole or not at all."""

import json
import os
import pathlib
from typing import Any


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
  """Returns the object in a JSON file; None if it is missing or cut short."""
  try:
    content = json.loads(path.read_text(encoding='utf-8'))
  except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
    return None
  return content if isinstance(content, dict) else None


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
  """Writes a JSON file, which replaces the one before as a whole."""
  partial = path.with_suffix('.partial')
  with partial.open('w', encoding='utf-8') as f:
    f.write(json.dumps(content, indent=2) + '\n')
    f.flush()
    os.fsync(f.fileno())  # else a power cut may leave an empty file
  os.replace(partial, path)
