"""Pictures of a run that are redrawn while it trains."""

import pathlib
import time

import matplotlib as mpl

from lconv_jax import errors, runs
from lconv_jax.report import pictures
from lconv_jax.report.captions import Request

_TIMES = 10  # in a run that is long enough
_SHARE = 0.02  # of the time that a run takes


class Live:
  """Callback of `train` that keeps filters.png and curves.png up to date.

  They are redrawn after each tenth of the run and at its end. A tenth is left
  out while drawing would take more than a fiftieth of the time so far.
  TensorBoard gets the filters as well.
  """

  def __init__(self, workdir: pathlib.Path, epochs: int) -> None:
    """Draws nothing yet.

    Args:
      workdir: the run folder.
      epochs: the number of epochs of the whole run.
    """
    self._workdir, self._epochs = workdir, epochs
    self._begun = time.perf_counter()
    self._drawn = 0  # tenths of the run
    self._spent, self._last = 0.0, 3.0  # seconds; 3: matplotlib's first figure
    self._trained = False

  def __call__(self, event: runs.Event) -> None:
    """Draws what is due after an event of the run."""
    if event.finished:
      if self._trained or not (self._workdir / 'curves.png').exists():
        print(*self._draw(None), sep='\n')
      return
    self._trained = True
    tenths = int(event.row['epoch'] * _TIMES / self._epochs)
    start = time.perf_counter()
    allowed = _SHARE * (start - self._begun)
    if tenths in (self._drawn, _TIMES) or self._spent + self._last > allowed:
      return
    self._drawn = tenths
    self._draw(event)
    self._last = time.perf_counter() - start
    self._spent += self._last

  def _draw(self, event: runs.Event | None) -> list[str]:
    """Draws, and returns a line for each file; a failure stops no run."""
    try:
      run = runs.read(self._workdir)
      if event is None:
        return pictures.draw([run], self._workdir, Request())
      lines = pictures.draw_unfinished(run, event.first_layer())
      picture = self._workdir / 'filters.png'
      pixels = (mpl.image.imread(picture)[..., :3] * 255).round()
      event.show('filters', pixels.astype('uint8'))
    except Exception as e:  # whatever matplotlib raises
      return [f'No pictures of {self._workdir}: {errors.one_line(e)}']
    return lines
