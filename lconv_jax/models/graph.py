"""Graph of a net: what happens between its layers, found by tracing it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.extend import core
from jaxtyping import Int

from lconv_jax import errors
from lconv_jax.models import layers
from lconv_jax.models.description import Description, Layer


class Node(NamedTuple):
  """Step of the computation of logits; the last one of a graph returns them."""

  op: str  # image | layer (with its batch norm) | relu | add | mean (of pixels)
  inputs: tuple[int, ...]  # places of other nodes in the graph
  shape: tuple[int, ...]  # of the output for a single image
  layer: Layer | None = None  # of the op `layer`


class _Value(NamedTuple):
  """Array in the traced computation of a batch of two images."""

  node: int
  # Which element of the node each element of the array is, images in order.
  index: Int[np.ndarray, '...']
  # What has to come next: '', 'norm', or a number of pixels to divide by.
  pending: str | int = ''


# Stand for layers and batch norms while a net is traced.
_LAYER = core.Primitive('layer')
_LAYER.def_abstract_eval(
  lambda x, *, name, shape: jax.core.ShapedArray(shape, jnp.float32)
)
_NORM = core.Primitive('norm')
_NORM.def_abstract_eval(lambda x: x)
_SAME = ('convert_element_type', 'copy', 'stop_gradient')
_SHAPES = ('transpose', 'reshape', 'squeeze', 'broadcast_in_dim')
_BATCH = 2


def graph(net: Description) -> tuple[Node, ...]:
  """Returns how a net computes logits from images, as nodes in order.

  Raises:
    UsageError: something else than ReLU, sums, means over pixels and changes of
      shape happens between the layers.
  """
  by_name = {layer.name: layer for layer in net.layers}

  def replace(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    made = context.module
    if context.method_name == '__call__':
      if isinstance(made, nn.BatchNorm):
        return _NORM.bind(args[0])
      if isinstance(made, layers.Conv | layers.Dense):
        shape = by_name[made.name].outputs
        dense = isinstance(made, layers.Dense)  # the batch comes first
        shape = (_BATCH, *shape) if dense else (*shape, _BATCH)
        return _LAYER.bind(args[0], name=made.name, shape=shape)
    return call(*args, **kwargs)

  images = jax.ShapeDtypeStruct((_BATCH, *net.image_shape), jnp.float32)
  with nn.intercept_methods(replace):
    traced = jax.make_jaxpr(net.module.apply)(net.shapes, images)
  tracer = _Tracer(net, by_name)
  nothing = [None] * (len(traced.jaxpr.invars) - 1)  # the parameters
  found = tracer.run(traced, [*nothing, tracer.image()])
  logits = tracer.expect(found[0], (net.num_classes,))
  if logits != len(tracer.nodes) - 1:
    raise tracer.cannot('its logits are not computed last')
  return tuple(tracer.nodes)


class _Tracer:
  """Reads a jaxpr and collects the nodes that it is made of."""

  def __init__(self, net: Description, by_name: dict[str, Layer]) -> None:
    self.nodes: list[Node] = []
    self._title, self._layers = net.architecture.title, by_name
    self._shape = net.image_shape

  def image(self) -> _Value:
    return self._add(Node('image', (), self._shape), _index(self._shape))

  def run(
    self, closed: core.ClosedJaxpr, args: Sequence[Any]
  ) -> list[_Value | float | None]:
    """Returns the results of a jaxpr; None stands for a parameter."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known |= zip(jaxpr.invars, args, strict=True)

    def read(var: Any) -> Any:
      return var.val if isinstance(var, core.Literal) else known[var]

    for eqn in jaxpr.eqns:
      values = [read(var) for var in eqn.invars]
      inner = eqn.params.get('jaxpr') or eqn.params.get('call_jaxpr')
      results = self.run(inner, values) if inner else [self._read(eqn, values)]
      known |= zip(eqn.outvars, results, strict=True)
    return [read(var) for var in jaxpr.outvars]

  def expect(
    self, value: Any, shape: tuple[int, ...], batch_last: bool = False
  ) -> int:
    """Returns the node of a value that must hold all of it in order."""
    wanted = _index(shape, batch_last)
    whole = isinstance(value, _Value) and not value.pending
    if not whole or not np.array_equal(value.index, wanted):
      raise self.cannot('it reorders the outputs of a layer')
    return value.node

  def cannot(self, why: str) -> errors.UsageError:
    return errors.UsageError(
      f'{self._title} cannot be exported, as {why}; between layers there may '
      'be ReLU, sums, means over pixels and changes of shape.'
    )

  def _read(self, eqn: Any, values: list[Any]) -> Any:
    op, first = eqn.primitive.name, values[0] if values else None
    if not isinstance(first, _Value):
      raise self.cannot(f'it computes {op!r}')
    if op == 'norm' and first.pending == 'norm':
      return first._replace(pending='')
    if op == 'div' and np.ndim(values[1]) == 0 and values[1] == first.pending:
      return first._replace(pending='')
    pending = [v.pending for v in values if isinstance(v, _Value)]
    if 'norm' in pending:
      raise self.cannot('it uses an output of a layer without its batch norm')
    if any(pending):
      raise self.cannot('it computes a sum over pixels')
    if op in _SAME:
      return first
    if op in _SHAPES:
      index = np.asarray(eqn.primitive.bind(first.index, **eqn.params))
      return first._replace(index=index)
    if op == 'layer':
      return self._layer(self._layers[eqn.params['name']], first)
    shape = self.nodes[first.node].shape
    if op == 'max' and np.ndim(values[1]) == 0 and values[1] == 0:
      return self._add(Node('relu', (first.node,), shape), first.index)
    if op == 'add' and isinstance(second := values[1], _Value):
      if np.array_equal(first.index, second.index):
        inputs = first.node, second.node
        return self._add(Node('add', inputs, shape), first.index)
    if op == 'reduce_sum' and len(shape) == 3:
      axes = tuple(eqn.params['axes'])
      batch_last = axes == (0, 1)
      if batch_last or axes == (1, 2):
        mean = Node('mean', (self.expect(first, shape, batch_last),), shape[2:])
        value = self._add(mean, _index(mean.shape, batch_last))
        return value._replace(pending=math.prod(shape[:2]))
    raise self.cannot(f'it computes {op!r}')

  def _layer(self, layer: Layer, value: _Value) -> _Value:
    if any(node.layer == layer for node in self.nodes):
      raise self.cannot(f'it uses the layer {layer.name} twice')
    batch_last = layer.kind != 'dense'
    inputs = (self.expect(value, layer.inputs, batch_last),)
    node = Node('layer', inputs, layer.outputs, layer)
    made = self._add(node, _index(layer.outputs, batch_last))
    return made._replace(pending='norm' if layer.norm else '')

  def _add(self, node: Node, index: np.ndarray) -> _Value:
    self.nodes.append(node)
    return _Value(len(self.nodes) - 1, index)


def _index(shape: tuple[int, ...], batch_last: bool = False) -> np.ndarray:
  index = np.arange(_BATCH * math.prod(shape)).reshape(_BATCH, *shape)
  return np.moveaxis(index, 0, -1) if batch_last else index
