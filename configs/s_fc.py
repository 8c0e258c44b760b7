r"""S-FC: a shallow fully connected net that can learn to be local (table 4).

  python main.py --config=configs/s_fc.py --workdir=runs/s_fc
  python main.py --config=configs/s_fc.py:cifar100,sgd --workdir=runs/sgd
  python main.py --config=configs/s_fc.py:nlgp,smoke --workdir=/tmp/smoke

256 M weights. The paper reports 85.19 % on CIFAR-10 for β-LASSO after 4000
epochs (arXiv v1; 84.50 % in the NeurIPS abstract).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns the paper's setting, changed by comma-separated choices."""
  return base.choose(base.base(), arg)
