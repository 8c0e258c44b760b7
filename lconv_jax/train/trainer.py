"""A run's compiled programs, and the state that they work on."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import PyTree

from lconv_jax import augment, models
from lconv_jax.data import dataset as data
from lconv_jax.runs import checkpoint, hosts
from lconv_jax.train import check, optim, parallel, precision, side_by_side
from lconv_jax.train import step as program

# Of the free memory that runs side by side may take: what XLA says is needed
# leaves out its own buffers, and evaluation.
_SHARE = 0.8


class DoesNotFit(Exception):
  """Several runs need more memory than there is."""


class Setup(NamedTuple):
  """The program of one config, and its arrays on the devices."""

  program: program.Program
  hyper: optim.Hyper
  data: program.Data
  splits: dict[str, tuple[int, int]]  # ranges of indices into the data
  layers: tuple[models.Layer, ...]  # from the image to the logits


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
  net = config.model, images.shape[1:], dataset.num_classes
  described = models.describe(*net)
  module = models.build(
    *net, dtype, parallel.AXIS, config.train.sync_batch_norm
  )
  steps = config.train.epochs * (num_train // config.train.batch_size)
  pipeline = augment.Pipeline()
  if config.train.epochs:
    pipeline = augment.from_config(config.data, images.shape[1:])
  built = program.Program(
    model=models.as_functions(module),
    structure=optim.Structure.from_config(
      config, steps, described.convolutional
    ),
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
    described.layers,
  )


class Trainer:
  """The compiled functions of runs that go in step, and their state.

  Of one run, or of several side by side. Lists have an element for each.
  """

  def __init__(
    self,
    setup: Setup,
    saved: Sequence[checkpoint.Checkpoint] = (),
    hypers: Sequence[optim.Hyper] = (),
  ) -> None:
    """Initialises the state.

    Args:
      setup: what the runs have in common.
      saved: to continue from, a checkpoint of each run, all of the same step;
        none: to begin.
      hypers: of several runs; none: one run, with those of `setup`.

    Raises:
      DoesNotFit: several runs need more memory than there is.
    """
    self.setup = setup
    self.count = max(1, len(hypers))  # of runs
    self._many = self.count > 1
    p, self._hyper = setup.program, setup.hyper
    fns = side_by_side.of_one(p)
    if self._many:
      stacked = side_by_side.stack(hypers)
      fns = side_by_side.of_many(p, stacked)
      self._hyper = parallel.replicate(stacked)
    elif hypers:
      self._hyper = parallel.replicate(hypers[0])
    self._chunk = parallel.pmap(fns.train_chunk, donate_argnums=(0,))
    if self._many:  # the first moment at which their memory is known
      self._chunk = self._fitting(fns)
    self._evaluate = parallel.pmap(fns.evaluate)
    self._nonzero = parallel.pmap(fns.nonzero)
    self._choose = parallel.pmap(fns.choose, donate_argnums=(2,))
    self._take = parallel.pmap(lambda x, i: jnp.take(x, i, axis=-1))
    self._copy = parallel.pmap(lambda tree: jax.tree.map(jnp.copy, tree))
    if saved:
      states, bests = ([c[i] for c in saved] for i in (0, 1))
      self.state, self.best = parallel.replicate(
        (self._join(states), self._join(bests))
      )
    else:
      init = parallel.pmap(fns.init)
      self.state = init(self._hyper, setup.data.images)
      self.best = self._copy(self.net())
    self.weights = {layer.name: layer.weights for layer in setup.layers}

  @property
  def step(self) -> int:
    """Steps taken."""
    return int(np.ravel(parallel.unreplicate(self.state.step))[0])

  def net(self) -> dict[str, PyTree]:
    """Returns what evaluation needs; the next chunk overwrites it."""
    return {'params': self.state.params, 'batch_stats': self.state.batch_stats}

  def start_from(self, net: dict[str, PyTree] | None) -> None:
    """Replaces the initial nets, `params` and `batch_stats` on the host.

    The first process has it, and sends it to the others.
    """
    net = net or self._split(parallel.unreplicate(self.net()))[0]
    net = hosts.arrays_from_first(net)
    net = parallel.replicate(self._join([net] * self.count))
    self.state = self.state._replace(**net)
    self.best = self._copy(self.net())

  def train_until(self, stop: int) -> list[program.Totals]:
    """Trains until step `stop` and returns the epoch's totals so far."""
    with jax.transfer_guard('disallow'):  # of what is not asked for
      self.state = self._chunk(
        self.state,
        self._hyper,
        self.setup.data,
        parallel.replicate(np.int32(stop)),
      )
      return self._split(parallel.unreplicate(self.state.totals))

  def evaluate(self, net: dict[str, PyTree]) -> list[dict[str, float]]:
    """Returns accuracy, loss and the share of non-zero weights per kernel."""
    rows = [{} for _ in range(self.count)]
    for name in ('validation', 'test'):
      start, stop = self.setup.splits[name]
      if start < stop:
        totals = self._evaluate(
          net['params'],
          net['batch_stats'],
          self.setup.data,
          *parallel.replicate((np.int32(start), np.int32(stop))),
        )
        parts = self._split(parallel.unreplicate(totals))
        for row, part in zip(rows, parts, strict=True):
          row |= means(name, part)
    counts = self._split(parallel.unreplicate(self._nonzero(net['params'])))
    for row, count in zip(rows, counts, strict=True):
      for layer, size in self.weights.items():
        row[f'nonzero/{layer}'] = int(count[layer]) / size
    return rows

  def first_layer(
    self,
    net: dict[str, PyTree],
    choose: Callable[[int], np.ndarray] | None = None,
  ) -> list[np.ndarray]:
    """Returns the kernel of each run's first layer, on the host.

    Args:
      net: what `self.net` returns, or `self.best`.
      choose: from the number of units, which of them; None: all.
    """
    kernel = net['params'][self.setup.layers[0].name]['kernel']
    if choose:
      units = parallel.replicate(choose(kernel.shape[-1]))
      kernel = self._take(kernel, units)
    return self._split(parallel.unreplicate(kernel))

  def keep(self, better: Sequence[bool]) -> None:
    """Keeps a copy of the nets of those runs that are better than before."""
    if any(better):
      which = np.array(better) if self._many else np.bool_(better[0])
      self.best = self._choose(parallel.replicate(which), self.net(), self.best)

  def saved(self) -> list[tuple[program.TrainState, PyTree]]:
    """Returns each run's state and best net, on the host."""
    state, best = (parallel.unreplicate(t) for t in (self.state, self.best))
    return list(zip(self._split(state), self._split(best), strict=True))

  def _fitting(self, fns: side_by_side.Functions) -> Callable:
    """Returns the compiled `train_chunk` of several runs, if it fits."""
    data, hyper = shapes((self.setup.data, self._hyper))
    state = jax.eval_shape(fns.init, hyper, data.images)
    stop = jax.ShapeDtypeStruct((), np.int32)
    chunk = parallel.compiled(self._chunk, (state, hyper, data, stop))
    best = (state.params, state.batch_stats)
    needed = parallel.needed_memory(chunk) + _bytes(best) - _bytes(data)
    free = parallel.free_memory()
    if needed > _SHARE * free:
      raise DoesNotFit(
        f'{self.count} runs side by side need {needed / 1e9:.1f} GB, and '
        f'{free / 1e9:.1f} GB are left.'
      )
    return chunk

  def _split(self, tree: PyTree) -> list[PyTree]:
    return side_by_side.split(tree, self.count) if self._many else [tree]

  def _join(self, trees: Sequence[PyTree]) -> PyTree:
    if not self._many:
      return trees[0]
    return side_by_side.join(self.setup.program, trees)


def like(setup: Setup) -> tuple[program.TrainState, PyTree]:
  """Returns shapes and dtypes of a run's state and best net."""
  data, hyper = shapes((setup.data, setup.hyper))
  state = jax.eval_shape(setup.program.init, hyper, data.images)
  return state, {'params': state.params, 'batch_stats': state.batch_stats}


def shapes(tree: PyTree) -> PyTree:
  """Returns shapes and dtypes on one device of replicated arrays."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree
  )


def _bytes(tree: PyTree) -> int:
  return sum(
    math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree)
  )


def means(name: str, totals: program.Totals) -> dict[str, float]:
  """Returns loss and accuracy under `name`/."""
  count = int(totals.count)
  return {
    f'{name}/loss': float(totals.loss) / count,
    f'{name}/accuracy': int(totals.correct) / count,
  }
