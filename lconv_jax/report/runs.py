"""A run folder, read."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lconv_jax import errors, locality, models
from lconv_jax.conv import windows
from lconv_jax.models import embed
from lconv_jax.runs import checkpoint, metrics
from lconv_jax.runs import folder as run_folder


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run folder holds."""

  path: pathlib.Path
  config: Mapping[str, Any]
  metrics: Sequence[Mapping[str, Any]]  # one line for each evaluated epoch
  done: Mapping[str, Any] | None  # None: not finished

  @property
  def best(self) -> Mapping[str, Any]:
    """The metrics to report: of the best model, or the last ones so far."""
    if self.done:
      return self.done['best']
    return self.metrics[-1] if self.metrics else {}

  @property
  def epochs(self) -> int | str:
    """How many epochs it trained; '12 of 400, unfinished' before its end."""
    epochs = self.config['train']['epochs']
    if self.done:
      return epochs
    last = self.metrics[-1]['epoch'] if self.metrics else 0
    return f'{last:g} of {epochs}, unfinished'

  @property
  def environment(self) -> Mapping[str, Any]:
    """Command, commit, machine and versions, as far as known."""
    # The config's was written when the run began, on maybe another machine.
    ended = (self.done or {}).get('environment')
    return ended or self.config.get('environment', {})

  @property
  def filters(self) -> np.ndarray | None:
    """The best model's first layer, [units, h, w, C] float32.

    Filters of dense layers are of the image's size; those of LOCAL layers too,
    each at its place, zero outside of its window. A CONV layer's are its
    kernels. None where there are none.
    """
    return self._first_layer[0]

  @property
  def why_no_filters(self) -> str:
    """Why `filters` is None, else ''."""
    return self._first_layer[1]

  @functools.cached_property
  def _first_layer(self) -> tuple[np.ndarray | None, str]:
    return _filters(self)  # as large as the net: read only where asked for


def read(path: str | pathlib.Path) -> Run:
  """Reads a run folder.

  Args:
    path: what was given to main.py as --workdir.

  Returns:
    The run; what is not there yet is left empty.

  Raises:
    UsageError: there is no run in the folder.
  """
  path = pathlib.Path(path)
  config = run_folder.read_json(path / 'config.json')
  if not isinstance(config, dict) or not {'model', 'optim'} <= config.keys():
    raise errors.UsageError(
      f'{path} is no run folder: it has no config.json that can be read; give '
      'a folder that main.py got as --workdir.'
    )
  return Run(path, config, metrics.read(path), run_folder.done(path))


def _filters(run: Run) -> tuple[np.ndarray | None, str]:
  """Returns what `Run.filters` and `Run.why_no_filters` say."""
  if run.done is None:
    return None, 'the run is not finished'
  try:
    params = checkpoint.load_params(run.path, which='best')
  except (OSError, errors.UsageError) as e:
    return None, str(e)
  layer, kernel = next(iter(models.kernels(params).items()))
  kernel, image = np.asarray(kernel), tuple(run.done['image_shape'])
  if kernel.ndim == 4:  # CONV
    return kernel, ''
  if kernel.ndim == 6:  # LOCAL
    family = run.config['model']['name'].split('_')[0]
    stride = models.FAMILIES[family].stages[0].stride
    w = windows.window(image[:2], kernel.shape[3:5], stride)
    kernel = embed.dense(kernel, w, image[:2])
  try:
    return locality.from_kernel(kernel, image), ''
  except ValueError as e:
    return None, f'{layer}: {e}'
