"""What was asked for, and the caption that says so."""

import types
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lconv_jax import report, runs


class Request(NamedTuple):
  """What was asked for."""

  command: str
  data: Mapping[str, str] = types.MappingProxyType({})  # names of data sets
  seed: int = 0  # of random choices among filters


def caption(
  about: Sequence[str], shown: Sequence[runs.Record], request: Request
) -> str:
  """Returns a caption, of a line for each paragraph.

  Args:
    about: what a reader must know, a sentence or more each.
    shown: the runs that are listed.
    request: what was asked for.
  """
  return report.caption(about, shown, request.command, request.data)
