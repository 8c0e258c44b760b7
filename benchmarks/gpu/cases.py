"""Cases that GPU and CPU both compute, and how large they are."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lconv_jax import errors

Arrays = dict[str, np.ndarray]
Result = tuple[Arrays | None, str]  # arrays, or an error's message
Results = dict[str, Result]


class Size(NamedTuple):
  """Size of the cases."""

  alpha: int
  batch: int


FULL = Size(3, 32)  # an odd α: as with 15, no dimension is a multiple of 8
QUICK = Size(2, 4)


def attempt(
  compute: Callable[..., Arrays], cases: Mapping[str, tuple[Any, ...]]
) -> Results:
  """Computes cases in turn; one that fails does not stop the others.

  Args:
    compute: computes one case.
    cases: the arguments of `compute`, by the case's name.
  """
  found = {}
  for name, args in cases.items():
    try:
      found[name] = compute(*args), ''
    except Exception as e:  # is recorded, whatever it is
      found[name] = None, f'{type(e).__name__}: {errors.one_line(e)[:500]}'
  return found
