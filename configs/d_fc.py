r"""D-FC: fully connected layers between the activations of D-CONV (table 3).

  python main.py --config=configs/d_fc.py --workdir=runs/d_fc
  python main.py --config=configs/d_fc.py:nlgp,smoke --workdir=/tmp/smoke

282 M weights. The paper reports 64.78 % on CIFAR-10 after 400 epochs and
63.62 % after 4000 (recalled).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('d_fc', arg)
