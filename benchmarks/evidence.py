"""Measures again what README and docs claim, in parts that can be chosen.

  make evidence
  make evidence PARTS='demo scaling:a8_e400'
  make evidence PARTS=all

Without PARTS, it prints the plan, with the hours of each part; "all" leaves out
what needs a GPU. The same command continues: runs that are finished are not
trained again. Runs are below runs/evidence, results below results/ and
benchmarks/results/, and at the end the tables of README and docs are written
from them (benchmarks.tables).
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.tables import pages, read
from configs.grids import scaling
from lconv_jax import errors, report

_ROOT = 'runs/evidence'
# Seconds of an epoch of a cell's 19 points, on 2 cores, estimated.
_EPOCH_SECONDS = {1: 12, 2: 32, 4: 66, 8: 140}
# What won at 400 epochs with α = 4 and 8, and was repeated.
_WINNERS = {
  'lasso': (
    '--config.optim.lr=0.5 --config.optim.l1_conv=1.8e-5 '
    '--config.optim.l1_fc=1.2e-5'
  ),
  'sgd': (
    '--config.optim.name=sgd --config.optim.momentum=0.9 '
    '--config.optim.weight_decay=1e-4'
  ),
}
_SCALING_HOURS = {
  **{
    f'a{alpha}_e{epochs}': epochs * _EPOCH_SECONDS[alpha] / 3600
    for epochs in scaling.EPOCHS
    for alpha in scaling.ALPHAS
  },
  's_nets': 3,
  'd_nets': 8,
}
# Configs for which launch.find_l1 is compared with long runs, and lengths.
_SHORT = {
  'cifar': (
    '--config=configs/s_fc_small.py --config.model.base_channels=2 '
    '--config.train.epochs=12',
    (1, 3, 12),
  ),
  'demo': (
    '--config=configs/demo.py --config.data.validation=5000',
    (4, 11, 45),
  ),
}
# Data of configs/signals.py, and what makes the file that they are in.
_SIGNALS = {
  'nlgp': '',
  'mnist1d': (
    'python -m pip install mnist1d && python examples/mnist1d.py mnist1d.npz'
  ),
  'ecoli': 'python examples/ecoli.py NC_008253.fna.gz ecoli.npz',
}
_OTHER_VERSION = '_jax_0_12'  # of files that need an environment of their own


class Part(NamedTuple):
  """Commands that write some results."""

  writes: str
  hours: float | None  # None: not known
  commands: list[str]
  gpu: bool = False  # whether it needs a GPU; otherwise hours are of two cores


def parts() -> dict[str, Part]:
  """Returns all parts by name, in the order in which they are run."""
  own = {name: _geometry(name) for name in ('geometry', 'geometry_more')}
  own |= {'geometry_conv': _geometry_conv(), 'find_l1': _find_l1()}
  own |= {f'signals_{name}': _signals(name) for name in _SIGNALS}
  own |= {
    f'signals_geometry_{name}': _signals_geometry(name) for name in _SIGNALS
  }
  names = (path.stem for path in sorted((read.ROOT / 'results').glob('*.csv')))
  # Their last columns have the command and the time of each run.
  found = {
    name: _runs(name)
    for name in names
    if name not in (*own, 'scaling')
    and {'command', 'seconds'} <= read.rows_of_csv(name)[0].keys()
  }
  found |= own
  found |= {f'scaling:{name}': _scaling(name) for name in scaling.PARTS}
  folder = read.ROOT / 'benchmarks' / 'results'
  for path in sorted(folder.glob('*.json')):
    if not path.stem.endswith(_OTHER_VERSION):
      found[path.stem] = _benchmark(path)
  return found


def plan(chosen: dict[str, Part]) -> str:
  """Returns a table of parts, what they write and their hours."""
  lines = [['part', 'writes', 'hours on 2 cores']]
  for name, part in chosen.items():
    hours = 'needs a GPU' if part.gpu else _hours(part.hours)
    lines.append([name, part.writes, hours])
  known = [p.hours for p in chosen.values() if p.hours and not p.gpu]
  lines.append(['all that is known', '', _hours(sum(known))])
  return report.aligned(lines, left=(0, 1))


def main(argv: Sequence[str] | None = None) -> int:
  """Prints the plan, and runs what is chosen; returns the exit status."""
  every = parts()
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.evidence', description=__doc__.splitlines()[0]
  )
  parser.add_argument(
    'parts', nargs='*', metavar='PART', help=f'all, or {", ".join(every)}'
  )
  parser.add_argument(
    '--dry_run', action='store_true', help='print the commands'
  )
  args = parser.parse_args(argv)
  names = args.parts
  if names == ['all']:
    names = [name for name, part in every.items() if not part.gpu]
  if wrong := [name for name in names if name not in every]:
    print(f'error: {errors.unknown("PART", wrong[0], every)}', file=sys.stderr)
    return 2
  print(plan({name: every[name] for name in names} or every), flush=True)
  for command in (c for name in names for c in every[name].commands):
    print(f'\n$ {command}', flush=True)
    if not args.dry_run and (status := _run(command)):
      print(
        f'error: the command above has failed with status {status}; mend that '
        'and repeat make evidence, which continues.',
        file=sys.stderr,
      )
      return 1
  if names and not args.dry_run:
    return pages.main([])
  return 0


def _run(command: str) -> int:
  python = shlex.quote(sys.executable)
  command = re.sub(r'(^|&& )python\b', lambda m: m[1] + python, command)
  return subprocess.run(
    command, shell=True, cwd=read.ROOT, check=False
  ).returncode


def _runs(name: str) -> Part:
  """Returns the part that trains the runs of results/NAME.csv again."""
  rows = read.rows_of_csv(name)
  commands, folders = [], []
  for row in rows:
    folder = re.search(r'--workdir=\S*?([^/\s]+)(\s|$)', row['command'])[1]
    folders.append(f'{_ROOT}/{name}/{folder}')
    command = f'{_without(row["command"], "workdir")} --workdir={folders[-1]}'
    if 'data.augment' not in command:
      # The default has changed since some of these rows were measured.
      command += f' --config.data.augment={row["augment"]}'
    commands.append(command)
  shown, csv = ' '.join(folders), f'results/{name}.csv'
  if name == 'theorem2':
    commands.append(f'python -m lconv_jax.mdl {shown} --csv={csv}')
  else:
    commands.append(_report(shown, name))
  hours = sum(row['seconds'] for row in rows) / 3600
  return Part(csv, hours, commands, gpu=_on_a_gpu(name))


def _geometry(name: str) -> Part:
  """Returns the part that lays pixels out by the weights of dense nets."""
  rows = [row for row in read.rows_of_csv(name) if row['command']]
  train = [_below('geometry', row) for row in rows]
  folders = ' '.join(command.rpartition('=')[2] for command in train)
  csv = f'results/{name}.csv'
  lay_out = f'python -m lconv_jax.geometry {folders} --csv={csv}'
  if name == 'geometry_more':  # the images' covariance is known by then
    lay_out += ' --images --surface=plane'
  seconds = sum(row['seconds'] for row in rows)
  return Part(csv, seconds / 3600, [*train, lay_out])


def _geometry_conv() -> Part:
  """Returns the part that comes after `geometry`, with its layouts."""
  name = 'geometry_conv'
  rows = read.rows_of_csv(name)
  train = [_below('geometry', row) for row in rows]
  folders = ' '.join(command.rpartition('=')[2] for command in train)
  seconds = sum(row['seconds'] for row in rows)
  commands = [*train, _report(folders, name)]
  return Part(f'results/{name}.csv', seconds / 3600, commands)


def _below(name: str, row: report.Row) -> str:
  """Returns a run's command with all run folders in runs/evidence/NAME."""
  return re.sub(r'=runs/[^/\s]+/', f'={_ROOT}/{name}/', row['command'])


def _signals(name: str) -> Part:
  """Returns the part that trains nets on signals."""
  make, root = _SIGNALS[name], f'{_ROOT}/signals_{name}'
  config = f'configs/signals.py:{name}' if make else 'configs/signals.py'
  train = (
    f'python main.py --config={config} --grid=examples/signals.py '
    f'--seeds=0,1,2 --workdir={root}'
  )
  rows = read.rows_of_csv(f'signals_{name}')
  seconds = sum(row['seconds'] for row in rows) / 3  # side by side
  report = _report(f'{root}/*seed=*', f'signals_{name}')
  return Part(
    f'results/signals_{name}.csv',
    seconds / 3600,
    [*filter(None, [make]), train, report],
  )


def _signals_geometry(name: str) -> Part:
  """Returns the part that comes after `_signals`."""
  csv, shown = f'results/signals_geometry_{name}.csv', '*s_fc*permute=1*'
  run = f'python -m lconv_jax.geometry {_ROOT}/signals_{name}/{shown}'
  # MNIST-1D and genes have two ends; NLGP is periodic, which is found out.
  surface = '' if name == 'nlgp' else ' --surface=plane'
  return Part(csv, 0.05, [f'{run}{surface} --csv={csv}'])


def _find_l1() -> Part:
  """Returns the part that compares short runs with the long one."""
  root = f'{_ROOT}/find_l1'
  commands = [
    f'python -m launch.find_l1 {config} --epochs={epochs} '
    f'--root={root}/{name}_{epochs}'
    for name, (config, lengths) in _SHORT.items()
    for epochs in lengths
  ]
  commands.append(_report(f'{root}/*/*seed=*', 'find_l1'))
  # Points that train side by side take the time of one.
  rows = read.rows_of_csv('find_l1')
  times = {(row['data'], row['epochs']): row['seconds'] for row in rows}
  return Part('results/find_l1.csv', sum(times.values()) / 3600, commands)


def _scaling(name: str) -> Part:
  root = f'{_ROOT}/scaling'
  evaluate = 10 if name.endswith(('_e400', '_nets')) else 5
  fields = (
    f'--config.precision=bfloat16 --config.train.eval_every_epochs={evaluate}'
  )
  train = [
    f'python -m launch.local scaling:{name} --root={root}/{name} {fields}'
  ]
  if name.endswith('_nets'):
    train[0] += ' --seeds=0,1'
  if name in ('a8_e400', 'a4_e400'):
    alpha = f'--config.model.base_channels={name[1]}'
    train += [
      f'python -m launch.local single --root={root}/{name}_{method}_seeds '
      f'--config=configs/s_fc.py {alpha} {winner} {fields} --seeds=1,2'
      for method, winner in _WINNERS.items()
    ]
  return Part(
    'results/scaling.csv',
    _SCALING_HOURS[name],
    [
      *train,
      # Of all parts that have been trained so far.
      _report(f'{root}/*/*seed=*', 'scaling'),
      f'python -m lconv_jax.figures scaling {root} --out={root}/figures',
    ],
  )


def _benchmark(path: pathlib.Path) -> Part:
  out = str(path.relative_to(read.ROOT))
  # gpu.json has a command for each of its parts.
  content = json.loads(path.read_text('utf-8'))
  command = content.get('command', f'python -m benchmarks.{path.stem}')
  # The net that sparse.json describes is one of s_fc_small's.
  command = command.replace('--run runs/', f'--run {_ROOT}/s_fc_small/')
  command = f'{_without(command, "out")} --out={out}'
  return Part(out, None, [command], gpu=path.stem == 'gpu')


def _on_a_gpu(name: str) -> bool:
  return 'NVIDIA' in read.rows_of_csv(name)[0]['machine']


def _report(shown: str, name: str) -> str:
  return (
    f'python -m lconv_jax.report {shown} --csv=results/{name}.csv '
    f'--markdown=results/{name}.md --out={_ROOT}/{name}'
  )


def _without(command: str, flag: str) -> str:
  """Returns a command without --FLAG=VALUE or --FLAG VALUE."""
  return re.sub(rf' --{flag}[= ]\S+', '', command)


def _hours(hours: float | None) -> str:
  return '–' if hours is None else f'{hours:.2f}'


if __name__ == '__main__':
  sys.exit(main())
