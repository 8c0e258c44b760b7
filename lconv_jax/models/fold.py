"""Folded nets: trained nets whose batch norm is part of their weights.

A folded net has a kernel and a bias for each layer, and the mean and standard
deviation by which pixels are normalised: all that was learned from data.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, PyTree

from lconv_jax import errors
from lconv_jax.models.description import Description
from lconv_jax.models.layers import EPSILON

NORMALISE = 'normalise'  # beside the layers

Folded = dict[str, dict[str, Any]]  # arrays, of NumPy or of JAX


def fold(
  net: Description,
  params: PyTree,
  batch_stats: PyTree,
  mean: Float[np.ndarray, ' c'],
  std: Float[np.ndarray, ' c'],
) -> Folded:
  """Returns the net that computes the same in evaluation, without batch norm.

  Args:
    net: says which batch norm follows which layer.
    params: of the net, arrays on the host.
    batch_stats: of the net, arrays on the host.
    mean: of the pixels in [0, 1].
    std: of the pixels in [0, 1].

  Returns:
    {layer: {kernel, bias}}, and {mean, std} as `NORMALISE`; float32.

  Raises:
    UsageError: a layer has neither batch norm nor a bias.
  """
  folded = {NORMALISE: {'mean': np.float32(mean), 'std': np.float32(std)}}
  for layer in net.layers:
    kernel = np.asarray(params[layer.name]['kernel'], np.float32)
    if layer.norm:
      norm = {k: np.float64(v) for k, v in params[layer.norm].items()}
      stats = {k: np.float64(v) for k, v in batch_stats[layer.norm].items()}
      scale = norm['scale'] / np.sqrt(stats['var'] + EPSILON)
      kernel = kernel * _outputs(np.float32(scale), kernel)
      bias = norm['bias'] - stats['mean'] * scale
    elif (bias := params[layer.name].get('bias')) is None:
      raise errors.UsageError(
        f'The layer {layer.name} cannot be folded, as it has neither batch '
        'norm nor a bias; give it either.'
      )
    bias = np.asarray(bias, np.float32)
    folded[layer.name] = {'kernel': kernel, 'bias': bias}
  return folded


def unfold(net: Description, folded: Folded) -> tuple[PyTree, PyTree]:
  """Returns a folded net as one with batch norms that only add the bias.

  Args:
    net: the net that was folded.
    folded: what `fold` returned, or a net of the same shapes.

  Returns:
    params, batch_stats.
  """
  params, batch_stats = {}, {}
  for layer in net.layers:
    kernel, bias = folded[layer.name]['kernel'], folded[layer.name]['bias']
    params[layer.name] = {'kernel': kernel}
    if not layer.norm:
      params[layer.name]['bias'] = bias
      continue
    ones = np.ones(bias.shape, np.float32)
    params[layer.norm] = {'scale': ones, 'bias': bias}
    variance = ones * np.float32(1 - EPSILON)
    batch_stats[layer.norm] = {'mean': 0 * ones, 'var': variance}
  return params, batch_stats


def balance(folded: Folded, chain: Sequence[str]) -> Folded:
  """Returns a net of the same predictions whose weights have the same scale.

  As ReLU commutes with a positive factor, a channel of a hidden layer can be
  scaled if its outgoing weights are scaled back; and a factor of all logits
  does not change predictions. Here the r.m.s. of a channel's non-zero weights
  becomes 1, so that all layers can share their values.

  Args:
    folded: a net.
    chain: its layers in order, if each sees the one before it through ReLU
      alone. Otherwise (), and nothing is scaled.
  """
  folded = {layer: dict(leaves) for layer, leaves in folded.items()}
  for i, layer in enumerate(chain):
    kernel, bias = folded[layer]['kernel'], folded[layer]['bias']
    axes = tuple(a for a in range(kernel.ndim) if a != _channel_axis(kernel))
    if i == len(chain) - 1:
      axes = None  # of all logits together
    nonzero = np.count_nonzero(kernel, axis=axes)
    square = np.square(kernel, dtype=np.float64).sum(axis=axes)
    rms = np.sqrt(square / np.maximum(nonzero, 1))
    rms = np.where(rms > 0, rms, 1).astype(np.float32)
    if i == len(chain) - 1:
      folded[layer] = {'kernel': kernel / rms, 'bias': bias / rms}
    else:
      folded[layer] = {
        'kernel': kernel / _outputs(rms, kernel),
        'bias': bias / rms,
      }
      after = folded[chain[i + 1]]
      after['kernel'] = after['kernel'] * _inputs(rms, after['kernel'])
  return folded


def without_dead(
  folded: Folded, chain: Sequence[str]
) -> tuple[Folded, dict[str, np.ndarray]]:
  """Removes the weights of channels that do nothing.

  A channel without incoming weights is constant: its outgoing weights are
  removed, as biases can replace them. A channel without outgoing weights is
  useless: its incoming weights are removed.

  Args:
    folded: a net.
    chain: as in `balance`.

  Returns:
    The net, and for each layer the output channels that are left, as bool
    [channels].
  """
  folded = {layer: dict(leaves) for layer, leaves in folded.items()}
  for before, after in itertools.pairwise(chain):
    dead = ~_incoming(folded[before]['kernel'])
    kernel = folded[after]['kernel']
    folded[after]['kernel'] = np.where(_inputs(dead, kernel), 0, kernel)
  # Backwards, as removing a layer's weights can only make channels before it
  # useless.
  for before, after in reversed(list(itertools.pairwise(chain))):
    kernel = folded[before]['kernel']
    channels = kernel.shape[_channel_axis(kernel)]
    used = _outgoing(folded[after]['kernel'], channels)
    folded[before]['kernel'] = np.where(_outputs(used, kernel), kernel, 0)
  left = {
    layer: _incoming(leaves['kernel'])
    for layer, leaves in folded.items()
    if layer in chain[:-1]
  }
  return folded, left


def _channel_axis(kernel: np.ndarray) -> int:
  """Returns the axis of output channels.

  Kernels are [in, out] of dense layers, [Cout, Kh, Kw, Cin] of convolutions and
  [Ho, Wo, Cout, Kh, Kw, Cin] of locally connected layers.
  """
  return 1 if kernel.ndim == 2 else kernel.ndim - 4


def _outputs(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
  """Returns values per output channel, or unit, in the kernel's axes."""
  return values if kernel.ndim == 2 else values[..., None, None, None]


def _inputs(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
  """Returns values per input channel in the kernel's axes."""
  if kernel.ndim == 2:  # inputs are pixels, each with all channels
    return np.tile(values, kernel.shape[0] // len(values))[:, None]
  return values


def _incoming(kernel: np.ndarray) -> Bool[np.ndarray, ' channels']:
  axes = tuple(a for a in range(kernel.ndim) if a != _channel_axis(kernel))
  return (kernel != 0).any(axis=axes)


def _outgoing(
  kernel: np.ndarray, channels: int
) -> Bool[np.ndarray, ' channels']:
  """Returns which input channels have a weight in a kernel."""
  if kernel.ndim == 2:
    return (kernel != 0).reshape(-1, channels, kernel.shape[1]).any((0, 2))
  return (kernel != 0).reshape(-1, channels).any(0)
