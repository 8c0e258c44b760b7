"""The dense form of a net in PyTorch's layout: .safetensors."""

import json
import os
from collections.abc import Sequence

import numpy as np

from lconv_jax.export.steps import Step


def tensors(steps: Sequence[Step]) -> dict[str, np.ndarray]:
  """Returns weights and biases by name, as PyTorch's layers have them.

  A convolution has a weight [out, in, Kh, Kw], a LOCAL layer [Ho, Wo, out, in,
  Kh, Kw], and its bias may be [out, Ho, Wo]. A dense layer has [out, in], with
  inputs that have a place in an image in the order C, H, W. Images are
  multiplied by `normalise.scale`, and `normalise.bias` is added, where the net
  begins with that.

  Args:
    steps: with LOCAL layers as such.
  """
  result = {}
  for step in steps:
    if step.kernel is None:
      continue
    kernel, bias = step.kernel, np.float32(step.bias)
    if step.op == 'normalise':
      result[f'{step.name}.scale'] = np.float32(kernel)
    else:
      if step.op == 'dense':
        order = _channels_first(steps[step.inputs[0]].shape)
        kernel = kernel.toarray()[:, order]
      else:
        kernel = np.moveaxis(kernel, -1, -3)
      result[f'{step.name}.weight'] = np.ascontiguousarray(kernel)
    if bias.ndim == 3:
      bias = np.ascontiguousarray(np.moveaxis(bias, -1, 0))
    result[f'{step.name}.bias'] = bias
  return result


def save(
  path: str | os.PathLike[str],
  steps: Sequence[Step],
  class_names: Sequence[str] = (),
) -> None:
  """Writes a net's tensors, and as metadata its steps and names of classes."""
  from safetensors.numpy import save_file

  metadata = {
    'format': 'pt',
    'steps': json.dumps([step.described for step in steps]),
    'class_names': json.dumps(list(class_names)),
  }
  save_file(tensors(steps), path, metadata)


def _channels_first(shape: tuple[int, ...]) -> np.ndarray:
  """Returns where elements in the order C, H, W are in the order H, W, C."""
  order = np.arange(np.prod(shape)).reshape(shape)
  return np.moveaxis(order, -1, 0).ravel()
