"""A run that takes seconds."""

from configs import base


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
