"""Writes the tables of README and docs from the measured results.

  python -m benchmarks.tables
  python -m benchmarks.tables --check

A table stands between the lines <!-- table: NAME --> and <!-- end -->, and each
function of `TABLES` makes one from results/*.csv or benchmarks/results/*.json.
Also results/*.md are written anew, each from the CSV of its name.
"""

import argparse
import csv
import itertools
import json
import pathlib
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from configs.grids import scaling as grid
from lconv_jax import models
from lconv_jax.report import table

ROOT = pathlib.Path(__file__).parents[1]

_TABLE = re.compile(
  r'(<!-- table: (\w+) -->\n).*?(?=^<!-- end -->)', re.DOTALL | re.MULTILINE
)
_NOT_RUN = 'not run'
_MOMENTUM = 'SGD momentum=0.9 wd=5e-4'


def rows_of_csv(name: str) -> list[table.Row]:
  """Returns the rows of results/NAME.csv, with numbers as numbers."""
  with (ROOT / 'results' / f'{name}.csv').open(encoding='utf-8') as f:
    return [
      {k: _cell(k, v) for k, v in row.items()} for row in csv.DictReader(f)
    ]


def rows_of_json(name: str, **values: Any) -> list[dict[str, Any]]:
  """Returns the rows of benchmarks/results/NAME.json that have these values."""
  text = (ROOT / 'benchmarks' / 'results' / f'{name}.json').read_text('utf-8')
  rows = json.loads(text)['rows']
  return [row for row in rows if values.items() <= row.items()]


def connectivity() -> str:
  """Returns the test accuracies of CONV, LOCAL and FC."""
  found = {
    (r['method'], r['α']): r['test (%)'] for r in rows_of_csv('connectivity')
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
    shown = [_NOT_RUN if c is None else f'{c:.1f}' for c in cells]
    lines.append([f'{family}-nets, α = {alpha}{words}', *shown])
  return table.as_markdown(lines)


def full_size() -> str:
  """Returns S-FC of the paper's size by SGD and by β-LASSO."""
  titles = {
    _MOMENTUM: 'SGD, lr 0.1, momentum 0.9, weight decay 5e-4',
    'β-LASSO β=50 λ=1e-5': 'β-LASSO, lr 0.1, λ = 1e-5',
    'β-LASSO β=50 λ=9e-6/6e-6 lr=0.5': 'β-LASSO, lr 0.5, λ = 9e-6 / 6e-6',
  }
  lines = [
    [
      'method', 'test accuracy (%)', 'validation (%)', 'non-zero weights (%)',
      'of the first layer (%)', 'local filters (%)', 'spread of a filter (px)',
    ]
  ]  # fmt: skip
  rows = {row['method']: row for row in rows_of_csv('full_size')}
  for method, title in titles.items():
    row = rows[f'S-FC {method}']
    accuracies = [f'{row[name]:.2f}' for name in ('test (%)', 'validation (%)')]
    shares = [
      _share(row[name])
      for name in ('non-zero (%)', 'first layer (%)', 'local (%)')
    ]
    lines.append([title, *accuracies, *shares, f'{row["spread (px)"]:.1f}'])
  return table.as_markdown(lines)


def gpu() -> str:
  """Returns the times of training steps at the paper's sizes on a GPU."""
  lines = [
    [
      'net', 'step (ms)', 'images/s', 'floor (ms)', 'augmentation (%)',
      '400 epochs (min)', 'memory (GiB)',
    ]
  ]  # fmt: skip
  text = (ROOT / 'benchmarks' / 'results' / 'gpu.json').read_text('utf-8')
  rows = json.loads(text)['speed']['rows']
  for row in (row for row in rows if 'error' not in row):
    method = 'β-LASSO' if row['optimiser'] == 'beta_lasso' else 'SGD'
    lines.append(
      [
        f'{models.NETS[row["net"]].title}, α = {row["alpha"]}, by {method}',
        f'{1e3 * row["step_s"]:.2f}',
        _digits(row['images_per_second']),
        f'{1e3 * row["floors"]["measured"]["fused_s"]:.2f}',
        f'{100 * row["augmentation_share"]:.0f}',
        f'{row["minutes_of_400_epochs"]:.1f}',
        f'{row["memory_gib"]:.1f}',
      ]
    )
  return table.as_markdown(lines)


def s_fc_small() -> str:
  """Returns S-FC by SGD and by β-LASSO, with α = 8."""
  titles = {
    'SGD': 'SGD',
    _MOMENTUM: 'SGD, momentum 0.9, weight decay 5e-4',
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
      row for row in rows_of_csv('s_fc_small')
      # Without a validation part, a run had more training images.
      if row['method'] == f'S-FC {method}' and row['validation (%)']
    ]  # fmt: skip
    shares = [
      _share(_mean(own, name)) for name in ('non-zero (%)', 'first layer (%)')
    ]
    spread = f'{_mean(own, "spread (px)"):.1f}'
    lines.append([title, _over_seeds(own), *shares, spread])
  lines[-1][2:] = [f'**{cell}**' for cell in lines[-1][2:]]
  return table.as_markdown(lines)


def speed() -> str:
  """Returns how many times longer others take for the same work."""
  layers, same = (
    [
      ' / '.join(_ratios('local_conv', ours, name, 'D-LOCAL'))
      for name in ('flax', 'torch unfold', 'torch best')
    ]
    for ours in ('batch_minor', 'local_conv')
  )
  one, two = (
    f'{_ratio("augment", "ours", candidate=name):.1f}'
    for name in ('Pillow, 1 process', 'Pillow, 2 processes')
  )
  torch, flax = (
    {
      (row['net'], row['alpha']): row['ratios']['ours']
      for row in rows_of_json('loop', table='loop', candidate=name)
    }
    for name in ('torch', 'flax')
  )
  fc = [
    ' / '.join(f'{peer["s_fc", alpha]:.1f}' for alpha in (1, 4, 16))
    for peer in (torch, flax)
  ]
  s, d = (
    [
      [f'{peer[f"{family}_{kind}", alpha]:.1f}' for kind in ('conv', 'local')]
      for peer in (torch, flax)
    ]
    for family, alpha in (('s', 8), ('d', 4))
  )
  grids = ' / '.join(
    f'{_ratio(name, "side by side", candidate="one by one"):.1f}'
    for name in ('grid', 'grid_30_epochs')
  )
  return table.as_markdown(
    [
      ['work', 'others, relative to this code'],
      [
        'layers of D-LOCAL (α = 15), value and gradients, batch 128 / 512',
        f'flax `ConvLocal` {layers[0]} · PyTorch `unfold` + `einsum` '
        f'{layers[1]} · the best PyTorch that we could write {layers[2]}',
      ],
      ['the same through `local_conv`, channels last', ' · '.join(same)],
      [
        'Fast AutoAugment, batch 512',
        f'Pillow in one process {one} · in two processes {two}',
      ],
      [
        'training S-FC, α = 1 / 4 / 16',
        f'a PyTorch script {fc[0]} · a Flax script {fc[1]}',
      ],
      *(
        [
          f'training {family}-CONV and {family}-LOCAL, α = {alpha}',
          f'PyTorch {" and ".join(by_torch)} · Flax {" and ".join(by_flax)}',
        ]
        for family, alpha, (by_torch, by_flax) in (('S', 8, s), ('D', 4, d))
      ),
      [
        '25 points of a grid side by side, 2 / 30 epochs each',
        f'one process after the other {grids}',
      ],
    ],
    left=2,
  )


def local_layers() -> str:
  """Returns how many times longer others take for D-LOCAL's layers."""
  names = 'flax', 'torch unfold', 'torch best'
  lines = [['ours', 'jax', *(f'`{name}`' for name in names)]]
  for title, ours, jax, file in (
    ('layers of a LOCAL net', 'batch_minor', '0.10', 'local_conv'),
    ('layers of a LOCAL net', 'batch_minor', '0.12', 'local_conv_jax_0_12'),
    ('`local_conv`, channels last', 'local_conv', '0.10', 'local_conv'),
  ):
    cells = [' / '.join(_ratios(file, ours, name, 'D-LOCAL')) for name in names]
    lines.append([title, jax, *cells])
  return table.as_markdown(lines, left=2)


def loop() -> str:
  """Returns images per second of whole training scripts."""
  lines = {}
  for row in rows_of_json('loop', table='loop'):
    title = f'{models.NETS[row["net"]].title} α = {row["alpha"]}'
    lines.setdefault(title, [title]).append(_digits(row['images_per_s']))
  head = ['images/s (batch 512)', 'ours', '`torch`', '`flax`']
  return table.as_markdown([head, *lines.values()])


def chaos() -> str:
  """Returns what runs have survived."""
  single, grids, folders, configs = rows_of_json('chaos')
  return table.as_markdown(
    [
      ['case', 'tried', 'outcome'],
      *(
        [
          row['case'],
          f'{row["kills"]} kills and full disks in {row["runs"]} {what}',
          f'{row["same"]} end with the same bits',
        ]
        for row, what in ((single, 'runs'), (grids, 'grids'))
      ),
      [
        folders['case'],
        f'{folders["damaged"]}',
        f'{folders["same"]} end with the same bits, {folders["said"]} say what '
        f'is wrong, {folders["different"]} does neither',
      ],
      [
        configs['case'],
        f'{configs["configs"]:,}',
        f'{configs["refused"]:,} are refused in a sentence, {configs["built"]} '
        f'can be built, {configs["traceback"]} tracebacks',
      ],
    ],
    left=3,
  )


def side_by_side() -> str:
  """Returns images per second of five points side by side, and of one."""
  lines = [['net', 'five points side by side', 'one point']]
  for net, alpha in (('s_fc', 1), ('s_conv', 4), ('s_local', 4)):
    speeds = {
      row['candidate']: _digits(row['images_per_second'])
      for row in rows_of_json('grid_steps', net=net, alpha=alpha)
    }
    title = f'{models.NETS[net].title}, α = {alpha}'
    lines.append([title, speeds['5 points'], speeds['1 points']])
  return table.as_markdown(lines)


_SPARSE = {
  'trained': 'S-FC, α = 8, by β-LASSO',
  'random, α = 150': 'S-FC, α = 150, 1 % of the weights',
}


def sparse_times() -> str:
  """Returns milliseconds of exported nets and of dense runtimes."""
  peers = {
    'xla': 'XLA',
    'torch': 'PyTorch',
    'onnxruntime': 'onnxruntime',
    'bcoo': "JAX's BCOO",
  }
  lines = [['network', 'images', '`SparseNet`', *peers.values()]]
  for net, title in _SPARSE.items():
    timed = [row for row in rows_of_json('sparse', net=net) if 'batch' in row]
    for batch in dict.fromkeys(row['batch'] for row in timed):
      own = {row['candidate']: row for row in timed if row['batch'] == batch}
      others = [
        f'{_digits(1e3 * own[name]["median_s"])} '
        f'({own[name]["ratios"]["ours"]:.1f})'
        for name in peers
      ]
      ours = _digits(1e3 * own['ours']['median_s'])
      lines.append([title, f'{batch}', ours, *others])
  return table.as_markdown(lines)


def sparse_sizes() -> str:
  """Returns sizes of exported nets."""
  lines = [
    [
      'network', 'weights', 'not zero', 'dense (MB)', '.npz (MB)',
      'in memory (MB)',
    ]
  ]  # fmt: skip
  for net, title in _SPARSE.items():
    (row,) = [r for r in rows_of_json('sparse', net=net) if 'weights' in r]
    sizes = [
      f'{row[f"{name}_bytes"] / 1e6:,.1f}'
      for name in ('dense', 'file', 'memory')
    ]
    lines.append([title, f'{row["weights"]:,}', f'{row["nonzero"]:,}', *sizes])
  return table.as_markdown(lines)


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
    for row in rows_of_csv(file):
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
  for row in rows_of_csv('geometry_more'):
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
  for row in rows_of_csv('geometry_conv'):
    key = row['method'].partition(' ')[0], row['α'], _grid(row['command'])
    groups.setdefault(key, []).append(row)
  for (net, alpha, title), own in groups.items():
    by = _grouped(own, 'augment')
    cells = [_over_seeds(by.get(name, [])) for name in augments]
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
    for row in rows_of_csv(f'signals_geometry_{name}'):
      source = row['method'] or row['similarity'].replace('images', 'signals')
      groups.setdefault(source.partition(' on scrambled')[0], []).append(row)
    for source, own in groups.items():
      cells = [_over_seeds(own, *column) for column in columns.items()]
      lines.append([title, source, *cells])
  return table.as_markdown(lines, left=2)


def scaling() -> str:
  """Returns S-FC by the best SGD and by β-LASSO, for each length and width."""
  lines = [
    [
      'epochs', 'α', 'best SGD (%)', 'β-LASSO, β = 50 (%)', 'difference',
      'first layer (%)', 'local (%)',
    ]
  ]  # fmt: skip
  sizes = itertools.product(sorted(grid.EPOCHS), sorted(grid.ALPHAS))
  rows = [*rows_of_csv('scaling'), *rows_of_csv('full_size')]
  for epochs, alpha in (*sizes, (400, 150)):
    sgd, lasso = (
      _winner(
        row
        for row in rows
        if (row['epochs'], row['α']) == (epochs, alpha)
        and row['method'].startswith(f'S-FC {method}')
      )
      for method in ('SGD', 'β-LASSO β=50 ')
    )
    difference = (
      f'{_mean(lasso) - _mean(sgd):+.1f}' if sgd and lasso else _NOT_RUN
    )
    cells = [_over_seeds(own) for own in (sgd, lasso)]
    of_lasso = [
      _share(_mean(lasso, name)) if lasso else _NOT_RUN
      for name in ('first layer (%)', 'local (%)')
    ]
    lines.append([f'{epochs}', f'{alpha}', *cells, difference, *of_lasso])
  return table.as_markdown(lines, left=0)


def scaling_alpha_4() -> str:
  """Returns all methods and λ that were tried for S-FC with α = 4."""
  names = 'validation (%)', 'test (%)', 'first layer (%)', 'local (%)'
  lines = [['epochs', 'method', *names]]
  groups = {}
  for row in rows_of_csv('scaling'):
    # An unfinished run has a text, such as '12 of 100, unfinished'.
    if row['α'] == 4 and isinstance(row['epochs'], int):
      key = row['epochs'], row['method'].removeprefix('S-FC ')
      groups.setdefault(key, []).append(row)
  for (epochs, method), own in sorted(groups.items()):
    accuracies = [_over_seeds(own, name) for name in names[:2]]
    shares = [_share(_mean(own, name)) for name in names[2:]]
    lines.append([f'{epochs}', method, *accuracies, *shares])
  return table.as_markdown(lines, left=2)


def short_runs() -> str:
  """Returns what short runs and whole runs with the same λ × steps have."""
  of_length = ' after about a tenth / a quarter / all of the epochs'
  lines = [
    ['images', 'λ', f'validation (%){of_length}', f'first layer (%){of_length}']
  ]
  settings = {}
  for row in rows_of_csv('find_l1'):
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
          ' / '.join(_share(row['first layer (%)']) for row in own),
        ]
      )
  return table.as_markdown(lines, left=2)


TABLES: dict[str, Callable[[], str]] = {
  f.__name__: f
  for f in (
    connectivity,
    full_size,
    gpu,
    s_fc_small,
    speed,
    local_layers,
    loop,
    chaos,
    side_by_side,
    sparse_times,
    sparse_sizes,
    geometry,
    geometry_varied,
    signals_geometry,
    scaling,
    scaling_alpha_4,
    short_runs,
    geometry_conv,
  )
}


def pages() -> Iterator[tuple[pathlib.Path, str]]:
  """Yields each page that has tables, and its text with them made anew."""
  for path in sorted((ROOT / 'results').glob('*.csv')):
    if path.with_suffix('.md').exists():
      yield path.with_suffix('.md'), table.markdown(rows_of_csv(path.stem))
  own = (ROOT / folder for folder in ('', 'docs', 'results', 'benchmarks'))
  for path in sorted(page for folder in own for page in folder.glob('*.md')):
    text = path.read_text('utf-8')
    if _TABLE.search(text):
      yield path, _TABLE.sub(lambda m: m[1] + TABLES[m[2]](), text)


def main(argv: Sequence[str] | None = None) -> int:
  """Writes, or checks, all pages; returns the exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.tables', description=__doc__.splitlines()[0]
  )
  parser.add_argument(
    '--check', action='store_true', help='write nothing; 1 if a page differs'
  )
  args = parser.parse_args(argv)
  stale = [(p, text) for p, text in pages() if p.read_text('utf-8') != text]
  for path, text in stale:
    if args.check:
      print(
        f'{path.relative_to(ROOT)} differs from the results; python -m '
        'benchmarks.tables writes it.',
        file=sys.stderr,
      )
    else:
      path.write_text(text, encoding='utf-8')
      print(f'wrote {path.relative_to(ROOT)}')
  return int(args.check and bool(stale))


def _cell(name: str, text: str) -> table.Cell:
  if not text:
    return None
  if name != 'commit':  # which may have digits alone
    for kind in (int, float):
      try:
        return kind(text)
      except ValueError:
        pass
  return text


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
    cells = [_over_seeds(own, *column) for column in columns.items()]
    lines.append([name, *cells])
  return table.as_markdown(lines)


def _winner(rows: Iterable[table.Row]) -> list[table.Row]:
  """Returns the rows, one for each seed, of the best method by validation."""
  groups = {}
  for row in rows:
    groups.setdefault(row['method'], []).append(row)
  return max(
    groups.values(), key=lambda own: _mean(own, 'validation (%)'), default=[]
  )


def _l1(row: table.Row) -> float:
  return float(re.search(r'λ=([^/\s]+)', row['method'])[1])


def _mean(rows: Sequence[table.Row], name: str = 'test (%)') -> float:
  return statistics.fmean(row[name] for row in rows)


def _over_seeds(
  rows: Sequence[table.Row], name: str = 'test (%)', digits: int = 1
) -> str:
  """Returns mean and standard deviation; '' or 'not run' without values."""
  values = [row[name] for row in rows if row[name] is not None]
  if not values:
    return '' if rows else _NOT_RUN
  words = f' ± {statistics.stdev(values):.{digits}f}' if values[1:] else ''
  return f'{statistics.fmean(values):.{digits}f}{words}'


def _grouped(
  rows: Sequence[table.Row], name: str
) -> dict[table.Cell, list[table.Row]]:
  """Returns the rows by the value that they have in one column."""
  found = {}
  for row in rows:
    found.setdefault(row[name], []).append(row)
  return found


def _share(percent: float) -> str:
  """Returns a share with two digits: 100, 1.9, 0.35."""
  return f'{percent:.0f}' if percent >= 10 else f'{percent:#.2g}'


def _digits(value: float) -> str:
  """Returns a number with three digits, or with two if it is below 10."""
  if value >= 100:
    digits = 2 - (len(f'{value:.0f}') - 1)
    return f'{round(value, digits):,.0f}'
  return f'{value:.1f}' if value >= 1 else f'{value:.2f}'


def _ratio(file: str, ours: str, **values: Any) -> float:
  (row,) = rows_of_json(file, **values)
  return row['ratios'][ours]


def _ratios(file: str, ours: str, candidate: str, layer: str) -> list[str]:
  """Returns the ratios at batch sizes 128 and 512."""
  found = [
    _ratio(file, ours, candidate=candidate, layer=layer, batch=batch)
    for batch in (128, 512)
  ]
  return [f'{r:.1f}' if r >= 2 else f'{r:.2f}' for r in found]


if __name__ == '__main__':
  sys.exit(main())
