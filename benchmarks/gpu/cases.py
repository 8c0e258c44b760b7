"""What GPU and CPU both compute, and how large it is."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from lconv_jax import errors

Arrays = dict[str, np.ndarray]
Results = dict[str, tuple[Arrays | None, str]]  # arrays, or what went wrong


class Size(NamedTuple):
  """How large the cases are."""

  alpha: int
  batch: int


FULL = Size(3, 32)  # an odd α: as with 15, no dimension is a multiple of 8
QUICK = Size(2, 4)


def attempt(cases: Mapping[str, Callable[[], Arrays]]) -> Results:
  """Computes cases in turn; one that fails does not stop the others."""
  found = {}
  for name, compute in cases.items():
    try:
      found[name] = compute(), ''
    except Exception as e:  # whatever it is, it is recorded
      found[name] = None, f'{type(e).__name__}: {errors.one_line(e)[:500]}'
  return found
