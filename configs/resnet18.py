r"""ResNet18 for small images, with kernels of any size (A.1).

  python main.py --config=configs/resnet18.py --workdir=runs/resnet18
  python main.py --config=configs/resnet18.py:nlgp,smoke --workdir=/tmp/smoke

11.2 M weights with kernels of 3 × 3. The paper widens them (figure 5):
--config.model.kernel_size=9, by SGD and by β-LASSO.
"""

from configs import base


def get_config(arg: str | None = None) -> base.Config:
  """Returns a point of the paper's SGD grid, changed by choices."""
  return base.by_sgd('resnet18', arg)
