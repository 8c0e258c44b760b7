"""Training: from a config and an empty folder to a finished run.

`train_and_evaluate` trains one run, and `train_all` many, side by side if they
share a program. Parts such as `step` (the functions that are compiled) and
`trainer` (compiled programs with their state) serve benchmarks and tests.
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
