"""Compiled programs of runs, and the state that they work on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import PyTree

from lconv_jax import augment, locality, models, runs
from lconv_jax.data import dataset as data
from lconv_jax.data import pixels
from lconv_jax.train import check, optim, parallel, precision, side_by_side
from lconv_jax.train import step as program


class Setup(NamedTuple):
  """The program of one config, and its arrays on the devices."""

  program: program.Program
  hyper: optim.Hyper
  data: program.Data
  splits: dict[str, tuple[int, int]]  # ranges of indices into the data
  net: models.Description
  origin: pixels.Order | None  # of the dataset

  def shapes(self) -> tuple[program.TrainState, dict[str, PyTree]]:
    """Returns shapes and dtypes of a run's state and best net."""
    images = parallel.shapes(self.data.images)
    state = jax.eval_shape(self.program.init, self.hyper, images)
    return state, _net(state)


def setup(config: ml_collections.ConfigDict, dataset: data.Dataset) -> Setup:
  """Puts the data on the devices, and builds the program.

  Raises:
    UsageError: the batch does not fit devices or data, or the net memory.
  """
  images = dataset.train.images
  num_train = len(images)
  num_devices = parallel.device_count()
  check.check_batch(config.train.batch_size, num_devices)
  if config.train.epochs:
    check.check_train(config.train.batch_size, num_train, config.train.epochs)
  dtype = precision.compute_dtype(config.precision)
  net = config.model, images.shape[1:], dataset.num_classes
  described = models.describe(*net)
  kernel_size, free = config.model.kernel_size, parallel.free_memory()
  check.check_size(described, kernel_size, free)
  module = models.build(
    *net, dtype, parallel.AXIS, config.train.sync_batch_norm
  )
  steps = config.train.epochs * (num_train // config.train.batch_size)
  pipeline = augment.Pipeline()
  if config.train.epochs:
    pipeline = augment.from_config(config.data, images.shape[1:])
    if config.data.leak_geometry and dataset.origin is not None:
      pipeline = pipeline.before_moving(dataset.origin)
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
  parts = dataset.splits
  ends = np.cumsum([len(part.labels) for part in parts.values()]).tolist()
  arrays = program.Data(
    np.concatenate([part.images for part in parts.values()]),
    np.concatenate([part.labels for part in parts.values()]),
    dataset.mean,
    dataset.std,
  )
  return Setup(
    built,
    optim.Hyper.from_config(config),
    parallel.replicate(arrays),
    dict(zip(parts, zip([0, *ends], ends, strict=False), strict=True)),
    described,
    dataset.origin,
  )


class Trainer:
  """Compiled functions of one run, or of several side by side, and their state.

  Lists have an element for each run.
  """

  def __init__(
    self,
    setup: Setup,
    saved: Sequence[runs.Checkpoint] = (),
    hypers: Sequence[optim.Hyper] = (),
  ) -> None:
    """Initialises the state.

    Args:
      setup: program and data of all runs.
      saved: a checkpoint of each run, all of the same step, from which to
        continue; none: the runs begin.
      hypers: hyperparameters of each run; none: one run, with those of `setup`.

    Raises:
      DoesNotFit: several runs need more memory than there is.
    """
    self.setup = setup
    lanes = side_by_side.lanes(setup.program, hypers or [setup.hyper])
    self._lanes, self.count = lanes, lanes.count
    # First, as it may tell that there is not enough memory.
    self._chunk = lanes.train_chunk(setup.data)
    self._hyper = parallel.replicate(lanes.hyper)
    self._evaluate = parallel.pmap(lanes.evaluate)
    self._nonzero = parallel.pmap(lanes.nonzero)
    self._histograms = parallel.pmap(lanes.histograms)
    self._choose = parallel.pmap(lanes.choose, donate_argnums=(2,))
    self._take = parallel.pmap(lambda x, i: jnp.take(x, i, axis=-1))
    self._copy = parallel.pmap(lambda tree: jax.tree.map(jnp.copy, tree))
    if saved:
      states, bests = (
        [getattr(c, k) for c in saved] for k in ('state', 'best')
      )
      self.state, self.best = parallel.replicate(
        (lanes.join(states), lanes.join(bests))
      )
    else:
      self.state = parallel.pmap(lanes.init)(self._hyper, setup.data.images)
      self.best = self._copy(self.net())
    self.weights = {layer.name: layer.weights for layer in setup.net.layers}

  @property
  def step(self) -> int:
    """Steps taken."""
    return int(np.ravel(parallel.unreplicate(self.state.step))[0])

  def net(self) -> dict[str, PyTree]:
    """Returns `params` and `batch_stats`, which the next chunk overwrites."""
    return _net(self.state)

  def start_from(self, net: dict[str, PyTree]) -> None:
    """Replaces the initial nets of all runs by `params` and `batch_stats`."""
    net = parallel.replicate(self._lanes.join([net] * self.count))
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
      return self._on_host(self.state.totals)

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
        for row, part in zip(rows, self._on_host(totals), strict=True):
          row |= means(name, part)
    counts = self._on_host(self._nonzero(net['params']))
    for row, count in zip(rows, counts, strict=True):
      for layer, size in self.weights.items():
        row[f'nonzero/{layer}'] = int(count[layer]) / size
    return rows

  def histograms(self) -> list[dict[str, program.Histogram]]:
    """Returns each run's histograms of weights, by layer, on the host."""
    return self._on_host(self._histograms(self.state.params))

  def learning_rates(self) -> list[float]:
    """Returns each run's learning rate at the next step."""
    schedule = optim.schedule(self.setup.program.structure)
    share = float(schedule(self.step))
    lrs = np.broadcast_to(self._lanes.hyper.lr, self.count)
    return [float(lr) * share for lr in lrs]

  def first_layer(
    self,
    net: dict[str, PyTree],
    choose: Callable[[int], np.ndarray] | None = None,
  ) -> list[np.ndarray]:
    """Returns the kernel of each run's first layer, on the host.

    The inputs of a dense layer are in the order of the original images, from
    which `data.permute` and `data.layout` have moved them.

    Args:
      net: what `self.net` returns, or `self.best`.
      choose: returns the units to fetch, given their number; None: all.
    """
    kernel = net['params'][self.setup.net.layers[0].name]['kernel']
    if choose:
      units = parallel.replicate(choose(kernel.shape[-1]))
      kernel = self._take(kernel, units)
    kernels, net = self._on_host(kernel), self.setup.net
    if self.setup.origin is None or net.layers[0].kind != 'dense':
      return kernels
    filters = [locality.from_kernel(k, net.image_shape) for k in kernels]
    placed = [pixels.put_back(f, self.setup.origin) for f in filters]
    return [f.reshape(len(f), -1).T for f in placed]

  def keep(self, better: Sequence[bool]) -> None:
    """Keeps a copy of the nets of the runs that are better than before."""
    if any(better):
      which = parallel.replicate(self._lanes.join(better))
      self.best = self._choose(which, self.net(), self.best)

  def saved(self) -> list[tuple[program.TrainState, PyTree]]:
    """Returns each run's state and best net, on the host."""
    parts = map(self._on_host, (self.state, self.best))
    return list(zip(*parts, strict=True))

  def _on_host(self, tree: PyTree) -> list[PyTree]:
    return self._lanes.split(parallel.unreplicate(tree))


def means(name: str, totals: program.Totals) -> dict[str, float]:
  """Returns loss and accuracy under `name`/."""
  count = int(totals.count)
  return {
    f'{name}/loss': float(totals.loss) / count,
    f'{name}/accuracy': int(totals.correct) / count,
  }


def _net(state: program.TrainState) -> dict[str, PyTree]:
  return {'params': state.params, 'batch_stats': state.batch_stats}
