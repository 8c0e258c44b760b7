"""Whether a GPU computes what a CPU does, and how fast it trains.

  python -m benchmarks.gpu --out benchmarks/results/gpu.json
  python -m benchmarks.gpu --train --root runs/gpu \
    --out benchmarks/results/gpu.json

The first command compares every net, convolution and augmentation with the
CPU's, then measures training at the paper's sizes, in less than 8 minutes on
an H200. The second trains the paper's nets on CIFAR-10; repeated, it
continues. Results are written as they come, and parts that a command does not
measure stay as they are in the file. Without a GPU, nothing happens.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import floor, interleave
from benchmarks.gpu import (
  cases,
  correctness,
  device,
  goals,
  report,
  speed,
  training,
  worker,
)

_TIMEOUT_S = 300.0


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the suite and returns the exit status: 1 if anything failed.

  Args:
    argv: command line without the program's name; None: the process's own.
  """
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
  written = report.Report(args.out, found)
  if args.train:
    return 0 if _train(args, written) else 1
  ok = _check(args, written)
  return 0 if _measure(args, written) and ok else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = interleave.parser('benchmarks.gpu', __doc__)
  parser.add_argument(
    '--only', nargs='+', metavar='NAME',
    help='groups of cases or nets; with --train, runs',
  )  # fmt: skip
  floor.add_arguments(parser)
  parser.add_argument('--precision', default='bfloat16', help='of the speed')
  parser.add_argument('--train', action='store_true', help='train instead')
  parser.add_argument('--epochs', type=int, default=400)
  parser.add_argument('--root', default='runs/gpu', help='of the run folders')
  parser.add_argument(
    '--data_dir', default='', help='as data.dir of configs/base.py'
  )
  parser.add_argument(
    '--any_device', action='store_true', help='also where there is no GPU'
  )
  parser.add_argument(
    '--quick', action='store_true', help='tiny nets: whether it runs at all'
  )
  args = parser.parse_args(argv)
  known = training.RUNS if args.train else correctness.GROUPS | speed.NETS
  if unknown := set(args.only or ()) - known.keys():
    parser.error(
      f'--only: {", ".join(sorted(unknown))} not among {", ".join(known)}.'
    )
  args.only = [name for name in known if name in (args.only or known)]
  return args


def _check(args: argparse.Namespace, written: report.Report) -> bool:
  names = [name for name in args.only if name in correctness.GROUPS]
  if not names:
    return True
  written.begin('correctness')
  ok = True
  size = cases.QUICK if args.quick else cases.FULL
  for row in correctness.check(names, size):
    written.add('correctness', row)
    _show(row, correctness.line)
    ok &= row['passed']
  return ok


def _measure(args: argparse.Namespace, written: report.Report) -> bool:
  names = [name for name in args.only if name in speed.NETS]
  if not names:
    return True
  size = speed.QUICK if args.quick else speed.FULL
  written.begin('peaks')
  peaks = _add(
    written, 'peaks', 'peaks', device.line, device.peaks, size.peaks,
    timeout_s=_TIMEOUT_S,
  )  # fmt: skip
  written.begin('speed')
  speeds = {'paper': (args.tflops, args.bandwidth)}
  if peaks:
    speeds['measured'] = peaks['tflops'], peaks['bandwidth']
  found = []
  for name in names:
    net = speed.NETS[name]
    net = net._replace(alpha=1) if args.quick else net
    found.append(
      _add(
        written, 'speed', name, speed.line,
        speed.measure, net, size, args.precision, speeds,
        timeout_s=_TIMEOUT_S,
      )
    )  # fmt: skip
  written.begin('goals')
  for row in goals.rows([row for row in found if row]):
    written.add('goals', row)
    _show(row, goals.line)
  return bool(peaks) and all(found)


def _train(args: argparse.Namespace, written: report.Report) -> bool:
  data_dir = args.data_dir and os.path.abspath(args.data_dir)
  try:
    worker.call(training.prepare, data_dir, JAX_PLATFORMS='cpu')
  except worker.WorkError as e:
    print(f'Nothing is trained: {e}')
    return False
  written.begin('training')
  rows = [
    _add(
      written, 'training', name, training.line,
      training.run, name, args.root, args.epochs, data_dir, args.quick,
    )
    for name in args.only
  ]  # fmt: skip
  return all(rows)


def _add(
  written: report.Report,
  part: str,
  name: str,
  line: Callable[[dict[str, Any]], str],
  fn: Callable[..., Any],
  *args: Any,
  timeout_s: float | None = None,
) -> dict[str, Any] | None:
  """Computes a row in a process of its own; None where that fails."""
  try:
    row = worker.call(fn, *args, timeout_s=timeout_s)
  except worker.WorkError as e:
    row = {'passed': False, 'error': str(e)}
  row = {'name': name} | row
  written.add(part, row)
  _show(row, line)
  return None if 'error' in row else row


def _show(row: dict[str, Any], line: Callable[[dict[str, Any]], str]) -> None:
  verdict = {True: 'pass', False: 'FAIL', None: '    '}[row.get('passed')]
  said = row['error'] if 'error' in row else line(row)
  print(f'{verdict}  {row["name"]:<40}  {said}', flush=True)


if __name__ == '__main__':
  worker.stop_on_sigterm()
  try:
    sys.exit(main())
  except KeyboardInterrupt:
    sys.exit('Stopped; what was measured is written.')
