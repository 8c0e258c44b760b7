r"""What `make demo` runs: a small S-FC on images that are drawn on the spot.

  python main.py --config=configs/demo.py:sgd --workdir=runs/demo/sgd
  python main.py --config=configs/demo.py --workdir=runs/demo/beta_lasso

The two classes differ only in how far neighbouring pixels are correlated, so
a net that has found locality needs few weights. 25 seconds each on 2 cores;
test accuracy 99.7 % with all weights, and with 1 % of them (results/demo.md).
"""

import ml_collections

from configs import base


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns the demo's setting, changed by comma-separated choices."""
  c = base.base()
  base.nlgp(c)
  c.model.base_channels = 1
  c.train.epochs = 50
  # 5,000 steps are an eighth of the paper's; a hundred times its λ because the
  # net may forget nearly all of its initial weights.
  c.optim.beta = 3.0
  c.optim.l1_conv = c.optim.l1_fc = 1e-3
  return base.choose(c, arg)
