"""A run's compiled programs, and the state that they work on."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import PyTree

from lconv_jax import (
  augment,
  check,
  checkpoint,
  data,
  hosts,
  models,
  optim,
  parallel,
  precision,
  program,
)


class Setup(NamedTuple):
  """The program of one config, and its arrays on the devices."""

  program: program.Program
  hyper: optim.Hyper
  data: program.Data
  splits: dict[str, tuple[int, int]]  # ranges of indices into the data


def setup(config: ml_collections.ConfigDict, dataset: data.Dataset) -> Setup:
  """Puts data and hyperparameters on the devices, and builds the program.

  Raises:
    UsageError: the batch does not fit devices or data.
  """
  images = dataset.train.images
  num_train = len(images)
  num_devices = parallel.device_count()
  check.check_batch(config.train.batch_size, num_devices)
  if config.train.epochs:
    check.check_train(config.train.batch_size, num_train)
  dtype = precision.compute_dtype(config.precision)
  module = models.build(
    config.model,
    images.shape[1:],
    dataset.num_classes,
    dtype,
    parallel.AXIS,
    config.train.sync_batch_norm,
  )
  steps = config.train.epochs * (num_train // config.train.batch_size)
  pipeline = augment.Pipeline()
  if config.train.epochs:
    pipeline = augment.from_config(config.data, images.shape[1:])
  built = program.Program(
    model=models.as_functions(module),
    structure=optim.Structure.from_config(config, steps),
    dtype=dtype,
    augment=pipeline,
    num_train=num_train,
    batch_size=config.train.batch_size,
    num_devices=num_devices,
    sync_batch_norm=config.train.sync_batch_norm,
  )
  parts = {s: getattr(dataset, s) for s in ('train', 'validation', 'test')}
  ends = np.cumsum([len(part.labels) for part in parts.values()]).tolist()
  normalise = config.data.normalise
  arrays = program.Data(
    np.concatenate([part.images for part in parts.values()]),
    np.concatenate([part.labels for part in parts.values()]),
    dataset.mean if normalise else np.zeros_like(dataset.mean),
    dataset.std if normalise else np.ones_like(dataset.std),
  )
  return Setup(
    built,
    parallel.replicate(optim.Hyper.from_config(config)),
    parallel.replicate(arrays),
    dict(zip(parts, zip([0, *ends], ends, strict=False), strict=True)),
  )


class Trainer:
  """The compiled functions of a run and the state that they work on."""

  def __init__(self, setup: Setup) -> None:
    """Initialises the state; compiles nothing else yet."""
    self.setup = setup
    self._chunk = parallel.pmap(setup.program.train_chunk, donate_argnums=(0,))
    self._evaluate = parallel.pmap(setup.program.evaluate)
    self._nonzero = parallel.pmap(program.nonzero)
    self._copy = parallel.pmap(lambda tree: jax.tree.map(jnp.copy, tree))
    self.state = parallel.pmap(setup.program.init)(
      setup.hyper, setup.data.images
    )
    self.best = self._copy(self.net())
    self.best_row = {}
    kernels = models.kernels(self.state.params)
    self.weights = {k: math.prod(v.shape[1:]) for k, v in kernels.items()}

  @property
  def step(self) -> int:
    """Steps taken."""
    return int(parallel.unreplicate(self.state.step))

  def net(self) -> dict[str, PyTree]:
    """Returns what evaluation needs; the next chunk overwrites it."""
    return {'params': self.state.params, 'batch_stats': self.state.batch_stats}

  def start_from(self, net: dict[str, PyTree] | None) -> None:
    """Replaces the initial net, `params` and `batch_stats` on the host.

    The first process has it, and sends it to the others.
    """
    net = hosts.arrays_from_first(net or parallel.unreplicate(self.net()))
    self.state = self.state._replace(**parallel.replicate(net))
    self.best = self._copy(self.net())

  def train_until(self, stop: int) -> program.Totals:
    """Trains until step `stop` and returns the epoch's totals so far."""
    with jax.transfer_guard('disallow'):  # of what is not asked for
      self.state = self._chunk(
        self.state,
        self.setup.hyper,
        self.setup.data,
        parallel.replicate(np.int32(stop)),
      )
      return parallel.unreplicate(self.state.totals)

  def evaluate(self, net: dict[str, PyTree]) -> dict[str, float]:
    """Returns accuracy, loss and the share of non-zero weights per kernel."""
    row = {}
    for name in ('validation', 'test'):
      start, stop = self.setup.splits[name]
      if start < stop:
        totals = self._evaluate(
          net['params'],
          net['batch_stats'],
          self.setup.data,
          *parallel.replicate((np.int32(start), np.int32(stop))),
        )
        row |= means(name, parallel.unreplicate(totals))
    counts = parallel.unreplicate(self._nonzero(net['params']))
    for layer, size in self.weights.items():
      row[f'nonzero/{layer}'] = int(counts[layer]) / size
    return row

  def keep_if_best(self, row: dict[str, Any]) -> None:
    """Keeps a copy of the net if no epoch before had a better validation.

    Without a validation part the latest net is kept: nothing may be chosen by
    its test accuracy.
    """
    score = 'validation/accuracy'
    if row.get(score, 0.0) >= self.best_row.get(score, 0.0):
      self.best, self.best_row = self._copy(self.net()), row

  def save(self, checkpoints: checkpoint.Checkpoints | None) -> None:
    """Saves the state and the best net so far; the first process does."""
    with hosts.together():
      if checkpoints:
        checkpoints.save(
          self.step,
          checkpoint.Checkpoint(
            parallel.unreplicate(self.state),
            parallel.unreplicate(self.best),
            self.best_row,
          ),
        )

  def restore(self, checkpoints: checkpoint.Checkpoints | None) -> bool:
    """Continues from the newest checkpoint; returns whether there was one.

    The first process has the checkpoints, and sends the others what it reads.
    """
    like = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype),
      (self.state, self.best),
    )
    with hosts.together():
      saved = checkpoints.restore(*like) if checkpoints else None
    if not hosts.from_first(saved is not None):
      return False
    if saved is None:
      saved = checkpoint.Checkpoint(*_zeros(like), {})
    state, best = hosts.arrays_from_first((saved.state, saved.best))
    self.state, self.best = parallel.replicate((state, best))
    self.best_row = hosts.from_first(saved.best_row)
    return True


def _zeros(tree: PyTree) -> PyTree:
  return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), tree)


def means(name: str, totals: program.Totals) -> dict[str, float]:
  """Returns loss and accuracy under `name`/."""
  count = int(totals.count)
  return {
    f'{name}/loss': float(totals.loss) / count,
    f'{name}/accuracy': int(totals.correct) / count,
  }
