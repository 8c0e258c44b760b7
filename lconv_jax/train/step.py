"""Compiled functions: the train step, chunks of steps, and evaluation.

They know the other devices only by the axis name `parallel.AXIS`. The state
after step t is a function of (config, seed, t).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Integer, PyTree, UInt8

from lconv_jax import augment, models
from lconv_jax.train import optim, parallel, precision

# Independent streams of random numbers that are folded into the run's seed.
INIT, ORDER, AUGMENT, DROPOUT = range(4)


class Totals(NamedTuple):
  """Sums over examples; divide by `count` for means."""

  loss: Float[Array, '']
  correct: Integer[Array, '']
  count: Integer[Array, '']


class TrainState(NamedTuple):
  """State that a step changes."""

  step: Integer[Array, '']  # steps taken
  params: PyTree  # float32
  batch_stats: PyTree  # float32
  opt_state: optax.OptState
  loss_scale: precision.LossScale
  totals: Totals  # of training since the epoch began


class Data(NamedTuple):
  """Images of all splits, on every device; a split is a range of indices."""

  images: UInt8[Array, 'n h w c']
  labels: Integer[Array, ' n']
  mean: Float[Array, ' c']  # of pixels in [0, 1]
  std: Float[Array, ' c']


@dataclasses.dataclass(frozen=True)
class Program:
  """Everything that is fixed when the step is compiled."""

  model: models.Model
  structure: optim.Structure
  dtype: DTypeLike  # of matrix products
  augment: augment.Pipeline
  num_train: int  # training images are data.images[:num_train]
  batch_size: int  # over all devices
  num_devices: int
  sync_batch_norm: bool = True  # else each device has statistics of its own

  @property
  def steps_per_epoch(self) -> int:
    """Full batches in an epoch; the remaining images wait for the next one."""
    return self.num_train // self.batch_size

  @property
  def local_batch_size(self) -> int:
    """Examples of a batch on one device."""
    return self.batch_size // self.num_devices

  def init(
    self, hyper: optim.Hyper, images: UInt8[Array, 'n h w c']
  ) -> TrainState:
    """Returns the state before the first step."""
    x = jnp.zeros((1, *images.shape[1:]), self.dtype)
    params, batch_stats = self.model.init(_rng(hyper, INIT), x)
    tx = optim.make(self.structure, hyper, params)
    return TrainState(
      step=jnp.int32(0),
      params=params,
      batch_stats=batch_stats,
      opt_state=tx.init(params),
      loss_scale=precision.init_loss_scale(),
      totals=_zeros(),
    )

  def train_chunk(
    self,
    state: TrainState,
    hyper: optim.Hyper,
    data: Data,
    stop: Integer[Array, ''],
  ) -> TrainState:
    """Trains until `state.step == stop`, within one epoch.

    The number of steps is data, not a shape, so that one compiled program
    serves chunks of any length.
    """
    epoch = state.step // self.steps_per_epoch
    order = jax.random.permutation(
      jax.random.fold_in(_rng(hyper, ORDER), epoch), self.num_train
    )
    device = lax.axis_index(parallel.AXIS)

    def body(state: TrainState) -> TrainState:
      position = state.step % self.steps_per_epoch
      first = position * self.batch_size + device * self.local_batch_size
      index = lax.dynamic_slice(order, (first,), (self.local_batch_size,))
      state = state._replace(
        totals=jax.tree.map(
          lambda t: jnp.where(position == 0, 0, t), state.totals
        )
      )
      return self.train_step(state, hyper, data, index)

    return lax.while_loop(lambda state: state.step < stop, body, state)

  def train_step(
    self,
    state: TrainState,
    hyper: optim.Hyper,
    data: Data,
    index: Integer[Array, ' b'],
  ) -> TrainState:
    """Takes one step on this device's share of a batch, the images at `index`.

    In float16, a step whose gradients overflow changes only the loss scale: it
    is tried again, on the same batch and with the same random numbers.
    """
    images, labels = data.images[index], data.labels[index]
    key = jax.random.fold_in(_rng(hyper, AUGMENT), state.step)
    x = self.augment(
      key, images, index, lambda images: normalise(images, data, self.dtype)
    )
    rngs = {'dropout': jax.random.fold_in(_rng(hyper, DROPOUT), state.step)}
    scaled = self.dtype == jnp.float16
    scale = state.loss_scale.scale if scaled else 1.0

    def loss_fn(params: PyTree) -> tuple[Array, tuple]:
      logits, batch_stats = self.model.apply(
        params, state.batch_stats, x, True, rngs, hyper.dropout
      )
      loss = _cross_entropy(logits, labels)
      return scale * loss.mean(), (_totals(loss, logits, labels), batch_stats)

    grads, (totals, batch_stats) = jax.grad(loss_fn, has_aux=True)(state.params)
    if self.num_devices > 1:  # or XLA's CPU backend copies them all
      grads = lax.pmean(grads, parallel.AXIS)
      if not self.sync_batch_norm:
        batch_stats = lax.pmean(batch_stats, parallel.AXIS)
    if scaled:
      grads = jax.tree.map(lambda g: g / scale, grads)
    tx = optim.make(self.structure, hyper, state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    new = state._replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=batch_stats,  # the same everywhere
      opt_state=opt_state,
      totals=jax.tree.map(
        jnp.add, state.totals, lax.psum(totals, parallel.AXIS)
      ),
    )
    if not scaled:
      return new
    finite = precision.all_finite(grads)
    # At the smallest scale the overflow is not ours: let the NaN be seen.
    accept = finite | (scale <= precision.MIN_SCALE)
    state = jax.tree.map(lambda n, o: jnp.where(accept, n, o), new, state)
    return state._replace(loss_scale=precision.adjust(new.loss_scale, finite))

  def evaluate(
    self,
    params: PyTree,
    batch_stats: PyTree,
    data: Data,
    start: Integer[Array, ''],
    stop: Integer[Array, ''],
  ) -> Totals:
    """Returns sums over `data[start:stop]`, each example counted once."""
    device = lax.axis_index(parallel.AXIS)
    steps = -(-(stop - start) // self.batch_size)

    def body(i: Array, totals: Totals) -> Totals:
      first = start + i * self.batch_size + device * self.local_batch_size
      index = first + jnp.arange(self.local_batch_size)
      batch = jnp.minimum(index, stop - 1)
      x = normalise(data.images[batch], data, self.dtype)
      logits, _ = self.model.apply(params, batch_stats, x)
      labels = data.labels[batch]
      loss = _cross_entropy(logits, labels)
      new = _totals(loss, logits, labels, counted=index < stop)
      return jax.tree.map(jnp.add, totals, new)

    return lax.psum(lax.fori_loop(0, steps, body, _zeros()), parallel.AXIS)


def nonzero(params: PyTree) -> dict[str, Integer[Array, '']]:
  """Returns the number of non-zero weights of each kernel."""
  return {k: jnp.count_nonzero(v) for k, v in models.kernels(params).items()}


class Histogram(NamedTuple):
  """Counts of the weights of a kernel in bins of equal width."""

  limit: Float[Array, '']  # the bins reach from -limit to limit
  counts: Integer[Array, ' bins']


def histograms(params: PyTree, bins: int = 31) -> dict[str, Histogram]:
  """Returns a histogram of the weights of each kernel.

  Args:
    params: of a net.
    bins: their number; if it is odd, one bin is centred at zero.
  """

  def count(kernel: Array) -> Histogram:
    limit = jnp.abs(kernel).max()
    edges = limit * (2 * jnp.arange(1, bins) / bins - 1)
    # Sums over comparisons are a few passes over the weights on every device;
    # sorting or scattering them would take far longer.
    below = [(kernel < edge).sum(dtype=jnp.int32) for edge in edges]
    ends = jnp.stack([jnp.int32(0), *below, jnp.int32(kernel.size)])
    return Histogram(limit, jnp.diff(ends))

  return {k: count(v) for k, v in models.kernels(params).items()}


def normalise(
  images: UInt8[Array, 'b h w c'], data: Data, dtype: DTypeLike
) -> Float[Array, 'b h w c']:
  """Returns images with zero mean and unit variance per channel."""
  x = images.astype(jnp.float32) / 255
  return ((x - data.mean) / data.std).astype(dtype)


def _rng(hyper: optim.Hyper, stream: int) -> Array:
  # What is drawn shall not depend on how a batch is divided, nor on a setting.
  key = jax.random.key(hyper.seed, impl='threefry2x32')
  return jax.random.fold_in(key, stream)


def _cross_entropy(
  logits: Float[Array, 'b k'], labels: Integer[Array, ' b']
) -> Float[Array, ' b']:
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def _zeros() -> Totals:
  return Totals(jnp.float32(0), jnp.int32(0), jnp.int32(0))


def _totals(
  loss: Float[Array, ' b'],
  logits: Float[Array, 'b k'],
  labels: Integer[Array, ' b'],
  counted: Array | bool = True,
) -> Totals:
  counted = jnp.broadcast_to(counted, loss.shape)
  correct = counted & (logits.argmax(-1) == labels)
  return Totals(
    jnp.where(counted, loss, 0).sum(),
    correct.sum(dtype=jnp.int32),
    counted.sum(dtype=jnp.int32),
  )
