"""Checks that a GPU computes what a CPU does, and times how fast it trains.

  python -m benchmarks.gpu --out benchmarks/results/gpu.json
  python -m benchmarks.gpu --train --root runs/gpu --seconds 580 \
    --out benchmarks/results/gpu.json

The first command compares every net, convolution and augmentation with the
CPU's, then times training at the paper's sizes, in less than 8 minutes on an
H200. The second trains the nets of table 1 on CIFAR-10, the most important
first, within a time budget; the same command continues. Results are written as
they come, and parts that a command does not measure stay as they are in the
file. Without a GPU, nothing happens.
"""

import argparse
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import floor, interleave
from benchmarks.gpu import cases, correctness, device, speed, training, worker
from lconv_jax import runs

_TIMEOUT_S = 300.0
_SAVE_S = 20.0  # of the budget, for a run that is stopped to save


class Report:
  """Rows of several parts, in a file that is complete after every result.

  Parts that this process does not measure stay as the file has them.
  """

  def __init__(self, path: str | None, environment: dict[str, Any]) -> None:
    """Reads the file as it is; None keeps everything in memory."""
    self._path, self._environment = path, environment
    self.content = (path and runs.read_json(pathlib.Path(path))) or {}

  def begin(self, part: str) -> None:
    """Drops the rows of a part."""
    self.content[part] = interleave.content([], self._environment)
    interleave.write(self._path, self.content)

  def add(
    self,
    part: str,
    row: interleave.Row,
    line: Callable[[interleave.Row], str],
  ) -> None:
    """Writes a row and prints it, by `line` unless it is an error."""
    self.content[part]['rows'].append(row)
    interleave.write(self._path, self.content)
    verdict = {True: 'pass', False: 'FAIL', None: ''}[row.get('passed')]
    said = row['error'] if 'error' in row else line(row)
    print(f'{verdict:<4}  {row["name"]:<40}  {said}', flush=True)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the suite and returns the exit status: 1 if anything failed."""
  begin = time.monotonic()
  args = _parse(argv)
  try:
    found = worker.call(device.describe, timeout_s=_TIMEOUT_S)
  except worker.WorkError as e:
    print(f'JAX cannot use a device here, so nothing is measured: {e}')
    return 0
  if found['platform'] != 'gpu' and not args.any_device:
    print(
      f'JAX sees no GPU, only {found["device"]} ({found["platform"]}), so '
      'nothing is measured; make venv EXTRAS=test,cuda12 installs what a GPU '
      'needs.'
    )
    return 0
  print(f'{found["device"]}, jax {found["jax"]}, commit {found["commit"]}')
  written = Report(args.out, found)
  if args.train:
    return 0 if _train(args, written, begin + args.seconds) else 1
  ok = _check(args, written)
  return 0 if _measure(args, written) and ok else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = interleave.parser('benchmarks.gpu', __doc__)
  parser.add_argument(
    '--only',
    nargs='+',
    metavar='NAME',
    help='groups of cases, or nets; with --train, runs',
  )
  floor.add_arguments(parser)
  parser.add_argument('--precision', default='bfloat16', help='of the speed')
  parser.add_argument('--train', action='store_true', help='train instead')
  parser.add_argument('--epochs', type=int, default=400)
  parser.add_argument(
    '--seconds',
    type=float,
    default=math.inf,
    help='time budget of --train: a run that cannot finish is not begun, and '
    'one that does not is stopped and saved; default: none',
  )
  parser.add_argument('--root', default='runs/gpu', help='of the run folders')
  parser.add_argument(
    '--data_dir', default='', help='the field data.dir of configs/base.py'
  )
  parser.add_argument(
    '--any_device', action='store_true', help='also without a GPU'
  )
  parser.add_argument(
    '--quick', action='store_true', help='tiny nets, to see whether it runs'
  )
  args = parser.parse_args(argv)
  known = training.RUNS if args.train else correctness.GROUPS | speed.NETS
  if unknown := set(args.only or ()) - known.keys():
    parser.error(
      f'--only: {", ".join(sorted(unknown))} not among {", ".join(known)}.'
    )
  args.only = [name for name in known if name in (args.only or known)]
  args.device = floor.Device(args.tflops, args.bandwidth)
  return args


def _check(args: argparse.Namespace, written: Report) -> bool:
  names = [name for name in args.only if name in correctness.GROUPS]
  if not names:
    return True
  written.begin('correctness')
  ok = True
  size = cases.QUICK if args.quick else cases.FULL
  for row in correctness.check(names, size):
    written.add('correctness', row, correctness.line)
    ok &= row['passed']
  return ok


def _measure(args: argparse.Namespace, written: Report) -> bool:
  names = [name for name in args.only if name in speed.NETS]
  if not names:
    return True
  size = speed.QUICK if args.quick else speed.FULL
  written.begin('peaks')
  peaks = _row('peaks', device.peaks, size.peaks, timeout_s=_TIMEOUT_S)
  written.add('peaks', peaks, device.line)
  written.begin('speed')
  speeds = {'paper': args.device}
  if 'error' not in peaks:
    speeds['measured'] = floor.Device(peaks['tflops'], peaks['bandwidth'])
  rows = [peaks]
  for name in names:
    c = speed.config(name, size, args.precision)
    rows.append(
      _row(name, speed.measure, c, size, speeds, timeout_s=_TIMEOUT_S)
    )
    written.add('speed', rows[-1], speed.line)
  return not any('error' in row for row in rows)


def _train(args: argparse.Namespace, written: Report, deadline: float) -> bool:
  data_dir = args.data_dir and os.path.abspath(args.data_dir)
  configs = [
    training.config(name, args.epochs, data_dir, args.quick)
    for name in args.only
  ]
  bounded = args.seconds < math.inf
  floors = [0.0] * len(configs)
  try:
    worker.call(training.prepare, data_dir, JAX_PLATFORMS='cpu')
    if bounded:
      floors = worker.call(
        training.floors, configs, args.device, JAX_PLATFORMS='cpu'
      )
  except worker.WorkError as e:
    print(f'Nothing is trained: {e}')
    return False
  written.begin('training')
  paces, complete = [], True
  for name, c, floor_s in zip(args.only, configs, floors, strict=True):
    folder = pathlib.Path(args.root, name)
    left_s = deadline - time.monotonic() - _SAVE_S
    # At the best pace of the runs so far, where the floor's is 1.
    needs_s = floor_s * training.left(folder, args.epochs) * min(paces or [1])
    if left_s < needs_s:
      said = f'not begun: needs {needs_s:.0f} s, {left_s:.0f} s are left'
      row = {'name': name, 'error': said}
    else:
      timeout_s = left_s if bounded else None
      row = _row(name, training.run, c, folder, timeout_s=timeout_s)
    written.add('training', row, training.line)
    if 'error' in row:
      complete = False
    elif bounded:
      paces.append(row['seconds'] / floor_s)
  return complete


def _row(
  name: str, fn: Callable[..., Any], *args: Any, timeout_s: float | None
) -> interleave.Row:
  """Returns what `fn` returns in a process of its own, or its error."""
  try:
    return {'name': name} | worker.call(fn, *args, timeout_s=timeout_s)
  except worker.WorkError as e:
    return {'name': name, 'passed': False, 'error': str(e)}


if __name__ == '__main__':
  worker.stop_on_sigterm()
  try:
    sys.exit(main())
  except KeyboardInterrupt:
    sys.exit('Stopped; what was measured is written.')
