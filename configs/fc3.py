r"""3-FC: two hidden layers of the same width (A.1).

  python main.py --config=configs/fc3.py --workdir=runs/fc3
  python main.py --config=configs/fc3.py:nlgp,smoke --workdir=/tmp/smoke

256 M weights. The paper reports 69.19 % on CIFAR-10 after 400 epochs and
75.12 % after 4000 (recalled).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('fc3', arg)
