"""A trained net as weights alone: batch norm folded, scales that are free.

A folded net has a kernel and a bias for each layer, and the mean and standard
deviation by which pixels are normalised: all that was learned from data.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, PyTree

NORMALISE = 'normalise'  # beside the layers
_EPSILON = 1e-5  # flax.linen.BatchNorm's

Folded = dict[str, dict[str, Any]]  # arrays, of NumPy or of JAX


def fold(
  params: PyTree,
  batch_stats: PyTree,
  mean: Float[np.ndarray, ' c'],
  std: Float[np.ndarray, ' c'],
) -> Folded:
  """Returns the net that computes the same in evaluation, without batch norm.

  Args:
    params: of `models.build`, arrays on the host: layers, each with its batch
      norm under the name LAYER_bn, if it has one.
    batch_stats: likewise.
    mean: of the pixels in [0, 1].
    std: likewise.

  Returns:
    {layer: {kernel, bias}}, and {mean, std} as `NORMALISE`; float32.
  """
  folded = {NORMALISE: {'mean': np.float32(mean), 'std': np.float32(std)}}
  for layer, leaves in params.items():
    if 'kernel' not in leaves:
      continue
    kernel = np.asarray(leaves['kernel'], np.float32)
    if norm := params.get(f'{layer}_bn'):
      norm = {k: np.float64(v) for k, v in norm.items()}
      stats = {k: np.float64(v) for k, v in batch_stats[f'{layer}_bn'].items()}
      scale = norm['scale'] / np.sqrt(stats['var'] + _EPSILON)
      kernel = kernel * _outputs(np.float32(scale), kernel)
      bias = norm['bias'] - stats['mean'] * scale
    else:
      bias = leaves['bias']
    folded[layer] = {'kernel': kernel, 'bias': np.asarray(bias, np.float32)}
  return folded


def unfold(folded: Folded, params: PyTree) -> tuple[PyTree, PyTree]:
  """Returns a folded net as one with batch norms that only add the bias.

  Args:
    folded: what `fold` returned, or the like.
    params: of the net it was made of, or their shapes.

  Returns:
    params, batch_stats.
  """
  new, batch_stats = {}, {}
  for layer, leaves in params.items():
    if 'kernel' not in leaves:
      continue
    new[layer] = {'kernel': folded[layer]['kernel']}
    bias = folded[layer]['bias']
    if (name := f'{layer}_bn') not in params:
      new[layer]['bias'] = bias
      continue
    ones = np.ones(bias.shape, np.float32)
    new[name] = {'scale': ones, 'bias': bias}
    variance = ones * np.float32(1 - _EPSILON)
    batch_stats[name] = {'mean': 0 * ones, 'var': variance}
  return new, batch_stats


def balance(folded: Folded, chain: Sequence[str]) -> Folded:
  """Returns a net of the same predictions whose weights are of one size.

  ReLU lets a positive factor pass, so that every channel of a hidden layer can
  be scaled if its outgoing weights are scaled back; and no factor of all logits
  changes a prediction. Here the r.m.s. of a channel's non-zero weights becomes
  1, so that all layers can share their values.

  Args:
    folded: a net.
    chain: its layers in order, each with ReLU and nothing else behind it, up to
      the last one; none: nothing is known to be free.
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
  """Takes away the weights of channels that do nothing.

  A channel without incoming weights is constant: its outgoing weights go, as
  biases can do the same. A channel without outgoing weights is of no use: its
  incoming weights go.

  Args:
    folded: a net.
    chain: as in `balance`.

  Returns:
    The net, and for each layer which output channels are left, bool [channels].
  """
  folded = {layer: dict(leaves) for layer, leaves in folded.items()}
  for before, after in itertools.pairwise(chain):
    dead = ~_incoming(folded[before]['kernel'])
    kernel = folded[after]['kernel']
    folded[after]['kernel'] = np.where(_inputs(dead, kernel), 0, kernel)
  # Whatever goes below makes nothing above it useless.
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
  if kernel.ndim == 2:  # its inputs are pixels, each with all channels
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
