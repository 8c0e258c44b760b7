"""Tables of layouts that weights tell: of pixels, and of signals."""

from collections.abc import Mapping, Sequence

from benchmarks.tables import numbers, read
from lconv_jax.report import table

_GEOMETRY = {
  'test (%)': 1, 'first layer (%)': 1, 'near (%)': 1, 'agreement (%)': 1,
  'r.m.s. (px)': 2, '≤ 1 px (%)': 1, '≤ 1.5 px (%)': 1, 'own cell (%)': 1,
}  # fmt: skip


# Runs of geometry.csv and geometry_more.csv, by how their folders begin.
_LAID_OUT = {
  'sgd': 'SGD',
  'noise': 'SGD on white noise',
  'lasso_10': 'β-LASSO, λ = 1.2e-4 / 8e-5, 10 epochs',
  'lasso_30': 'β-LASSO, λ = 1.2e-4 / 8e-5',
  'lasso_6e-5': 'β-LASSO, λ = 6e-5 / 4e-5',
  'lasso_3e-5': 'β-LASSO, λ = 3e-5 / 2e-5',
}


_VARIED = {
  'alpha_1': 'α = 1',
  'alpha_2': 'α = 2',
  'alpha_4': 'α = 4',
  'alpha_16': 'α = 16',
  'epochs_1': '1 epoch',
  'epochs_3': '3 epochs',
  'epochs_10': '10 epochs',
  'plain': 'without momentum and weight decay, lr 0.5',
  'images_10000': '10,000 images',
  'images_1000': '1,000 images',
}


def geometry() -> str:
  """Returns how well layouts of scrambled pixels agree with the truth."""
  titles = {
    'geometry': 'SGD, weights shuffled',
    # The null is that of a file's last run, here by β-LASSO.
    'geometry_more': 'β-LASSO, weights shuffled',
  }
  found = {}
  for file, title in titles.items():
    for row in read.rows_of_csv(file):
      if row['command']:
        name = _begins(_folder(row), _LAID_OUT)
      elif row['similarity'] == 'the same weights, shuffled':
        name = title
      else:  # what both files have counts once
        name = row['similarity'] if file == 'geometry' else None
      if name:
        found.setdefault(name, []).append(row)
  return _laid_out('similarity', found, _GEOMETRY)


def geometry_varied() -> str:
  """Returns how layouts by SGD's weights depend on how they were trained."""
  found = {}
  for row in read.rows_of_csv('geometry_more'):
    if row['command'] and (name := _begins(_folder(row), _VARIED)):
      found.setdefault(name, []).append(row)
  columns = {k: v for k, v in _GEOMETRY.items() if k != 'first layer (%)'}
  return _laid_out('S-FC by SGD, with', found, columns)


def geometry_conv() -> str:
  """Returns test accuracies of CONV nets on true and recovered grids."""
  augments = {
    'none': 'no augmentation',
    'flip_crop': 'flips and crops of that grid',
  }
  lines = [['net', 'grid', *augments.values()]]
  groups = {}
  for row in read.rows_of_csv('geometry_conv'):
    key = row['method'].partition(' ')[0], row['α'], _grid(row['command'])
    groups.setdefault(key, []).append(row)
  for (net, alpha, title), own in groups.items():
    by = numbers.grouped(own, 'augment')
    cells = [numbers.over_seeds(by.get(name, [])) for name in augments]
    lines.append([f'{net}, α = {alpha}', title, *cells])
  return table.as_markdown(lines, left=2)


def signals_geometry() -> str:
  """Returns how well orders of scrambled signals agree with the truth."""
  columns = {
    'near (%)': 0, 'agreement (%)': 0, 'r.m.s. (px)': 1, 'own cell (%)': 0,
    'cell ≤ 1.5 px (%)': 0,
  }  # fmt: skip
  heads = [c.replace('px', 'places').replace('cell', 'place') for c in columns]
  lines = [['data', 'from', *heads]]
  for name, title in (
    ('nlgp', 'NLGP'), ('mnist1d', 'MNIST-1D'), ('ecoli', 'E. coli'),
  ):  # fmt: skip
    groups = {}
    for row in read.rows_of_csv(f'signals_geometry_{name}'):
      source = row['method'] or row['similarity'].replace('images', 'signals')
      groups.setdefault(source.partition(' on scrambled')[0], []).append(row)
    for source, own in groups.items():
      cells = [numbers.over_seeds(own, *column) for column in columns.items()]
      lines.append([title, source, *cells])
  return table.as_markdown(lines, left=2)


def _folder(row: table.Row) -> str:
  """Returns the name of a run's folder."""
  return row['command'].rpartition('--workdir=')[2].rpartition('/')[2]


def _begins(folder: str, titles: Mapping[str, str]) -> str | None:
  """Returns the title of the longest key with which a folder's name begins."""
  keys = [key for key in titles if folder.startswith(key)]
  return titles[max(keys, key=len)] if keys else None


def _grid(command: str) -> str:
  """Returns the grid on which a run has seen its images."""
  if '--config.data.layout=' in command:
    return 'recovered'
  return 'scrambled' if '--config.data.permute=' in command else 'true'


def _laid_out(
  head: str,
  groups: Mapping[str, Sequence[table.Row]],
  columns: Mapping[str, int],
) -> str:
  lines = [[head, *columns]]
  for name, own in groups.items():
    cells = [numbers.over_seeds(own, *column) for column in columns.items()]
    lines.append([name, *cells])
  return table.as_markdown(lines)
