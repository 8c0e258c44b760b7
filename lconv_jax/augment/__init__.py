"""Augmentation of image batches on the device.

`apply_op` does one of Pillow's operations, `from_config` makes the `Pipeline`
that a config asks for, and `load_policy` reads a policy of (Fast) AutoAugment.
"""

from lconv_jax.augment.apply import OPS, apply_op
from lconv_jax.augment.pipeline import (
  NAMES,
  Choices,
  Pipeline,
  from_config,
  grid_operations,
)
from lconv_jax.augment.policy import load as load_policy

__all__ = [
  'NAMES',
  'OPS',
  'Choices',
  'Pipeline',
  'apply_op',
  'from_config',
  'grid_operations',
  'load_policy',
]
