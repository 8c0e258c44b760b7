r"""ResNet18 for small images, with kernels of any size (A.1).

  python main.py --config=configs/resnet18.py --workdir=runs/resnet18
  python main.py --config=configs/resnet18.py:nlgp,smoke --workdir=/tmp/smoke

11.2 M weights with kernels of 3 × 3. The paper widens them (figure 5):
--config.model.kernel_size=9, by SGD and by β-LASSO.
"""

import ml_collections

from configs import base


def get_config(arg: str | None = None) -> ml_collections.ConfigDict:
  """Returns a point of the paper's SGD grid, changed by choices."""
  c = base.base()
  c.model.update({'name': 'resnet18', 'base_channels': 64})
  base.momentum(c)
  return base.choose(c, arg)
