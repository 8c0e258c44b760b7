"""S- and D-nets as one would write them in Flax and optax."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from flax import linen as nn
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, PyTree

from lconv_jax import models


class FlaxNet(nn.Module):
  """Stages with batch norm, channels last, then dense layers.

  Attributes:
    stages: with absolute channels.
    hidden: widths of the hidden fully connected layers.
    num_classes: number of logits.
    connectivity: 'conv' for `nn.Conv`, 'local' for `nn.ConvLocal`, 'fc' for
      `nn.Dense`.
    dtype: of the products.
  """

  stages: tuple[models.Stage, ...]
  hidden: tuple[int, ...]
  num_classes: int
  connectivity: str
  dtype: DTypeLike

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Returns logits of the batch, in training."""
    products = {
      'dtype': self.dtype,
      # As ours has; otherwise a GPU would compute float32 in TF32.
      'precision': jax.lax.Precision.HIGHEST
      if self.dtype == jnp.float32
      else None,
    }
    flat, dense = self.connectivity == 'fc', partial(nn.Dense, **products)
    layer = nn.Conv if self.connectivity == 'conv' else nn.ConvLocal
    layer = partial(layer, **products)
    norm = partial(
      nn.BatchNorm, use_running_average=False, momentum=0.9, dtype=jnp.float32
    )
    *spatial, _ = x.shape[1:]
    if flat:
      x = x.reshape(len(x), -1)
    for i, (size, channels, stride) in enumerate(self.stages, start=1):
      spatial = [-(-s // stride) for s in spatial]
      stage = {'use_bias': False, 'name': f'conv{i}'}
      if flat:
        x = dense(math.prod(spatial) * channels, **stage)(x)
      else:
        x = layer(channels, (size, size), stride, **stage)(x)
      x = nn.relu(norm(name=f'conv{i}_bn')(x))
    x = x.reshape(len(x), -1)
    for i, width in enumerate(self.hidden, start=1):
      x = dense(width, use_bias=False, name=f'fc{i}')(x)
      x = nn.relu(norm(name=f'fc{i}_bn')(x))
    logits = dense(self.num_classes, name=f'fc{len(self.hidden) + 1}')(x)
    return logits.astype(jnp.float32)


def learner(
  net: models.Net,
  params: PyTree,
  batch_stats: PyTree,
  optim: ml_collections.ConfigDict,
  steps: int,
) -> Callable[[ArrayLike, ArrayLike], tuple[Array, Array]]:
  """Returns a function that takes a step on a batch.

  Args:
    net: our net.
    params: of our net, where training begins.
    batch_stats: of our net.
    optim: `config.optim` of SGD.
    steps: over which the learning rate anneals.

  Returns:
    (x, labels) -> loss, number of right answers; x [B, H, W, C] is normalised.
  """
  peer = FlaxNet(
    net.stages, net.hidden, net.num_classes, net.connectivity, net.dtype
  )
  tx = optax.chain(
    optax.add_decayed_weights(
      optim.weight_decay, lambda p: jax.tree.map(lambda w: w.ndim > 1, p)
    ),
    optax.sgd(optax.cosine_decay_schedule(optim.lr, steps), optim.momentum),
  )

  @partial(jax.jit, donate_argnums=0)
  def step(
    state: tuple, x: Array, labels: Array
  ) -> tuple[tuple, tuple[Array, Array]]:
    params, batch_stats, opt_state = state

    def loss_fn(params: PyTree) -> tuple[Array, tuple[Array, PyTree]]:
      variables = {'params': params, 'batch_stats': batch_stats}
      logits, new = peer.apply(variables, x, mutable=['batch_stats'])
      loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      correct = (logits.argmax(-1) == labels).sum()
      return loss.mean(), (correct, new['batch_stats'])

    (loss, (correct, batch_stats)), grads = jax.value_and_grad(
      loss_fn, has_aux=True
    )(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    return (params, batch_stats, opt_state), (loss, correct)

  params = convert(net.stages, params)
  batch_stats = jax.tree.map(jnp.array, batch_stats)
  state = params, batch_stats, tx.init(params)

  def learn(x: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    nonlocal state
    state, metrics = step(state, x, labels)
    return metrics

  return learn


def convert(stages: Sequence[models.Stage], params: PyTree) -> dict[str, Any]:
  """Returns the parameters of our net as those of `FlaxNet`."""
  params = jax.tree.map(jnp.array, params)
  for i, _ in enumerate(stages, start=1):
    kernel = params[f'conv{i}']['kernel']
    if kernel.ndim == 4:  # [o, kh, kw, i] -> [kh, kw, i, o]
      kernel = jnp.moveaxis(kernel, 0, -1)
    elif kernel.ndim == 6:  # [y, x, o, kh, kw, i] -> [y, x, i kh kw, o]
      kernel = jnp.transpose(kernel, (0, 1, 5, 3, 4, 2))
      kernel = kernel.reshape(*kernel.shape[:2], -1, kernel.shape[-1])
    params[f'conv{i}'] = {'kernel': kernel}
  return params
