"""Checks of a config, before anything slow begins."""

import math
from operator import attrgetter

import ml_collections
import numpy as np
from flax import traverse_util

from lconv_jax import augment, errors, models
from lconv_jax.data import dataset as data
from lconv_jax.train import optim, parallel, precision

CHOICES = {
  'precision': precision.NAMES,
  'model.name': models.NETS,
  'model.local_norm': models.LOCAL_NORMS,
  'data.name': data.NAMES,
  'data.augment': augment.NAMES,
  'optim.name': optim.NAMES,
}

AT_LEAST = {
  'seed': 0,
  'model.base_channels': 1,
  'model.kernel_size': 0,
  'model.dropout': 0,
  'data.validation': 0,
  'data.limit': 0,
  'data.nlgp.length': 0,
  'data.permute': -1,
  'data.crop': 0,
  'data.cutout': -1,
  'optim.lr': 0,
  'optim.momentum': 0,
  'optim.weight_decay': 0,
  'optim.beta': 0,
  'optim.l1_conv': 0,
  'optim.l1_fc': 0,
  'train.epochs': 0,
  'train.batch_size': 1,
  'train.eval_every_epochs': 1,
  'train.checkpoint_every_epochs': 1,
  'train.profile': 0,
}

BELOW = {
  'seed': 2**32,
  'model.dropout': 1,
  'data.permute': 2**32,
  'optim.momentum': 1,
}
_INT = 2**31  # steps, sizes and indices are int32
# Numbers of the step are float32: the smallest one above 0, and the largest.
_F32 = np.finfo(np.float32)
_TINY, _LARGEST = float(_F32.tiny), float(_F32.max)
_GB = 1e9


def check(config: ml_collections.ConfigDict) -> None:
  """Raises a UsageError that names the first field that cannot be right."""
  fields = traverse_util.flatten_dict(config.to_dict(), sep='.')
  if empty := [field for field, value in fields.items() if value is None]:
    raise errors.UsageError(
      f'config.{empty[0]} is None; give it a value, as configs/base.py does.'
    )
  for field, options in CHOICES.items():
    if (value := attrgetter(field)(config)) not in options:
      raise errors.unknown(f'config.{field}', value, options)
  for field, least in AT_LEAST.items():
    value = attrgetter(field)(config)
    largest = math.inf if isinstance(value, float) else _INT
    below = BELOW.get(field, largest)
    if not least <= value < below:  # also false for NaN
      limit = f'less than {below}' if below < math.inf else 'finite'
      raise errors.UsageError(
        f'config.{field}={value} must be at least {least} and {limit}.'
      )
    if isinstance(value, float):
      _check_float(f'config.{field}={value}', value)
  for field in ('optim.l1_conv', 'optim.l1_fc'):
    value, beta = attrgetter(field)(config), config.optim.beta
    level = f'config.optim.beta={beta} times config.{field}={value}'
    _check_float(level, beta * value)
  if config.data.name == 'nlgp':
    check_images(config.data.nlgp, parallel.free_host_memory())
  for field in ('data.dir', 'data.layout', 'train.init_from'):
    errors.local_path(f'config.{field}', attrgetter(field)(config))
  if config.data.policy not in ('', 'none') and config.train.epochs:
    augment.load_policy(config.data.policy)
  if config.data.cutout > 0 and config.data.cutout % 2:
    raise errors.UsageError(
      f'config.data.cutout={config.data.cutout} must be even.'
    )
  if config.train.epochs:
    _check_geometry(config.data)
  connectivity = models.NETS[config.model.name].connectivity
  if config.model.local_norm == 'unit' and connectivity != 'local':
    raise errors.UsageError(
      f'config.model.local_norm=unit is for {_named("local")}, not for '
      f'{config.model.name}; leave it at channel.'
    )
  if config.model.kernel_size and connectivity == 'fc':
    raise errors.UsageError(
      f'config.model.kernel_size={config.model.kernel_size} is for nets with '
      f'convolutions, but {config.model.name} has none; leave it at 0.'
    )
  if config.train.log_locality and connectivity != 'fc':
    raise errors.UsageError(
      'config.train.log_locality=True is for nets whose first layer is dense '
      f'({_named("fc")}), but that of {config.model.name} has windows, and is '
      'local by design; leave it out.'
    )


def _check_float(what: str, value: float) -> None:
  """Raises a UsageError if a number is infinite, or 0, in float32 alone."""
  if value > _LARGEST or 0 < value < _TINY:
    raise errors.UsageError(
      f'{what} does not fit into float32, which holds 0 and numbers from '
      f'{_TINY:.3g} to {_LARGEST:.3g}.'
    )


def check_images(nlgp: ml_collections.ConfigDict, free: float) -> None:
  """Raises a UsageError if images to draw need more than `free` bytes."""
  count, pixels = nlgp.train + nlgp.test, nlgp.length or 32**2
  # The images themselves, and their copy on the devices.
  needed = 2 * count * pixels * nlgp.channels
  if needed > free:
    raise errors.UsageError(
      f'config.data.nlgp.train={nlgp.train}, test={nlgp.test} and '
      f'channels={nlgp.channels} are images that need {needed / _GB:,.0f} GB, '
      f'and {free / _GB:,.1f} GB are free; make them fewer.'
    )


def check_size(net: models.Description, kernel_size: int, free: float) -> None:
  """Raises a UsageError if a net needs more than `free` bytes.

  Args:
    net: the net, of which nothing was computed yet.
    kernel_size: the field of the config.
    free: bytes on a device.
  """
  weights = sum(layer.weights for layer in net.layers)
  needed = 2 * 4 * weights  # in float32: the net, and the best one so far
  if needed > free:
    kernel = f' and kernel_size={kernel_size}' if kernel_size else ''
    raise errors.UsageError(
      f'config.model.base_channels={net.base_channels}{kernel} make a net of '
      f'{weights:,} weights, which needs more than {needed / _GB:,.0f} GB, and '
      f'{free / _GB:,.1f} GB are free; make it smaller.'
    )


def _check_geometry(data: ml_collections.ConfigDict) -> None:
  """Raises a UsageError if augmentation would betray a hidden geometry."""
  if data.permute < 0 or data.layout or data.leak_geometry:
    return
  if uses := augment.grid_operations(data):
    raise errors.UsageError(
      f'config.data.augment={data.augment} tells a net which pixels are '
      f'neighbours ({", ".join(uses)}), which config.data.permute='
      f'{data.permute} hides; set config.data.augment=none, or '
      'config.data.leak_geometry=True to augment the images before their '
      'pixels are permuted.'
    )


def _named(connectivity: str) -> str:
  nets = models.NETS.items()
  return ', '.join(n for n, net in nets if net.connectivity == connectivity)


def check_batch(batch_size: int, num_devices: int) -> None:
  """Raises a UsageError if a batch does not divide over the devices."""
  if batch_size % num_devices:
    below = batch_size // num_devices * num_devices
    nearest = ' or '.join(str(b) for b in (below, below + num_devices) if b)
    raise errors.UsageError(
      f'config.train.batch_size={batch_size} does not divide over '
      f'{num_devices} devices; the nearest that do: {nearest}.'
    )


def check_train(batch_size: int, num_train: int, epochs: int) -> None:
  """Raises a UsageError if there is no full batch, or if steps are too many."""
  if batch_size > num_train:
    raise errors.UsageError(
      f'config.train.batch_size={batch_size} is more than the {num_train} '
      'training images; make it smaller.'
    )
  if (steps := epochs * (num_train // batch_size)) >= _INT:
    raise errors.UsageError(
      f'config.train.epochs={epochs} are {steps:,} steps, and more than '
      f'{_INT - 1:,} cannot be counted; make it smaller.'
    )
