"""Checks of a config, before anything slow begins."""

import math
from operator import attrgetter

import ml_collections

from lconv_jax import augment, errors, models
from lconv_jax.data import dataset as data
from lconv_jax.train import optim, precision

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

BELOW = {'seed': 2**32, 'model.dropout': 1, 'optim.momentum': 1}


def check(config: ml_collections.ConfigDict) -> None:
  """Raises a UsageError that names the first field that cannot be right."""
  for field, options in CHOICES.items():
    if (value := attrgetter(field)(config)) not in options:
      raise errors.unknown(f'config.{field}', value, options)
  for field, least in AT_LEAST.items():
    value, below = attrgetter(field)(config), BELOW.get(field, math.inf)
    if not least <= value < below:  # also false for NaN
      limit = ' and finite' if isinstance(value, float) else ''
      if below < math.inf:
        limit = f' and less than {below}'
      raise errors.UsageError(
        f'config.{field}={value} must be at least {least}{limit}.'
      )
  if config.data.policy not in ('', 'none') and config.train.epochs:
    augment.load_policy(config.data.policy)
  if config.data.cutout > 0 and config.data.cutout % 2:
    raise errors.UsageError(
      f'config.data.cutout={config.data.cutout} must be even.'
    )
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


def check_train(batch_size: int, num_train: int) -> None:
  """Raises a UsageError if there is no full batch to train on."""
  if batch_size > num_train:
    raise errors.UsageError(
      f'config.train.batch_size={batch_size} is more than the {num_train} '
      'training images; make it smaller.'
    )
