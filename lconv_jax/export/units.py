"""Removes units and channels that do nothing from a net."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lconv_jax.export.steps import Step

_WINDOWS = ('local', 'conv')


class _Tied(NamedTuple):
  """Steps whose outputs have the same units, and the units that are left."""

  members: frozenset[int]  # places of steps
  by_channel: bool  # whether the units are channels, at all positions alike
  keep: Bool[np.ndarray, ' units']

  def elements(self, shape: tuple[int, ...]) -> Bool[np.ndarray, ' elements']:
    """Returns which elements of an output are left."""
    if not self.by_channel:
      return self.keep
    return np.broadcast_to(self.keep, shape).ravel()

  def left(self, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of what is left of an output."""
    if self.keep.all():
      return shape
    positions = shape[:-1] if self.by_channel else ()
    return (*positions, int(self.keep.sum()))


def remove(steps: Sequence[Step]) -> tuple[Step, ...]:
  """Returns a net of the same logits without units that do nothing.

  A unit is removed if no output needs it. It is also removed if it is constant,
  as no input reaches it: its constant becomes part of the next bias. Where a
  layer with windows follows, only whole channels are removed, and only those
  that are constantly 0: zeros around an image make what such a layer makes of
  another constant depend on the position.

  Args:
    steps: of the net.
  """
  steps = tuple(steps)
  while True:
    smaller = _once(steps)
    if all(a.shape == b.shape for a, b in zip(steps, smaller, strict=True)):
      return smaller
    steps = smaller


def _once(steps: Sequence[Step]) -> tuple[Step, ...]:
  constants = _constants(steps)
  tied = {}
  for members in _tie(steps):
    found = _tied(steps, members, constants)
    tied |= dict.fromkeys(members, found)
  return tuple(
    _smaller(step, steps, i, tied, constants) for i, step in enumerate(steps)
  )


def _tie(steps: Sequence[Step]) -> set[frozenset[int]]:
  """Returns sets of steps whose outputs must keep the same units."""
  sets = {}
  for i, step in enumerate(steps):
    joined = frozenset({i})
    if step.op in ('relu', 'add', 'mean'):
      joined = joined.union(*(sets[j] for j in step.inputs))
    sets |= dict.fromkeys(joined, joined)
  return set(sets.values())


def _tied(
  steps: Sequence[Step],
  members: frozenset[int],
  constants: Sequence[Float[np.ndarray, '...']],
) -> _Tied:
  """Finds out which units of tied steps are left."""
  # Layers that read these outputs; what else does is a member itself.
  readers = [
    (step, *step.inputs)
    for step in steps
    if step.kernel is not None and members.issuperset(step.inputs)
  ]
  by_channel = any(
    step.op in (*_WINDOWS, 'mean')
    for step in (*(steps[i] for i in members), *(r for r, _ in readers))
  )
  shape = steps[max(members, key=lambda i: len(steps[i].shape))].shape
  width = shape[-1] if by_channel else int(np.prod(shape))
  keep = np.ones(width, bool)
  # Pixels and logits stay as they are.
  if 0 in members or len(steps) - 1 in members or not readers:
    return _Tied(members, by_channel, keep)
  if any(steps[i].op == 'normalise' for i in members):
    return _Tied(members, by_channel, keep)

  def of_all(elements: np.ndarray) -> Bool[np.ndarray, ' units']:
    return elements.reshape(-1, width).all(0)

  used = np.zeros(width, bool)
  constant = np.ones(width, bool)
  for i in members:
    constant &= of_all(~np.isnan(constants[i]))
  for reader, i in readers:
    used |= ~of_all(~_reads(reader))
    if reader.op in _WINDOWS:
      constant &= of_all(constants[i] == 0)
  keep = used & ~constant
  keep[0] |= not keep.any()  # an empty layer is a layer that nobody expects
  return _Tied(members, by_channel, keep)


def _reads(step: Step) -> Bool[np.ndarray, ' n']:
  """Returns which of its inputs, or input channels, a layer reads."""
  if step.op != 'dense':
    return (step.kernel != 0).reshape(-1, step.kernel.shape[-1]).any(0)
  read = np.zeros(step.kernel.shape[1], bool)
  read[step.kernel.indices[step.kernel.data != 0]] = True
  return read


def _constants(steps: Sequence[Step]) -> list[Float[np.ndarray, '...']]:
  """Returns the outputs that no pixel changes; the others are NaN."""
  found = []
  for step in steps:
    given = [found[i] for i in step.inputs]
    if step.op in ('image', 'normalise'):
      value = np.full(step.shape, np.nan)
    elif step.op == 'relu':
      value = np.maximum(given[0], 0)
    elif step.op == 'add':
      value = given[0] + given[1]
    elif step.op == 'mean':
      value = given[0].mean((0, 1))
    elif step.op == 'dense':
      x = given[0].ravel()
      varies = abs(step.kernel) @ np.isnan(x).astype(np.float32) > 0
      value = step.kernel @ np.nan_to_num(x) + step.bias
      value = np.where(varies, np.nan, value).reshape(step.shape)
    else:
      zero = (given[0] == 0).all((0, 1))
      kernel = step.kernel[..., ~zero] != 0
      axes = (*range(kernel.ndim - 4), -3, -2, -1)
      value = np.where(kernel.any(axes), np.nan, step.bias)
      value = np.broadcast_to(value, step.shape)
    found.append(value)
  return found


def _smaller(
  step: Step,
  steps: Sequence[Step],
  place: int,
  tied: dict[int, _Tied],
  constants: Sequence[Float[np.ndarray, '...']],
) -> Step:
  own = tied[place]
  changed = step._replace(shape=own.left(step.shape))
  if step.kernel is None or step.op == 'normalise':
    return changed
  (before,) = step.inputs
  if step.op == 'dense':
    shape = steps[before].shape
    kept = tied[before].elements(shape)
    if tied[before].keep.all() and own.keep.all():
      return changed
    given = constants[before].ravel()
    gone = np.where(kept, 0, np.nan_to_num(given))
    bias = step.bias + step.kernel @ gone
    rows = own.elements(step.shape)
    return changed._replace(kernel=step.kernel[rows][:, kept], bias=bias[rows])
  kernel = step.kernel[..., own.keep, :, :, :][..., tied[before].keep]
  return changed._replace(kernel=kernel, bias=step.bias[..., own.keep])
