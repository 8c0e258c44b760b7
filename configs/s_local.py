r"""S-LOCAL: S-CONV without weight sharing (table 4).

  python main.py --config=configs/s_local.py --workdir=runs/s_local
  python main.py --config=configs/s_local.py:nlgp,smoke --workdir=/tmp/smoke

147 M weights. The paper reports 81.52 % on CIFAR-10 after 400 epochs and
85.86 % after 4000 (recalled).
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('s_local', arg)
