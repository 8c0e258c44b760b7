"""Tables of a few runs: the paper's size, and sizes for two cores."""

from benchmarks.tables import numbers, read
from lconv_jax.report import table


def connectivity() -> str:
  """Returns the test accuracies of CONV, LOCAL and FC."""
  found = {
    (r['method'], r['α']): r['test (%)']
    for r in read.rows_of_csv('connectivity')
  }
  lines = [['', 'CONV', 'LOCAL', 'FC']]
  for family, alpha, decay in (
    ('S', 8, '5e-4'),
    ('D', 4, '5e-4'),
    ('D', 4, '1e-3'),
  ):
    words = '' if decay == '5e-4' else f', weight decay {decay}'
    cells = [
      found.get((f'{family}-{kind} SGD momentum=0.9 wd={decay}', alpha))
      for kind in ('CONV', 'LOCAL', 'FC')
    ]
    shown = [numbers.NOT_RUN if c is None else f'{c:.1f}' for c in cells]
    lines.append([f'{family}-nets, α = {alpha}{words}', *shown])
  return table.as_markdown(lines)


def full_size() -> str:
  """Returns S-FC of the paper's size by SGD and by β-LASSO."""
  titles = {
    numbers.MOMENTUM: 'SGD, lr 0.1, momentum 0.9, weight decay 5e-4',
    'β-LASSO β=50 λ=1e-5': 'β-LASSO, lr 0.1, λ = 1e-5',
    'β-LASSO β=50 λ=9e-6/6e-6 lr=0.5': 'β-LASSO, lr 0.5, λ = 9e-6 / 6e-6',
  }
  lines = [
    [
      'method', 'test accuracy (%)', 'validation (%)', 'non-zero weights (%)',
      'of the first layer (%)', 'local filters (%)', 'spread of a filter (px)',
    ]
  ]  # fmt: skip
  rows = {row['method']: row for row in read.rows_of_csv('full_size')}
  for method, title in titles.items():
    row = rows[f'S-FC {method}']
    accuracies = [f'{row[name]:.2f}' for name in ('test (%)', 'validation (%)')]
    shares = [
      numbers.share(row[name])
      for name in ('non-zero (%)', 'first layer (%)', 'local (%)')
    ]
    lines.append([title, *accuracies, *shares, f'{row["spread (px)"]:.1f}'])
  return table.as_markdown(lines)


def s_fc_small() -> str:
  """Returns S-FC by SGD and by β-LASSO, with α = 8."""
  titles = {
    'SGD': 'SGD',
    numbers.MOMENTUM: 'SGD, momentum 0.9, weight decay 5e-4',
    'β-LASSO β=10 λ=4e-4': 'β-LASSO, β = 10, λ = 4e-4',
    'β-LASSO β=50 λ=1.2e-4/8e-5 lr=0.5': (
      'β-LASSO, β = 50, lr 0.5, λ = 1.2e-4 / 8e-5'
    ),
  }
  lines = [
    [
      'method', 'test accuracy (%)', 'non-zero weights (%)',
      'of the first layer (%)', 'spread of a filter (px)',
    ]
  ]  # fmt: skip
  for method, title in titles.items():
    own = [
      row for row in read.rows_of_csv('s_fc_small')
      # Without a validation part, a run had more training images.
      if row['method'] == f'S-FC {method}' and row['validation (%)']
    ]  # fmt: skip
    shares = [
      numbers.share(numbers.mean(own, name))
      for name in ('non-zero (%)', 'first layer (%)')
    ]
    spread = f'{numbers.mean(own, "spread (px)"):.1f}'
    lines.append([title, numbers.over_seeds(own), *shares, spread])
  lines[-1][2:] = [f'**{cell}**' for cell in lines[-1][2:]]
  return table.as_markdown(lines)
