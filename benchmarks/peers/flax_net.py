"""The S- and D-nets as one would write them in Flax and optax."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, PyTree

from lconv_jax import models


class FlaxNet(nn.Module):
  """`nn.Conv` or `nn.ConvLocal` and batch norm, channels last, then dense.

  Attributes:
    stages: with absolute channels.
    hidden: widths of the hidden fully connected layers.
    num_classes: number of logits.
    shared: `nn.Conv` rather than `nn.ConvLocal`.
    dtype: of the products.
  """

  stages: tuple[models.Stage, ...]
  hidden: tuple[int, ...]
  num_classes: int
  shared: bool
  dtype: DTypeLike

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Returns logits of the batch, in training."""
    products = {
      'dtype': self.dtype,
      # As ours are: or a GPU would do float32 in TF32.
      'precision': jax.lax.Precision.HIGHEST
      if self.dtype == jnp.float32
      else None,
    }
    layer = nn.Conv if self.shared else nn.ConvLocal
    layer, dense = partial(layer, **products), partial(nn.Dense, **products)
    norm = partial(
      nn.BatchNorm, use_running_average=False, momentum=0.9, dtype=jnp.float32
    )
    for i, (size, channels, stride) in enumerate(self.stages, start=1):
      x = layer(
        channels, (size, size), stride, use_bias=False, name=f'conv{i}'
      )(x)
      x = nn.relu(norm(name=f'conv{i}_bn')(x))
    x = x.reshape(len(x), -1)
    for i, width in enumerate(self.hidden, start=1):
      x = dense(width, use_bias=False, name=f'fc{i}')(x)
      x = nn.relu(norm(name=f'fc{i}_bn')(x))
    logits = dense(self.num_classes, name=f'fc{len(self.hidden) + 1}')(x)
    return logits.astype(jnp.float32)


def trainer(
  net: models.Net,
  params: PyTree,
  batch_stats: PyTree,
  optim: ml_collections.ConfigDict,
  steps: int,
  x: np.ndarray,
  labels: np.ndarray,
) -> Callable[[int], float]:
  """Returns a function that takes steps on one batch, and the last one's loss.

  Args:
    net: the same net of ours.
    params: of ours, where to begin.
    batch_stats: likewise.
    optim: `config.optim` of SGD.
    steps: over which the learning rate anneals.
    x: [B, H, W, C], normalised.
    labels: [B].
  """
  peer = FlaxNet(
    net.stages,
    net.hidden,
    net.num_classes,
    net.connectivity == 'conv',
    net.dtype,
  )
  tx = optax.chain(
    optax.add_decayed_weights(
      optim.weight_decay, lambda p: jax.tree.map(lambda w: w.ndim > 1, p)
    ),
    optax.sgd(optax.cosine_decay_schedule(optim.lr, steps), optim.momentum),
  )

  @partial(jax.jit, donate_argnums=0)
  def step(state: tuple, x: Array, labels: Array) -> tuple[tuple, Array]:
    params, batch_stats, opt_state = state

    def loss_fn(params: PyTree) -> tuple[Array, PyTree]:
      variables = {'params': params, 'batch_stats': batch_stats}
      logits, new = peer.apply(variables, x, mutable=['batch_stats'])
      loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return loss.mean(), new['batch_stats']

    (loss, batch_stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(
      params
    )
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), batch_stats, opt_state), loss

  params = convert(net.stages, params)
  batch_stats = jax.tree.map(jnp.array, batch_stats)
  state = params, batch_stats, tx.init(params)
  x, labels = jnp.asarray(x), jnp.asarray(labels)

  def train(count: int) -> float:
    nonlocal state
    for _ in range(count):
      state, loss = step(state, x, labels)
    return float(loss)

  return train


def convert(stages: Sequence[models.Stage], params: PyTree) -> dict[str, Any]:
  """Returns the parameters of our net as those of `FlaxNet`."""
  params = jax.tree.map(jnp.array, params)
  for i, _ in enumerate(stages, start=1):
    kernel = params[f'conv{i}']['kernel']
    if kernel.ndim == 4:  # [o, kh, kw, i] -> [kh, kw, i, o]
      kernel = jnp.moveaxis(kernel, 0, -1)
    else:  # [y, x, o, kh, kw, i] -> [y, x, i kh kw, o]
      kernel = jnp.transpose(kernel, (0, 1, 5, 3, 4, 2))
      kernel = kernel.reshape(*kernel.shape[:2], -1, kernel.shape[-1])
    params[f'conv{i}'] = {'kernel': kernel}
  return params
