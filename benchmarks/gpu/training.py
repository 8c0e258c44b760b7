"""The paper's runs on CIFAR-10, which a second start continues."""

import functools
import pathlib

from benchmarks import floor, interleave
from configs import base, s_fc
from lconv_jax import data, runs, train


def _beta_lasso(beta: float) -> base.Config:
  c = s_fc.get_config()
  c.optim.beta = beta
  return c


# The nets of table 1 and β-LASSO, the most important runs first.
RUNS = {
  's_fc_beta_lasso': functools.partial(_beta_lasso, 50.0),
  's_fc_sgd': functools.partial(base.by_sgd, 's_fc'),
  **{
    net: functools.partial(base.by_sgd, net)
    for net in ('s_local', 's_conv', 'd_local', 'd_conv', 'fc3', 'd_fc')
  },
  's_fc_beta_1': functools.partial(_beta_lasso, 1.0),
  's_fc_beta_0': functools.partial(_beta_lasso, 0.0),
}


def config(name: str, epochs: int, data_dir: str, quick: bool) -> base.Config:
  """Returns the paper's setting of one of `RUNS`.

  Each tenth epoch is evaluated, and nothing is saved before the end or SIGTERM:
  a checkpoint of S-FC has 3 GB.

  Args:
    name: of the run.
    epochs: of the run.
    data_dir: the field `data.dir` of configs/base.py.
    quick: whether everything is shrunk.
  """
  c = RUNS[name]()
  if quick:
    base.smoke(c)
    c.train.batch_size, c.data.limit = 16, 64
  c.train.epochs = epochs
  c.train.eval_every_epochs = min(10, epochs)
  c.train.checkpoint_every_epochs = epochs
  c.data.dir = data_dir
  return c


def floors(configs: list[base.Config], device: floor.Device) -> list[float]:
  """Returns the least seconds that the steps of runs take."""
  return [floor.run(c, device) for c in configs]


def left(folder: pathlib.Path, epochs: int) -> float:
  """Returns the share of a run that is not trained yet."""
  rows = runs.metrics.read(folder)
  return 1 - rows[-1]['epoch'] / epochs if rows else 1.0


def prepare(data_dir: str) -> None:
  """Downloads or decodes CIFAR-10 if need be.

  Raises:
    UsageError: it is not there and cannot be downloaded.
  """
  data.read('cifar10', data_dir)


def run(c: base.Config, folder: pathlib.Path) -> interleave.Row:
  """Trains or continues a run, or reads it if it is finished."""
  done = train.train_and_evaluate(c, folder)
  best, last = done['best'], done['last']
  return {
    'folder': str(folder),
    'epochs': c.train.epochs,
    'seconds': last['seconds'],
    'images_per_second': last['images_per_second'],
    'weights': sum(done['weights'].values()),
    'best': best,
    'last': last,
    'environment': done['environment'],
  }


def line(row: interleave.Row) -> str:
  """Returns a row in words."""
  best = row['best']
  return (
    f'test accuracy {best["test/accuracy"]:.2%} at epoch {best["epoch"]:g}, '
    f'{row["last"]["test/accuracy"]:.2%} at the end, {row["epochs"]} epochs in '
    f'{row["seconds"]:.0f} s'
  )
