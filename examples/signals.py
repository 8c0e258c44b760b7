"""Grid of nets on signals in their order and scrambled: 8 runs.

  python main.py --config=configs/signals.py:mnist1d \
    --grid=examples/signals.py --workdir=runs/mnist1d
"""

from configs.grids import Point
from configs.grids.product import product

CONFIG = 'configs/signals.py'
SGD = {
  'optim.name': 'sgd',
  'optim.lr': 0.1,
  'optim.momentum': 0.9,
  'optim.weight_decay': 5e-4,
}


def sweep() -> list[Point]:
  """Returns 8 points: three nets by SGD and S-FC by β-LASSO, each twice."""
  nets = product({'model.name': ['s_conv', 's_local', 's_fc']})
  methods = [{**net, **SGD} for net in nets] + [{'model.name': 's_fc'}]
  orders = product({'data.permute': [-1, 1]})
  return [{**method, **order} for method in methods for order in orders]
