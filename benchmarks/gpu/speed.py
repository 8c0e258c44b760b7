"""Times how fast nets train, and the least that they could take; and memory.

A call is an epoch, as main.py asks for it: steps in one compiled loop, after
which the host reads the metrics. `step` augments, as training does by default;
`plain_step` does not; `epoch` also evaluates and keeps the best net.
"""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from benchmarks import floor, interleave, pictures
from benchmarks.gpu import training
from configs import base
from lconv_jax import data
from lconv_jax.train import trainer

_GIB = 2**30
_SECONDS = 10.0  # that each candidate may take, in all
# Goals: a step reaches so much of the floor that the device's own products and
# copies make, and augmentation takes no more of a step than this.
_SHARE = 0.7
_AUGMENTATION = 0.1


class Size(NamedTuple):
  """Size of the measurements."""

  batch: int
  images: tuple[int, int, int]  # training, validation, test
  rounds: int
  peaks: int  # see `device.peaks`


_TRAINED = ('s_fc_beta_lasso', 's_fc_sgd', 's_local', 'd_local', 'd_conv')
NETS = {
  **{name: training.RUNS[name] for name in _TRAINED},
  'resnet18': functools.partial(base.by_sgd, 'resnet18'),
}
FULL = Size(512, (45_000, 5_000, 10_000), 7, 8192)
QUICK = Size(16, (64, 16, 16), 3, 64)


def config(name: str, size: Size, precision: str) -> base.Config:
  """Returns the paper's setting of one of `NETS`, or a tiny one."""
  c = NETS[name]()
  if size is QUICK:
    c.model.base_channels = 1
  c.train.batch_size, c.precision = size.batch, precision
  return c


def measure(
  c: base.Config, size: Size, peaks: dict[str, floor.Device]
) -> interleave.Row:
  """Measures one net, in a process of its own.

  Args:
    c: of `config`.
    size: the numbers of images and rounds.
    peaks: the devices for floors, by the source of their numbers.

  Returns:
    `step_s`, `plain_step_s` and `epoch_s` and what follows from them, such as
    whether the goals are reached; `compile_s` of the augmented steps;
    `memory_gib` at the peak, None where the device keeps no count.
  """
  dataset = pictures.dataset(*size.images)
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
  times = {name: timing.median_s for name, timing in found.items()}
  step_s, plain_s, epoch_s = times.values()
  step_s, plain_s = step_s / per_epoch, plain_s / per_epoch
  floors = {}
  for name, device in peaks.items():
    least = floor.step(c, device)
    seconds = {f'{k}_s': v for k, v in least._asdict().items()}
    floors[name] = seconds | {'share': least.fused / step_s}
  augmentation = 1 - plain_s / step_s
  goals = {'augmentation': augmentation <= _AUGMENTATION}
  if 'measured' in floors:
    goals['floor'] = floors['measured']['share'] >= _SHARE
  return {
    'net': c.model.name,
    'alpha': c.model.base_channels,
    'optimiser': c.optim.name,
    'batch': size.batch,
    'dtype': t.setup.program.dtype.name,
    'step_s': step_s,
    'plain_step_s': plain_s,
    'epoch_s': epoch_s,
    'quartiles_s_of_epochs': {n: t.quartiles_s for n, t in found.items()},
    'steps_per_epoch': per_epoch,
    'images_per_second': size.batch / step_s,
    'augmentation_share': augmentation,
    'floors': floors,
    'minutes_of_400_epochs': 400 * epoch_s / 60,
    'minutes_of_4000_epochs': 4000 * epoch_s / 60,
    'memory_gib': None if peak is None else peak / _GIB,
    'compile_s': compile_s,
    'goals': goals,
    'passed': all(goals.values()),
  }


def _prepare(
  c: base.Config, dataset: data.Dataset
) -> tuple[Callable[[], None], trainer.Trainer, float]:
  """Returns a call that trains an epoch, its trainer, and the compile time."""
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


def line(row: interleave.Row) -> str:
  """Returns a row in words."""
  shares = ', '.join(
    f'{f["share"]:.0%} of the {name} floor' for name, f in row['floors'].items()
  )
  memory = row['memory_gib']
  missed = [name for name, reached in row['goals'].items() if not reached]
  return (
    f'{1e3 * row["step_s"]:.3f} ms a step, {row["images_per_second"]:,.0f} '
    f'images/s, {shares}; augmentation {row["augmentation_share"]:.0%}; '
    f'400 epochs {row["minutes_of_400_epochs"]:.1f} min, 4000 epochs '
    f'{row["minutes_of_4000_epochs"]:.0f} min; memory '
    + ('not counted' if memory is None else f'{memory:.2f} GiB')
    + f'; compiled in {row["compile_s"]:.0f} s'
    + (f'; misses the goal of {" and ".join(missed)}' if missed else '')
  )
