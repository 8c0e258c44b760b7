r"""S-FC for a machine without a GPU: α = 8, 6.7 M weights, 30 epochs.

  python main.py --config=configs/s_fc_small.py:sgd --workdir=runs/sgd
  python main.py --config=configs/s_fc_small.py --workdir=runs/beta_lasso

CIFAR-10, 3 minutes each on 2 cores; accuracies in results/s_fc_small.md. The
run has 1/13 of the paper's steps and 5 times its learning rate: λ was chosen
from {8e-5, 1e-4, 1.2e-4} on the validation part so that accuracy stays within
half a per cent of the best and sparsity is greatest; β is the paper's.
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns the setting, changed by comma-separated choices."""
  c = base.base()
  c.model.base_channels = 8
  c.train.epochs = 30
  c.data.augment = 'flip_crop'  # the net is too small to overfit
  c.optim.lr = 0.5
  c.optim.l1_conv, c.optim.l1_fc = 1.2e-4, 8e-5
  return base.choose(c, arg, {**base.CHOICES, 'sgd': base.momentum})
