r"""D-LOCAL: D-CONV without weight sharing (table 3).

  python main.py --config=configs/d_local.py --workdir=runs/d_local
  python main.py --config=configs/d_local.py:nlgp,smoke --workdir=/tmp/smoke

11.7 M weights; table 3 says 3.42 M, in contradiction to its own strides (see
docs/nets.md). The paper reports 86.13 % on CIFAR-10 after 400 epochs
and 86.07 % after 4000 (recalled).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('d_local', arg)
