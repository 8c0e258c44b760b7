"""What an H200 should reach, as pass or fail."""

from typing import Any

_NET = 's_fc_momentum'
_GOALS = (
  ('step', 'step_s', 3.2e-3, 's'),
  ('memory', 'memory_gib', 8.0, 'GiB'),
  ('augmentation', 'augmentation_share', 0.1, 'of a step'),
)


def rows(speeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
  """Returns a row for each goal; `passed` is None where nothing was measured.

  Args:
    speeds: of `speed.measure`, each with its `name`.
  """
  found = next((row for row in speeds if row['name'] == _NET), {})
  result = []
  for name, field, limit, unit in _GOALS:
    value = found.get(field)
    result.append(
      {
        'name': f'{_NET}: {name}',
        'value': value,
        'limit': limit,
        'unit': unit,
        'passed': None if value is None else value <= limit,
      }
    )
  return result


def line(row: dict[str, Any]) -> str:
  """Returns a row as a person reads it."""
  if row['value'] is None:
    return 'not measured'
  return f'{row["value"]:.4g} {row["unit"]}, at most {row["limit"]:g}'
