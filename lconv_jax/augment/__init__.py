"""Augmentation of image batches on the device."""

from lconv_jax.augment.apply import OPS, apply_op
from lconv_jax.augment.pipeline import NAMES, Choices, Pipeline, from_config
from lconv_jax.augment.policy import load as load_policy

__all__ = [
  'NAMES',
  'OPS',
  'Choices',
  'Pipeline',
  'apply_op',
  'from_config',
  'load_policy',
]
