"""The paper's figures and tables, by name."""

import functools

from lconv_jax.report import (
  accuracy,
  filter_panels,
  kernel_size,
  nonzero,
  parameters,
  published,
  scaling,
  tables,
)
from lconv_jax.report.filter_panels import S_CONV, S_FC_LASSO, S_FC_SGD, S_LOCAL
from lconv_jax.report.item import Item


def _filters(number: str, *kinds: filter_panels.Kind) -> Item:
  what = f'first-layer filters of {", ".join(map(str, kinds))}'
  about = number if 'paper' in number else f'{number} of the paper'
  draw = functools.partial(filter_panels.draw, kinds=kinds, number=about)
  return Item(number, what, draw)


def _table(name: str, what: str, paper: published.Table) -> Item:
  draw = functools.partial(tables.draw, name=name, paper=paper)
  return Item(f'table {name[-1]}', what, draw, one_data_set=False)


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
  'filters': _filters('figure 4', S_FC_SGD, S_FC_LASSO, S_LOCAL),
  'kernel_size': Item(
    'figure 5', 'ResNet18 against kernel size', kernel_size.draw
  ),
  'filters_sgd': _filters('figure 7', S_FC_SGD),
  'filters_beta_lasso': _filters('figure 8', S_FC_LASSO),
  'filters_local': _filters('figure 9', S_LOCAL),
  'filters_conv': _filters('not in the paper', S_CONV),
  'scaling': Item(
    'not in the paper',
    'gain of β-LASSO over SGD against width and length',
    scaling.draw,
  ),
  'table1': _table(
    'table1', 'all nets by SGD, beside the paper', published.TABLE1
  ),
  'table2': _table(
    'table2',
    'S-nets by SGD and S-FC by β-LASSO, beside the paper',
    published.TABLE2,
  ),
}
