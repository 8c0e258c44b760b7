"""A grid in one process, side by side, against a process for each point.

  python -m benchmarks.grid --out benchmarks/results/grid.json
  python -m benchmarks.grid --epochs 30 --singles 5   # the other 20 estimated
  python -m benchmarks.grid --throughput --nets s_conv:4 d_conv:2  # steps

The 25 points of β-LASSO's grid without dropout, S-FC, CIFAR-10. Whole
commands are timed from start to end; both begin without compiled programs, and
with decoded images. `--throughput` compares training alone, in this process.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence

from benchmarks import interleave
from configs import base
from configs.grids import beta_lasso
from launch import sweep
from lconv_jax import data, models
from lconv_jax.train import optim, trainer

CANDIDATES = ('side by side', 'one by one')
_ROOT = pathlib.Path(__file__).parents[1]
_GRID = """
from configs.grids import beta_lasso

CONFIG = 'configs/s_fc.py'

def sweep():
  return [p for p in beta_lasso.sweep() if not p['model.dropout']]
"""
_STEPS = 10


def points(args: argparse.Namespace, folder: pathlib.Path) -> sweep.Sweep:
  """Returns the 25 points, with the fields that the command line sets."""
  grid = folder / 'grid.py'
  grid.write_text(_GRID)
  overrides = {
    'model.base_channels': args.alpha,
    'train.epochs': args.epochs,
    'data.dir': args.data_dir,
  }
  overrides = {k: str(v) for k, v in overrides.items() if v != ''}
  config = f'configs/s_fc.py:{args.data}'
  return sweep.expand(str(grid), config, overrides)


def commands(
  whole: sweep.Sweep, folder: pathlib.Path, singles: int
) -> dict[str, list[list[str]]]:
  """Returns the commands of each candidate."""
  names = list(whole.points)
  some = [names[i * len(names) // singles] for i in range(singles)]
  return {
    'side by side': [sweep.command_for_all(whole, folder / 'together')],
    'one by one': [sweep.command(whole, n, folder / 'apart') for n in some],
  }


def seconds(all_of_them: Sequence[Sequence[str]], home: pathlib.Path) -> float:
  """Returns the seconds that commands take, the first of which compiles."""
  shutil.rmtree(home / 'lconv_jax' / 'xla', ignore_errors=True)
  environ = {**os.environ, 'XDG_CACHE_HOME': str(home)}
  begin = time.perf_counter()
  for command in all_of_them:
    subprocess.run(
      command, cwd=_ROOT, env=environ, stdout=subprocess.DEVNULL, check=True
    )
  return time.perf_counter() - begin


def whole_commands(args: argparse.Namespace) -> list[interleave.Row]:
  """Times side by side, one by one, and side by side again."""
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    whole = points(args, folder)
    # Decoded here, as on any machine that has trained before.
    if args.data == 'cifar10':
      data.read(args.data, args.data_dir)
      shutil.copytree(data.cache.cache_dir(), folder / 'home' / 'lconv_jax')
    runs = commands(whole, folder, args.singles)
    times = {candidate: [] for candidate in CANDIDATES}
    for candidate in (*CANDIDATES, CANDIDATES[0]):
      shutil.rmtree(folder / 'together', ignore_errors=True)
      times[candidate].append(seconds(runs[candidate], folder / 'home'))
      print(f'{candidate}: {times[candidate][-1]:.1f} s', flush=True)
  together, apart = (statistics.median(t) for t in times.values())
  apart *= len(whole.points) / args.singles
  return interleave.rows(
    {
      'side by side': interleave.Timing(together, None, 2),
      'one by one': interleave.Timing(apart, None, 1),
    },
    CANDIDATES[:1],
    data=args.data,
    alpha=args.alpha,
    epochs=args.epochs,
    points=len(whole.points),
    singles_run=args.singles,
  )


def throughput(
  args: argparse.Namespace, net: str, alpha: int
) -> list[interleave.Row]:
  """Times training steps of some numbers of points in one program."""
  config = base.choose(base.base(), args.data)
  config.model.update({'name': net, 'base_channels': alpha})
  config.data.dir = args.data_dir
  built = trainer.setup(config, data.load(config.data))
  calls = {}
  for count in args.counts:
    hypers = []
    for point in beta_lasso.sweep()[: 2 * count : 2]:  # no dropout
      config.update_from_flattened_dict(point)
      hypers.append(optim.Hyper.from_config(config))
    t = trainer.Trainer(built, hypers=hypers)
    calls[f'{count} points'] = lambda t=t: t.train_until(t.step + _STEPS)
  labels = {'net': net, 'data': args.data, 'alpha': alpha}
  rows = interleave.compare(calls, 5, list(calls)[:1], labels, 30.0)
  for row, count in zip(rows, args.counts, strict=True):
    images = count * _STEPS * config.train.batch_size
    row['images_per_second'] = images / row['median_s']
  return rows


def _net(word: str) -> tuple[str, int]:
  name, _, alpha = word.partition(':')
  if name not in models.NETS or not alpha.isdecimal():
    raise argparse.ArgumentTypeError(f'{word!r} is not NET:α, such as s_fc:1')
  return name, int(alpha)


def _parser() -> argparse.ArgumentParser:
  made = interleave.parser('benchmarks.grid', __doc__)
  made.add_argument('--alpha', type=int, default=1)
  made.add_argument('--epochs', type=int, default=2)
  made.add_argument(
    '--singles', type=int, default=25, help='how many points run one by one'
  )
  made.add_argument(
    '--data', default='cifar10', help='choices of the config, or nlgp,smoke'
  )
  made.add_argument('--data_dir', default='')
  made.add_argument('--throughput', action='store_true')
  made.add_argument(
    '--counts',
    type=int,
    nargs='+',
    default=[1, 5, 25],
    help='numbers of points, for --throughput',
  )
  made.add_argument(
    '--nets',
    type=_net,
    nargs='+',
    default=[('s_fc', 1)],
    metavar='NET:α',
    help='for --throughput',
  )
  return made


def main(argv: Sequence[str] | None = None) -> None:
  """Times the grid, prints a table and writes it."""
  args = _parser().parse_args(argv)
  if args.throughput:
    rows = [r for net in args.nets for r in throughput(args, *net)]
    interleave.show(
      'Images per second, of all points together:',
      rows,
      ('net', 'data', 'alpha'),
      lambda row: f'{row["images_per_second"]:,.0f}',
    )
  else:
    rows = whole_commands(args)
    share = interleave.ratio(CANDIDATES[0])
    interleave.show(
      'Seconds (over side by side):',
      rows,
      ('data', 'alpha', 'epochs', 'points'),
      lambda row: f'{row["median_s"]:.1f} ({share(row)})',
    )
  interleave.finish(args.out, rows)


if __name__ == '__main__':
  main()
