"""Time from the start of Python to the first step, without and with the cache.

  python -m benchmarks.startup --out benchmarks/results/startup.json

Starts main.py with a new cache folder, then again: the second start finds the
compiled programs there. A thousand images are drawn on the spot.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import interleave

NETS = ('s_fc', 's_local', 'd_conv', 'd_local')
_ROOT = pathlib.Path(__file__).parents[1]
# Runs main.py, says when its first step is done, and ends.
_PROGRAM = """
import os, runpy
from lconv_jax.train import trainer

def train_until(self, stop, original=trainer.Trainer.train_until):
  original(self, stop)
  print('stepped', flush=True)
  os._exit(0)

trainer.Trainer.train_until = train_until
runpy.run_path('main.py', run_name='__main__')
"""


def seconds(name: str, alpha: int, folder: pathlib.Path) -> float:
  """Returns the seconds from the start of Python to the end of a first step."""
  with tempfile.TemporaryDirectory(dir=folder) as workdir:
    command = [
      *(sys.executable, '-c', _PROGRAM, f'--config=configs/{name}.py:nlgp'),
      f'--config.model.base_channels={alpha}',
      '--config.data.augment=fast_autoaugment',
      '--config.data.nlgp.channels=3',
      '--config.data.nlgp.train=1012',
      '--config.data.nlgp.test=500',
      '--config.data.validation=500',
      '--config.train.epochs=1',
      f'--workdir={workdir}/run',
    ]
    environ = {**os.environ, 'XDG_CACHE_HOME': str(folder)}
    begin = time.perf_counter()
    with subprocess.Popen(
      command, cwd=_ROOT, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
      for line in process.stdout:
        if line == 'stepped\n':
          return time.perf_counter() - begin
  raise RuntimeError(f'{name} ended before its first step.')


def measure(name: str, alpha: int, again: int) -> list[interleave.Row]:
  """Times a first start, and takes the median of `again` later ones."""
  with tempfile.TemporaryDirectory() as folder:
    first = seconds(name, alpha, pathlib.Path(folder))
    later = [seconds(name, alpha, pathlib.Path(folder)) for _ in range(again)]
  timings = {
    'first': interleave.Timing(first, None, 1),
    'later': interleave.Timing(statistics.median(later), None, again),
  }
  return interleave.rows(timings, ('later',), net=name, alpha=alpha)


def main(argv: Sequence[str] | None = None) -> None:
  """Times starts, prints a table and writes it."""
  parser = interleave.parser('benchmarks.startup', __doc__)
  parser.add_argument('--nets', nargs='+', choices=NETS, default=list(NETS))
  parser.add_argument('--alpha', type=int, default=4)
  parser.add_argument('--again', type=int, default=3, help='later starts')
  args = parser.parse_args(argv)
  rows = []
  for name in args.nets:
    rows += measure(name, args.alpha, args.again)
  interleave.finish(args.out, rows)
  interleave.show(
    'Milliseconds to the first step (over later starts):',
    rows,
    ('net', 'alpha'),
    interleave.milliseconds('later'),
  )


if __name__ == '__main__':
  main()
