"""Form of what a run folder holds, which a stranger may have written."""

from collections.abc import Mapping
from typing import Any

_LARGEST = 1e300  # per cents and sums of this are still finite


def wrong_row(row: Any) -> str:
  """Returns what is wrong with a row of metrics, or ''."""
  if isinstance(row, dict) and 'epoch' not in row:
    return 'a row has no epoch'
  return _wrong_values(row)


def _wrong_values(row: Any) -> str:
  if not isinstance(row, dict):
    return f'a row is a {type(row).__name__}, not an object'
  for name, value in row.items():
    # A loss may be infinite, or not a number.
    if not (_is_number(value) and (name.endswith('loss') or _is_sane(value))):
      return f'{name} is {value!r:.40}'
  return ''


def wrong_done(done: Mapping[str, Any]) -> str:
  """Returns what is wrong with the final numbers of a run, or ''."""
  for name in ('best', 'last'):
    if wrong := _wrong_values(done.get(name, {})):
      return f'{name}: {wrong}'
  for name in ('weights', 'locality'):
    values = done.get(name, {})
    if not (isinstance(values, dict) and all(map(_is_number, values.values()))):
      return f'{name} does not hold numbers'
  shape = done.get('image_shape', [1, 1, 1])
  if not (
    isinstance(shape, list)
    and len(shape) == 3
    and all(isinstance(n, int) and n > 0 for n in shape)
  ):
    return f'image_shape is {shape!r:.40}'
  return ''


def environment(found: Any) -> dict[str, str | int | float]:
  """Returns the part of an environment that tables can show."""
  items = found.items() if isinstance(found, dict) else ()
  return {k: v for k, v in items if isinstance(v, str | int | float)}


def _is_sane(value: int | float) -> bool:
  return abs(value) <= _LARGEST


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)
