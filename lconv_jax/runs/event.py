"""Events of a run, which its callbacks are told."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lconv_jax import models


class FirstLayer(NamedTuple):
  """The first layer of a net that trains."""

  layer: models.Layer
  kernel: np.ndarray
  image_shape: tuple[int, int, int]


class Event(NamedTuple):
  """Evaluation or end of a run, of which callbacks are told."""

  path: pathlib.Path  # the run folder
  row: Mapping[str, Any]  # its metrics; at the end, those of the best epoch
  finished: bool  # whether this is the end
  # Fetches the first layer from the device; None at the end, when it is saved.
  first_layer: Callable[[], FirstLayer] | None = None
  # Shows an image in TensorBoard, given its name; None at the end.
  show: Callable[[str, np.ndarray], None] | None = None
