r"""S-CONV: a shallow convolutional net (table 4).

  python main.py --config=configs/s_conv.py --workdir=runs/s_conv
  python main.py --config=configs/s_conv.py:nlgp,smoke --workdir=/tmp/smoke

138 M weights, nearly all in fc1. The paper reports 84.14 % on CIFAR-10
after 400 epochs and 87.05 % after 4000 (recalled).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('s_conv', arg)
