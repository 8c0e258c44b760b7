r"""D-CONV: eight convolutions (table 3).

  python main.py --config=configs/d_conv.py --workdir=runs/d_conv
  python main.py --config=configs/d_conv.py:nlgp,smoke --workdir=/tmp/smoke

1.45 M weights. The paper reports 88.84 % on CIFAR-10 after 400 epochs and
89.79 % after 4000 (recalled).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('d_conv', arg)
