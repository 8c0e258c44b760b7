"""The paper's runs, in run folders: a second start continues them."""

import pathlib
from typing import Any

import ml_collections

from configs import base, s_conv, s_fc, s_local
from lconv_jax import train
from lconv_jax.data import dataset as data

RUNS = {
  's_fc_sgd': lambda: s_fc.get_config('momentum'),
  's_fc_beta_lasso': s_fc.get_config,
  's_local': s_local.get_config,
  's_conv': s_conv.get_config,
}


def config(
  name: str, epochs: int, data_dir: str, quick: bool
) -> ml_collections.ConfigDict:
  """Returns the paper's setting of one of `RUNS`.

  Args:
    name: of the run.
    epochs: of the run.
    data_dir: see configs/base.py.
    quick: shrinks everything.
  """
  c = RUNS[name]()
  if quick:
    base.smoke(c)
    c.train.batch_size, c.data.limit = 16, 64
  c.train.epochs = epochs
  c.data.dir = data_dir
  return c


def prepare(data_dir: str) -> None:
  """Downloads or decodes CIFAR-10 where it has not been.

  Raises:
    UsageError: it is neither there nor to be downloaded.
  """
  data.read('cifar10', data_dir)


def run(
  name: str, root: str, epochs: int, data_dir: str, quick: bool
) -> dict[str, Any]:
  """Trains, continues, or only reads a finished run in `root`/`name`."""
  folder = pathlib.Path(root, name)
  c = config(name, epochs, data_dir, quick)
  done = train.train_and_evaluate(c, folder)
  best, last = done['best'], done['last']
  return {
    'folder': str(folder),
    'epochs': epochs,
    'seconds': last['seconds'],
    'images_per_second': last['images_per_second'],
    'weights': sum(done['weights'].values()),
    'best': best,
    'last': last,
    'environment': done['environment'],
  }


def line(row: dict[str, Any]) -> str:
  """Returns a row as a person reads it."""
  best = row['best']
  return (
    f'test accuracy {best["test/accuracy"]:.2%} at epoch {best["epoch"]:g}, '
    f'{row["last"]["test/accuracy"]:.2%} at the end, {row["epochs"]} epochs in '
    f'{row["seconds"]:.0f} s'
  )
