"""Tables of studies: length × width × method, and λ by short runs."""

import itertools
import re

from benchmarks.tables import numbers, read
from configs.grids import scaling as grid
from lconv_jax.report import table

# What matches the methods of a column, without the net.
_METHODS = {
  'SGD (%)': r'SGD .*momentum=.*',
  'plain SGD (%)': r'SGD( lr=\S+)?',
  'β = 0 (%)': r'β-LASSO β=0 .*',
  'β = 1 (%)': r'β-LASSO β=1 .*',
  'β = 50 (%)': r'β-LASSO β=50 .*',
}


def scaling() -> str:
  """Returns S-FC by all methods, each at its best, by length and width."""
  lines = [
    [
      'epochs', 'α', *_METHODS, 'β = 50 minus SGD', 'first layer (%)',
      'local (%)',
    ]
  ]  # fmt: skip
  sizes = itertools.product(sorted(grid.EPOCHS), sorted(grid.ALPHAS))
  rows = [*read.rows_of_csv('scaling'), *read.rows_of_csv('full_size')]
  for epochs, alpha in (*sizes, (400, 150)):
    found = {
      name: numbers.winner(
        row
        for row in rows
        if (row['epochs'], row['α']) == (epochs, alpha)
        and re.fullmatch(f'S-FC {pattern}', row['method'])
      )
      for name, pattern in _METHODS.items()
    }
    sgd, lasso = found['SGD (%)'], found['β = 50 (%)']
    difference = (
      numbers.difference(lasso, sgd) if sgd and lasso else numbers.NOT_RUN
    )
    of_lasso = [
      numbers.share(numbers.mean(lasso, name)) if lasso else numbers.NOT_RUN
      for name in ('first layer (%)', 'local (%)')
    ]
    cells = [numbers.over_seeds(own) for own in found.values()]
    lines.append([f'{epochs}', f'{alpha}', *cells, difference, *of_lasso])
  return table.as_markdown(lines, left=0)


def small_nets() -> str:
  """Returns the nets of table 1 at a small size, by the same SGD."""
  lines = [['net', 'α', 'weights', 'test accuracy (%)', 'in training (%)']]
  for name, alpha in (
    ('S-CONV', 8), ('S-LOCAL', 8), ('S-FC', 8), ('3-FC', 8),
    ('D-CONV', 4), ('D-LOCAL', 4), ('D-FC', 4),
  ):  # fmt: skip
    key = f'{name} {numbers.MOMENTUM}', alpha, 400
    own = [
      row
      for row in read.rows_of_csv('scaling')
      if (row['method'], row['α'], row['epochs']) == key
    ]
    accuracies = [
      numbers.over_seeds(own, part) for part in ('test (%)', 'train (%)')
    ]
    weights = f'{own[0]["weights"]:,}' if own else numbers.NOT_RUN
    lines.append([name, f'{alpha}', weights, *accuracies])
  return table.as_markdown(lines)


def betas() -> str:
  """Returns S-FC by β-LASSO with the same λ and other β."""
  columns = 'test (%)', 'validation (%)', 'first layer (%)', 'local (%)'
  lines = [['λ', 'β', *columns]]
  for l1 in ('9e-6/6e-6', '1.8e-5/1.2e-5'):
    for beta in sorted(grid.BETAS):
      method = f'S-FC β-LASSO β={beta:g} λ={l1} lr=0.5'
      own = [
        row
        for row in read.rows_of_csv('scaling')
        if (row['method'], row['α'], row['epochs']) == (method, 8, 400)
      ]
      accuracies = [numbers.over_seeds(own, name) for name in columns[:2]]
      shares = [
        numbers.share(numbers.mean(own, name)) if own else numbers.NOT_RUN
        for name in columns[2:]
      ]
      words = ' / '.join(l1.split('/'))
      lines.append([words, f'{beta:g}', *accuracies, *shares])
  return table.as_markdown(lines, left=2)


def l1_by_length() -> str:
  """Returns the largest λ that costs no accuracy, by width and length."""
  lengths = sorted(grid.EPOCHS)
  lines = [['α', *(f'{epochs} epochs' for epochs in lengths)]]
  for alpha in sorted(grid.ALPHAS):
    cells = []
    for epochs in lengths:
      tried = [
        row
        for row in read.rows_of_csv('scaling')
        if (row['α'], row['epochs'], row['seed']) == (alpha, epochs, 0)
        and re.fullmatch(r'S-FC β-LASSO β=50 λ=\S+ lr=0.5', row['method'])
      ]
      cells.append(_largest(tried) if tried else numbers.NOT_RUN)
    lines.append([f'{alpha}', *cells])
  return table.as_markdown(lines, left=0)


def _largest(tried: list[table.Row]) -> str:
  """Returns the largest λ within half a point of the best, and its share."""
  best = max(row['validation (%)'] for row in tried)
  good = [row for row in tried if row['validation (%)'] >= best - 0.5]
  chosen = max(good, key=_l1)
  share = numbers.share(chosen['first layer (%)'])
  return f'{_l1_text(chosen)} ({share} %)'


def _l1_text(row: table.Row) -> str:
  return re.search(r'λ=([^/\s]+)', row['method'])[1]


def _l1(row: table.Row) -> float:
  return float(_l1_text(row))


def short_runs() -> str:
  """Returns what short runs have beside the long runs that they stand for."""
  of_length = ' after about a tenth / a quarter / all of the epochs'
  lines = [
    ['images', 'λ', f'validation (%){of_length}', f'first layer (%){of_length}']
  ]
  settings = {}
  for row in read.rows_of_csv('find_l1'):
    lengths = settings.setdefault(row['data'], {})
    lengths.setdefault(row['epochs'], []).append(row)
  for data, lengths in settings.items():
    by_l1 = [sorted(lengths[n], key=_l1) for n in sorted(lengths)]
    for own in zip(*by_l1, strict=True):
      lines.append(
        [
          {'nlgp': 'NLGP'}.get(data, data),
          re.search(r'λ=(\S+)', own[-1]['method'])[1].replace('/', ' / '),
          ' / '.join(f'{row["validation (%)"]:.1f}' for row in own),
          ' / '.join(numbers.share(row['first layer (%)']) for row in own),
        ]
      )
  return table.as_markdown(lines, left=2)
