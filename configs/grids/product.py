"""Builds grids: products of lists, and a grid within each point."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from configs.grids import Point


def product(fields: Mapping[str, Iterable[Any]]) -> list[Point]:
  """Returns all combinations; the last field varies fastest."""
  return [
    dict(zip(fields, values, strict=True))
    for values in itertools.product(*fields.values())
  ]


def within(
  outer: Sequence[Point], inner: Mapping[str, Sequence[Point]]
) -> list[Point]:
  """Returns each outer point with all points of its optimiser's grid.

  Args:
    outer: points that set `optim.name`.
    inner: a grid for each of these optimisers; its values take precedence.
  """
  return [{**o, **i} for o in outer for i in inner[o['optim.name']]]
