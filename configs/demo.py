r"""What `make demo` runs: a small S-FC on images that are drawn on the spot.

  python main.py --config=configs/demo.py:sgd --workdir=runs/demo/sgd
  python main.py --config=configs/demo.py --workdir=runs/demo/beta_lasso

The two classes differ only in how far neighbouring pixels are correlated, so
a net that has found locality needs few weights. Half a minute each on 2 cores;
results/demo.md has the accuracies and the weights that remain.
"""

import ml_collections

from configs import base


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns the demo's setting, changed by comma-separated choices."""
  c = base.base()
  base.nlgp(c)
  c.model.base_channels = 1
  c.data.validation = 0  # nothing is chosen: the last epoch counts
  c.train.epochs = 45
  # 5,000 steps are an eighth of the paper's, so λ is larger. Dropout and a high
  # learning rate prevent bursts (docs/bursts.md).
  c.model.dropout = 0.5
  c.optim.lr = 2.0
  c.optim.beta = 100.0
  c.optim.l1_conv, c.optim.l1_fc = 1.2e-4, 5e-4
  return base.choose(c, arg)
