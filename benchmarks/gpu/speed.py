"""How fast nets train, how much memory they take, and what is the least.

A call is an epoch, as `train.py` asks for it: steps in one compiled loop, and
at its end what the host reads. `steps` augment, as training does by default;
`plain` do not; `epoch` also evaluates and keeps the best net.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections

from benchmarks import floor, interleave
from benchmarks.gpu import pictures
from configs import base
from lconv_jax.data import dataset as data
from lconv_jax.train import trainer

_GIB = 2**30
_SECONDS = 10.0  # that each candidate may take, in all


class Net(NamedTuple):
  """What is trained."""

  model: str  # one of `models.NETS`
  alpha: int
  choice: str  # of configs/base.py: the optimiser


class Size(NamedTuple):
  """How much of it."""

  batch: int
  images: tuple[int, int, int]  # training, validation, test
  rounds: int
  peaks: int  # see `device.peaks`


NETS = {
  's_fc_momentum': Net('s_fc', 150, 'momentum'),
  's_fc_beta_lasso': Net('s_fc', 150, 'beta_lasso'),
  's_local': Net('s_local', 150, 'momentum'),
  'd_local': Net('d_local', 15, 'momentum'),
  'd_conv': Net('d_conv', 15, 'momentum'),
  'resnet18': Net('resnet18', 64, 'momentum'),
}
FULL = Size(512, (45_000, 5_000, 10_000), 7, 8192)
QUICK = Size(16, (64, 16, 16), 3, 64)


def measure(
  net: Net,
  size: Size,
  precision: str,
  peaks: dict[str, tuple[float, float]],
) -> dict[str, Any]:
  """Measures one net; the process is its own.

  Args:
    net: what is trained.
    size: how much of it.
    precision: see configs/base.py.
    peaks: 10¹²/s and TB/s of which the floor is computed, by their source.

  Returns:
    `step_s`, `plain_step_s` and `epoch_s` and what follows from them;
    `compile_s` of the augmented steps; `memory_gib` at the peak, None where the
    device keeps no count.
  """
  dataset = pictures.dataset(*size.images)
  c = base.choose(base.base(), net.choice)
  c.model.update({'name': net.model, 'base_channels': net.alpha})
  c.train.batch_size = size.batch
  c.precision = precision
  steps, t, compile_s = _prepare(c, dataset)

  def epoch() -> None:
    steps()
    t.evaluate(t.net())
    t.keep([True])

  epoch()
  memory = jax.local_devices()[0].memory_stats() or {}
  peak = memory.get('peak_bytes_in_use')
  c.data.augment = 'none'
  plain, *_ = _prepare(c, dataset)
  calls = {'step': steps, 'plain_step': plain, 'epoch': epoch}
  found = interleave.measure(calls, size.rounds, _SECONDS)
  per_epoch = t.setup.program.steps_per_epoch
  for name in ('step', 'plain_step'):
    found[name] = found[name].divided_by(per_epoch)
  step_s, epoch_s = found['step'].median_s, found['epoch'].median_s
  return {
    **net._asdict(),
    'batch': size.batch,
    'dtype': t.setup.program.dtype.name,
    **{f'{name}_s': timing.median_s for name, timing in found.items()},
    'quartiles_s': {name: timing.quartiles_s for name, timing in found.items()},
    'steps_per_epoch': per_epoch,
    'images_per_second': size.batch / step_s,
    'augmentation_share': 1 - found['plain_step'].median_s / step_s,
    'floors': {
      name: _floor(net, size.batch, step_s, *speeds)
      for name, speeds in peaks.items()
    },
    'minutes_of_400_epochs': 400 * epoch_s / 60,
    'minutes_of_4000_epochs': 4000 * epoch_s / 60,
    'memory_gib': None if peak is None else peak / _GIB,
    'compile_s': compile_s,
  }


def _prepare(
  c: ml_collections.ConfigDict, dataset: data.Dataset
) -> tuple[Callable[[], None], trainer.Trainer, float]:
  """Returns what trains to the end of an epoch, its trainer, compile time."""
  t = trainer.Trainer(trainer.setup(c, dataset))
  per_epoch, now = t.setup.program.steps_per_epoch, 0

  def until(stop: int) -> float:
    nonlocal now
    start = time.perf_counter()
    t.train_until(stop)
    now = stop
    return time.perf_counter() - start

  compile_s = until(1) - until(2)
  return lambda: until((now // per_epoch + 1) * per_epoch), t, compile_s


def _floor(
  net: Net, batch: int, step_s: float, tflops: float, bandwidth: float
) -> dict[str, float]:
  """Returns the least that a step takes, and its share of what it took."""
  momentum = net.choice == 'momentum'
  layers = floor.layers(net.model, net.alpha, batch, momentum)
  least = floor.total([floor.seconds(x, tflops, bandwidth) for x in layers])
  seconds = {f'{name}_s': value for name, value in least._asdict().items()}
  return seconds | {'share': least.fused / step_s}


def line(row: dict[str, Any]) -> str:
  """Returns a row as a person reads it."""
  shares = ', '.join(
    f'{f["share"]:.0%} of the {name} floor' for name, f in row['floors'].items()
  )
  memory = row['memory_gib']
  return (
    f'{1e3 * row["step_s"]:.3f} ms a step, {row["images_per_second"]:,.0f} '
    f'images/s, {shares}; augmentation {row["augmentation_share"]:.0%}; '
    f'400 epochs {row["minutes_of_400_epochs"]:.1f} min, 4000 epochs '
    f'{row["minutes_of_4000_epochs"]:.0f} min; memory '
    + ('not counted' if memory is None else f'{memory:.2f} GiB')
    + f'; compiled in {row["compile_s"]:.0f} s'
  )
