"""Tables of times, sizes, and of what runs survive."""

import json
from typing import Any

from benchmarks.tables import numbers, read
from lconv_jax import models
from lconv_jax.report import table


def gpu() -> str:
  """Returns the times of training steps at the paper's sizes on a GPU."""
  lines = [
    [
      'net', 'step (ms)', 'images/s', 'floor (ms)', 'augmentation (%)',
      '400 epochs (min)', 'memory (GiB)',
    ]
  ]  # fmt: skip
  text = (read.ROOT / 'benchmarks' / 'results' / 'gpu.json').read_text('utf-8')
  rows = json.loads(text)['speed']['rows']
  for row in (row for row in rows if 'error' not in row):
    method = 'β-LASSO' if row['optimiser'] == 'beta_lasso' else 'SGD'
    lines.append(
      [
        f'{models.NETS[row["net"]].title}, α = {row["alpha"]}, by {method}',
        f'{1e3 * row["step_s"]:.2f}',
        numbers.digits(row['images_per_second']),
        f'{1e3 * row["floors"]["measured"]["fused_s"]:.2f}',
        f'{100 * row["augmentation_share"]:.0f}',
        f'{row["minutes_of_400_epochs"]:.1f}',
        f'{row["memory_gib"]:.1f}',
      ]
    )
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
      for row in read.rows_of_json('loop', table='loop', candidate=name)
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
  for row in read.rows_of_json('loop', table='loop'):
    title = f'{models.NETS[row["net"]].title} α = {row["alpha"]}'
    lines.setdefault(title, [title]).append(numbers.digits(row['images_per_s']))
  head = ['images/s (batch 512)', 'ours', '`torch`', '`flax`']
  return table.as_markdown([head, *lines.values()])


def side_by_side() -> str:
  """Returns images per second of five points side by side, and of one."""
  lines = [['net', 'five points side by side', 'one point']]
  for net, alpha in (('s_fc', 1), ('s_conv', 4), ('s_local', 4)):
    speeds = {
      row['candidate']: numbers.digits(row['images_per_second'])
      for row in read.rows_of_json('grid_steps', net=net, alpha=alpha)
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
    timed = [
      row for row in read.rows_of_json('sparse', net=net) if 'batch' in row
    ]
    for batch in dict.fromkeys(row['batch'] for row in timed):
      own = {row['candidate']: row for row in timed if row['batch'] == batch}
      others = [
        f'{numbers.digits(1e3 * own[name]["median_s"])} '
        f'({own[name]["ratios"]["ours"]:.1f})'
        for name in peers
      ]
      ours = numbers.digits(1e3 * own['ours']['median_s'])
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
    (row,) = [r for r in read.rows_of_json('sparse', net=net) if 'weights' in r]
    sizes = [
      f'{row[f"{name}_bytes"] / 1e6:,.1f}'
      for name in ('dense', 'file', 'memory')
    ]
    lines.append([title, f'{row["weights"]:,}', f'{row["nonzero"]:,}', *sizes])
  return table.as_markdown(lines)


def chaos() -> str:
  """Returns what runs have survived."""
  single, grids, folders, configs = read.rows_of_json('chaos')
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
        f'is wrong, {folders["different"]} neither',
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


def _ratio(file: str, ours: str, **values: Any) -> float:
  (row,) = read.rows_of_json(file, **values)
  return row['ratios'][ours]


def _ratios(file: str, ours: str, candidate: str, layer: str) -> list[str]:
  """Returns the ratios at batch sizes 128 and 512."""
  found = [
    _ratio(file, ours, candidate=candidate, layer=layer, batch=batch)
    for batch in (128, 512)
  ]
  return [f'{r:.1f}' if r >= 2 else f'{r:.2f}' for r in found]
