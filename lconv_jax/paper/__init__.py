"""The paper's figures and tables, made of run folders.

`ITEMS` has them by name; each chooses runs, says what is missing, and writes a
caption. How they look is in `lconv_jax.figures`, whose command line this is.
"""

from lconv_jax.paper import (
  accuracy,
  filters,
  kernel_size,
  nonzero,
  parameters,
  published,
  tables,
)
from lconv_jax.paper.captions import Request
from lconv_jax.paper.experiments import Experiment, find, group, only
from lconv_jax.paper.item import Drawn, Item

__all__ = [
  'ITEMS',
  'Drawn',
  'Experiment',
  'Item',
  'Request',
  'find',
  'group',
  'only',
]


def _filters(number: str, *kinds: filters.Kind) -> Item:
  what = f'first-layer filters of {", ".join(map(str, kinds))}'
  about = f'{number} of the paper' if number[:3] == 'fig' else number
  return Item(number, what, filters.of(*kinds, number=about))


ITEMS: dict[str, Item] = {
  'parameters': Item(
    'figure 1',
    'weights against α and image size; needs no runs',
    parameters.draw,
    one_data_set=False,
    needs_runs=False,
  ),
  'accuracy': Item(
    'figures 2, 6',
    'accuracy of S- and D-nets and 3-FC by SGD against epochs and weights',
    accuracy.draw,
  ),
  'nonzero': Item(
    'figure 3', 'non-zero weights per layer under β-LASSO', nonzero.draw
  ),
  'filters': _filters(
    'figure 4', filters.S_FC_SGD, filters.S_FC_LASSO, filters.S_LOCAL
  ),
  'kernel_size': Item(
    'figure 5', 'ResNet18 against kernel size', kernel_size.draw
  ),
  'filters_sgd': _filters('figure 7', filters.S_FC_SGD),
  'filters_beta_lasso': _filters('figure 8', filters.S_FC_LASSO),
  'filters_local': _filters('figure 9', filters.S_LOCAL),
  'filters_conv': _filters('not in the paper', filters.S_CONV),
  'table1': Item(
    'table 1',
    'all nets by SGD, beside the paper',
    tables.of('table1', published.TABLE1),
    one_data_set=False,
  ),
  'table2': Item(
    'table 2',
    'S-nets by SGD and S-FC by β-LASSO, beside the paper',
    tables.of('table2', published.TABLE2),
    one_data_set=False,
  ),
}
