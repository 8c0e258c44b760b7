"""What every figure and table of the paper has in common here."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lconv_jax.paper.captions import Request
from lconv_jax.paper.experiments import Experiment


class Drawn(NamedTuple):
  """What came of it."""

  paths: Sequence[pathlib.Path]
  missing: Sequence[str] = ()  # what the runs do not have
  text: str = ''  # for a terminal


class Item(NamedTuple):
  """A figure or table.

  Attributes:
    number: the paper's.
    what: in a line.
    draw: from experiments, the path of the PNG or Markdown, and what was asked
      for; raises a UsageError where no run fits.
    one_data_set: whether all experiments must be of one; then its name is
      part of the file's.
    needs_runs: whether it is made of runs at all.
  """

  number: str
  what: str
  draw: Callable[[Sequence[Experiment], pathlib.Path, Request], Drawn]
  one_data_set: bool = True
  needs_runs: bool = True
