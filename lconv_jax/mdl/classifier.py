"""Classifier: a run's net as a map from pixels to labels, with any weights."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Integer, UInt8

from lconv_jax import data, models, runs
from lconv_jax.models import fold

_BATCH = 1000  # images


def from_run(
  path: str | pathlib.Path, data_dir: str = ''
) -> tuple['Classifier', fold.Folded, data.Dataset]:
  """Returns a run's classifier, its best net, folded, and its data set.

  Args:
    path: a run folder.
    data_dir: where the data set is now; '': where it was in training.

  Raises:
    UsageError: the net cannot be read, or the data set is missing or another
      one than in training.
  """
  run = runs.read(path)
  if data_dir:
    run.config.data.dir = data_dir
  dataset = data.load(run.config.data)
  runs.inputs.check(run.path, runs.inputs.of(dataset.splits))
  shape = dataset.train.images.shape[1:]
  net, variables = runs.load_net(run, shape, dataset.num_classes)
  folded = fold.fold(net, **variables, mean=dataset.mean, std=dataset.std)
  return Classifier(net), folded, dataset


class Classifier:
  """Predictions of folded nets (see `models.fold`), in float32."""

  def __init__(self, net: models.Description) -> None:
    """Compiles the predictions of a net, with weights as an argument."""
    self._net = net
    self.chain = net.chain  # see `fold.balance`

    @jax.jit
    def predict(
      folded: fold.Folded, images: UInt8[Array, 'b h w c']
    ) -> Integer[Array, ' b']:
      return self._logits(folded, images).argmax(-1)

    self._predict = predict

  def predict(
    self, folded: fold.Folded, images: UInt8[np.ndarray, 'n h w c']
  ) -> Integer[np.ndarray, ' n']:
    """Returns the labels that a net gives to images."""
    folded = jax.device_put(folded)
    return np.concatenate(
      [
        self._predict(folded, images[i : i + _BATCH])
        for i in range(0, len(images), _BATCH)
      ]
    )

  def error(self, folded: fold.Folded, split: data.Split) -> float:
    """Returns the share of images to which a net gives a wrong label."""
    return float(np.mean(self.predict(folded, split.images) != split.labels))

  def corrected(
    self,
    folded: fold.Folded,
    means: dict[str, np.ndarray],
    images: UInt8[np.ndarray, 'n h w c'],
    change: Callable[[str, np.ndarray], np.ndarray],
  ) -> fold.Folded:
    """Returns a net whose biases give its layers' outputs the given means.

    The biases are chosen in one pass, from the first layer to the last.

    Args:
      folded: its biases do not matter.
      means: of the outputs, by layer, in the shapes of the biases.
      images: over which the mean is taken.
      change: applied to a layer's name and bias before the bias is used.
    """
    folded = {layer: dict(leaves) for layer, leaves in folded.items()}

    def visit(layer: str, mean: np.ndarray) -> np.ndarray:
      bias = change(layer, means[layer] - mean)
      folded[layer]['bias'] = bias
      return bias

    self._walk(folded, images, visit)
    return folded

  def means(
    self, folded: fold.Folded, images: UInt8[np.ndarray, 'n h w c']
  ) -> dict[str, np.ndarray]:
    """Returns the mean output of each layer, in the shapes of the biases."""
    means = {}

    def visit(layer: str, mean: np.ndarray) -> np.ndarray:
      bias = folded[layer]['bias']
      means[layer] = mean + bias
      return bias

    self._walk(folded, images, visit)
    return means

  def _walk(
    self,
    folded: fold.Folded,
    images: UInt8[np.ndarray, 'n h w c'],
    visit: Callable[[str, np.ndarray], np.ndarray],
  ) -> None:
    """Calls `visit` with each layer's mean output, and adds what it returns."""
    # A layer ends with its batch norm, where the bias is added.
    ends = {layer.norm or layer.name: layer.name for layer in self._net.layers}
    bare = {layer: dict(leaves) for layer, leaves in folded.items()}
    for layer in ends.values():
      bare[layer]['bias'] = np.zeros_like(folded[layer]['bias'])

    def add_bias(
      call: Callable[..., jax.Array],
      args: tuple,
      kwargs: dict[str, Any],
      context: nn.module.InterceptorContext,
    ) -> jax.Array:
      y = call(*args, **kwargs)
      layer = ends.get(context.module.name)
      if not layer or context.method_name != '__call__':
        return y
      if y.ndim == 2:  # dense layers have the batch first
        return y + visit(layer, np.asarray(y.mean(0)))
      # Convolutions have the batch last, and maybe one bias for all positions.
      axes = (0, 1, 3) if bare[layer]['bias'].ndim == 1 else 3
      return y + visit(layer, np.asarray(y.mean(axes)))[..., None]

    with nn.intercept_methods(add_bias):
      self._logits(*jax.device_put((bare, images)))

  def _logits(
    self, folded: fold.Folded, images: UInt8[Array, 'b h w c']
  ) -> Float[Array, 'b k']:
    params, batch_stats = fold.unfold(self._net, folded)
    pixels = folded[fold.NORMALISE]
    x = (jnp.float32(images) / 255 - pixels['mean']) / pixels['std']
    variables = {'params': params, 'batch_stats': batch_stats}
    return self._net.module.apply(variables, x)
