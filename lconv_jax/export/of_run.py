"""The net of a run, ready to be written in every form."""

import os
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PyTree, UInt8

from lconv_jax import data, models, runs
from lconv_jax.export import sparse_file, units
from lconv_jax.export.steps import Step, steps
from lconv_jax.models import fold

_BATCH = 100  # images

# Of the logits, relative to the largest one where that is above 1.
TOLERANCE = 1e-4


class Trained(NamedTuple):
  """Best net of a run, and the data set that it was trained on."""

  net: models.Description
  variables: dict[str, PyTree]
  dataset: data.Dataset

  def steps(self, sparse: bool) -> tuple[Step, ...]:
    """Returns the net as steps, without units that do nothing.

    Args:
      sparse: whether LOCAL layers become dense layers that are mostly zeros.
    """
    return units.remove(self.whole(sparse))

  def sparse(self) -> tuple[dict[str, Any], sparse_file.Arrays]:
    """Returns the net as `SparseNet` takes it."""
    names = self.dataset.class_names
    return sparse_file.content(self.steps(True), self.net.image_shape, names)

  def whole(self, sparse: bool) -> tuple[Step, ...]:
    """Returns the net as steps, with all units."""
    folded = fold.fold(
      self.net, **self.variables, mean=self.dataset.mean, std=self.dataset.std
    )
    nodes = models.graph.graph(self.net)
    return steps(nodes, folded, sparse, self.dataset.origin)

  def logits(
    self, images: UInt8[np.ndarray, 'n h w c']
  ) -> Float[np.ndarray, 'n k']:
    """Returns the logits of the net as it was trained, in float32."""
    apply, data = jax.jit(self.net.module.apply), self.dataset
    return np.concatenate(
      [
        apply(
          self.variables,
          (np.float32(images[i : i + _BATCH]) / 255 - data.mean) / data.std,
        )
        for i in range(0, len(images), _BATCH)
      ]
    )


def of_run(path: str | os.PathLike[str], data_dir: str = '') -> Trained:
  """Returns the best net of a run.

  Args:
    path: a run folder.
    data_dir: where the data set is now; '': where it was in training.

  Raises:
    UsageError: the net cannot be read, or the data set is missing.
  """
  run = runs.read(path)
  if data_dir:
    run.config.data.dir = data_dir
  dataset = data.load(run.config.data)
  shape = dataset.train.images.shape[1:]
  net, variables = runs.load_net(run, shape, dataset.num_classes)
  return Trained(net, variables, dataset)


def difference(
  found: Float[np.ndarray, 'n k'], wanted: Float[np.ndarray, 'n k']
) -> float:
  """Returns the largest difference of logits.

  Raises:
    RuntimeError: it is more than rounding, or changes a prediction whose lead
      is more than rounding.
  """
  allowed = TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0)))
  largest = float(np.abs(found - wanted).max(initial=0))
  second, first = np.sort(wanted, axis=-1)[:, -2:].T
  other = found.argmax(-1) != wanted.argmax(-1)
  # NaN is not at most anything.
  if not largest <= allowed or (first - second > 2 * allowed)[other].any():
    raise RuntimeError(
      f'The exported net differs from the trained one: its logits by {largest}.'
    )
  return largest
