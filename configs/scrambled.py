r"""Nets on images whose pixels are scrambled, as `make scrambled` runs them.

  python main.py --config=configs/scrambled.py --workdir=runs/scrambled/dense
  python -m lconv_jax.geometry runs/scrambled/dense
  python main.py --config=configs/scrambled.py:conv \
    --config.data.layout=runs/scrambled/dense/geometry.npz \
    --workdir=runs/scrambled/recovered

A dense net by SGD on images that are drawn on the spot, whose classes are more
alike than the demo's. Its weights tell which pixels are neighbours, so that a
convolutional net can be trained on the grid that was recovered.
"""

import ml_collections

from configs import base


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns the setting, changed by comma-separated choices."""
  c = base.base()
  base.nlgp(c)
  base.momentum(c)
  c.data.permute = 1
  c.data.nlgp.xi = (2.0, 2.6)
  c.model.base_channels = 4
  # The initial weights, which know nothing, must decay.
  c.optim.weight_decay = 2e-3
  c.train.epochs = 12
  return base.choose(c, arg, {**base.CHOICES, 'conv': _conv})


def _conv(c: ml_collections.ConfigDict) -> None:
  """Changes the net to S-CONV."""
  c.model.name = 's_conv'
