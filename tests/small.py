"""A run that takes seconds, and what may befall it."""

import os
import signal

import jax
import numpy as np

from configs import base
from lconv_jax import runs
from lconv_jax.train import trainer


def config(**fields):
  """The config of ten steps an epoch, changed by fields with dots."""
  c = base.base()
  base.nlgp(c)
  c.model.base_channels, c.model.dropout = 1, 0.2
  c.data.augment = 'flip_crop'
  c.data.nlgp.update({'train': 750, 'test': 150})
  c.data.validation = 110
  c.optim.update({'l1_conv': 2e-3, 'l1_fc': 1e-3, 'beta': 5.0})
  c.train.batch_size, c.train.epochs = 64, 4
  c.train.checkpoint_every_epochs = 2
  c.update_from_flattened_dict(fields)
  return c


class Killed(BaseException):
  """What no handler catches, as little as SIGKILL."""


def before_step(monkeypatch, step, act):
  """Calls `act`, once, when a trainer would take that step."""
  original = trainer.Trainer.train_until

  def spy(self, stop):
    if stop > step:
      monkeypatch.setattr(trainer.Trainer, 'train_until', original)
      act(self)
    return original(self, stop)

  monkeypatch.setattr(trainer.Trainer, 'train_until', spy)


def interrupt_at(monkeypatch, step, number=signal.SIGTERM):
  """Sends a signal to this process when training reaches a step."""
  original = trainer.Trainer.train_until

  def spy(self, stop):
    totals = original(self, stop)
    if stop >= step:
      monkeypatch.setattr(trainer.Trainer, 'train_until', original)
      os.kill(os.getpid(), number)
    return totals

  monkeypatch.setattr(trainer.Trainer, 'train_until', spy)


def assert_same_run(a, b):
  """Two folders hold the same run, to the bit."""
  for which in ('best', 'last'):
    one, other = (runs.checkpoint.load_net(f, which) for f in (a, b))
    jax.tree.map(np.testing.assert_array_equal, one, other)
  timing = {'images_per_second', 'seconds'}
  for x, y in zip(*map(runs.metrics.read, (a, b)), strict=True):
    assert {k: x[k] for k in x.keys() - timing} == {
      k: y[k] for k in y.keys() - timing
    }
