"""The dense form of a net for ONNX runtimes: .onnx."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from lconv_jax import errors
from lconv_jax.export import torch_file
from lconv_jax.export.steps import Step

OPSET, IR_VERSION = 17, 8
INPUT, OUTPUT = 'images', 'logits'
_BATCH = 100  # images
# Of the format, with space for what is not a weight.
_MOST_BYTES = 2**31 - 2**20


def save(
  path: str | os.PathLike[str],
  steps: Sequence[Step],
  class_names: Sequence[str] = (),
) -> None:
  """Writes a net that takes uint8 images [N, H, W, C] and returns logits.

  Args:
    path: of the file.
    steps: with LOCAL layers as such, which become products of patches.
    class_names: of the logits, or (); in the model's metadata.

  Raises:
    UsageError: the net has 2 GB or more.
  """
  import onnx

  model = _model(steps, class_names)
  onnx.checker.check_model(model)
  onnx.save(model, path)


def _model(steps: Sequence[Step], class_names: Sequence[str]) -> Any:
  from onnx import TensorProto, helper

  build = _Builder(torch_file.tensors(steps))
  for i, step in enumerate(steps):
    build.add(i, step, steps)
  shape = ['N', *steps[0].shape]
  images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)
  shape = ['N', *steps[-1].shape]
  logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)
  build.node('Identity', build.values[-1], out=OUTPUT)
  graph = helper.make_graph(
    build.nodes, 'lconv_jax', [images], [logits], build.constants
  )
  opset = helper.make_opsetid('', OPSET)
  model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
  helper.set_model_props(model, {'class_names': json.dumps(list(class_names))})
  return model


class _Builder:
  """Nodes and constants of a graph; images are [N, C, H, W] in between."""

  def __init__(self, tensors: dict[str, np.ndarray]) -> None:
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > _MOST_BYTES:
      raise errors.UsageError(
        f'The net has {size:,} bytes, and .onnx files have less than 2 GB; '
        'write .safetensors or .npz.'
      )
    self.nodes: list[Any] = []
    self.constants: list[Any] = []
    self.values: list[str] = []  # of the steps so far
    self._tensors = tensors

  def node(
    self, op: str, *inputs: str, out: str = '', **attributes: Any
  ) -> str:
    """Adds a node and returns the name of its output."""
    from onnx import helper

    out = out or f'value{len(self.nodes)}'
    self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
    return out

  def constant(self, value: np.ndarray, name: str = '') -> str:
    """Adds a constant and returns its name."""
    from onnx import numpy_helper

    name = name or f'constant{len(self.constants)}'
    self.constants.append(numpy_helper.from_array(value, name))
    return name

  def add(self, i: int, step: Step, steps: Sequence[Step]) -> None:
    """Adds a step."""
    from onnx import TensorProto

    given = [self.values[j] for j in step.inputs]
    if step.op == 'image':
      x = self.node('Cast', INPUT, to=TensorProto.FLOAT)
      y = self.node('Transpose', x, perm=[0, 3, 1, 2])
    elif step.op == 'normalise':
      scale = self._tensor(step, 'scale', (-1, 1, 1))
      y = self.node('Mul', *given, scale)
      y = self.node('Add', y, self._tensor(step, 'bias', (-1, 1, 1)))
    elif step.op == 'dense':
      x = self.node('Flatten', *given, axis=1)
      weight, bias = (self._tensor(step, leaf) for leaf in ('weight', 'bias'))
      y = self.node('Gemm', x, weight, bias, transB=1)
    elif step.op == 'conv':
      weight, bias = (self._tensor(step, leaf) for leaf in ('weight', 'bias'))
      y = self.node(
        'Conv', *given, weight, bias, strides=step.window.strides,
        pads=np.transpose(step.window.padding).ravel().tolist(),
      )  # fmt: skip
    elif step.op == 'local':
      y = self._local(step, given[0], steps[step.inputs[0]].shape)
    elif step.op == 'mean':
      y = self.node('Flatten', self.node('GlobalAveragePool', *given), axis=1)
    else:
      y = self.node({'relu': 'Relu', 'add': 'Add'}[step.op], *given)
    self.values.append(y)

  def _tensor(
    self, step: Step, leaf: str, shape: tuple[int, ...] | None = None
  ) -> str:
    name = f'{step.name}.{leaf}'
    value = self._tensors[name]
    return self.constant(value if shape is None else value.reshape(shape), name)

  def _local(self, step: Step, x: str, shape: tuple[int, ...]) -> str:
    """Adds the products of all patches [in · Kh · Kw] with their weights."""
    w, (height, width, channels) = step.window, shape
    pads = np.zeros((2, 4), np.int64)
    pads[:, 2:] = np.transpose(w.padding)
    x = self.node('Pad', x, self.constant(pads.ravel()))
    height, width = (
      n + sum(p) for n, p in zip((height, width), w.padding, strict=True)
    )
    # The place, in a padded image, of each element of each patch.
    places = np.arange(channels * height * width)
    seen = np.lib.stride_tricks.sliding_window_view(
      places.reshape(channels, height, width), w.size, (1, 2)
    )[:, :: w.strides[0], :: w.strides[1]]
    seen = seen[:, : w.positions[0], : w.positions[1]]
    seen = np.moveaxis(seen, 0, 2).reshape(w.count, -1)
    x = self.node('Transpose', self.node('Flatten', x, axis=1), perm=[1, 0])
    x = self.node('Gather', x, self.constant(seen.astype(np.int32)), axis=0)
    filters = step.shape[-1]
    weight = self._tensor(step, 'weight', (w.count, filters, -1))
    y = self.node('MatMul', weight, x)  # [positions, out, N]
    y = self.node('Transpose', y, perm=[2, 1, 0])
    to = self.constant(np.int64([-1, filters, *w.positions]))
    y = self.node('Reshape', y, to)
    bias = (filters, *(w.positions if step.bias.ndim == 3 else (1, 1)))
    return self.node('Add', y, self._tensor(step, 'bias', bias))


def run(
  path: str | os.PathLike[str], images: UInt8[np.ndarray, 'n h w c']
) -> Float[np.ndarray, 'n k']:
  """Returns the logits that onnxruntime computes."""
  import onnxruntime

  session = onnxruntime.InferenceSession(
    path, providers=['CPUExecutionProvider']
  )
  pieces = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
  return np.concatenate([session.run([OUTPUT], {INPUT: p})[0] for p in pieces])
