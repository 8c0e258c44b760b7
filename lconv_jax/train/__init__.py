"""Training: from a config and an empty folder to a finished run.

`train_and_evaluate` trains one run, `train_all` many, those that share a
program side by side. The parts, such as `step` (what is compiled) and
`trainer` (compiled programs with their state), serve benchmarks and tests.
"""

from lconv_jax.train import (
  check,
  optim,
  parallel,
  precision,
  progress,
  step,
  trainer,
)
from lconv_jax.train.run import train_all, train_and_evaluate

__all__ = [
  'check',
  'optim',
  'parallel',
  'precision',
  'progress',
  'step',
  'train_all',
  'train_and_evaluate',
  'trainer',
]
