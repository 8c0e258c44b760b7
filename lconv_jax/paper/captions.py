"""What was asked for, and the caption that says so."""

from collections.abc import Sequence
from typing import NamedTuple

from lconv_jax import report
from lconv_jax.paper import experiments


class Request(NamedTuple):
  """What was asked for."""

  command: str
  data: str | None = None  # what to call the data set
  seed: int = 0  # of random choices among filters


def caption(
  about: Sequence[str],
  shown: Sequence[experiments.Experiment],
  request: Request,
) -> str:
  """Returns a caption, of a line for each paragraph.

  Args:
    about: what a reader must know, a sentence or more each.
    shown: the experiments, whose runs are listed.
    request: what was asked for.
  """
  runs = [run for e in shown for run in e.runs]
  return report.caption(about, runs, request.command, request.data)


def data(name: str, request: Request) -> str:
  """Returns what to call a data set."""
  return request.data or report.DATA.get(name, name)
