"""The common form of the paper's figures and tables."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lconv_jax import runs
from lconv_jax.report import captions, style
from lconv_jax.report.experiments import Experiment


class Drawn(NamedTuple):
  """A figure or table that was made, and the text of its caption."""

  # (path of the PNG or Markdown, caption) -> paths of what was written
  save: Callable[[pathlib.Path, str], style.Paths]
  about: Sequence[str]  # paragraphs
  shown: Sequence[runs.Record] = ()
  missing: Sequence[str] = ()  # what the runs do not have
  text: str = ''  # for a terminal


class Item(NamedTuple):
  """A figure or table of the paper."""

  number: str  # the paper's
  what: str  # a line about it
  # Makes it of experiments; raises a UsageError where no run fits.
  draw: Callable[[Sequence[Experiment], captions.Request], Drawn]
  one_data_set: bool = True  # whose name is then part of the file's
  needs_runs: bool = True

  def write(
    self,
    chosen: Sequence[Experiment],
    path: pathlib.Path,
    request: captions.Request,
  ) -> tuple[style.Paths, Drawn]:
    """Draws and writes it; returns the paths of all files, and what was drawn.

    Args:
      chosen: the experiments to choose from.
      path: of the PNG or Markdown; the other files stand beside it.
      request: what was asked for.

    Raises:
      UsageError: no run fits, or runs differ in more than is compared.
    """
    with style.look():
      drawn = self.draw(chosen, request)
    missing = f'Missing: {"; ".join(drawn.missing)}.' if drawn.missing else ''
    text = captions.caption([*drawn.about, missing], drawn.shown, request)
    return drawn.save(path, text), drawn
