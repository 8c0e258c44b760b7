"""Augmentation of image batches on the device."""

from lconv_jax.augment.standard import flip_crop

__all__ = ['NAMES', 'flip_crop']

NAMES = ('none', 'flip_crop')  # of config.data.augment
