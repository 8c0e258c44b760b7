"""Describes the nets of runs in few bits, and says what theorem 2 guarantees.

python -m lconv_jax.mdl runs/sgd runs/beta_lasso --out figures
"""

import argparse
import math
import pathlib
import sys
from collections.abc import Sequence

from lconv_jax.report import command

with command.needs('mdl,train'):
  from lconv_jax import errors, report
  from lconv_jax.mdl import code, guarantee
  from lconv_jax.report import find

_NOTE = """\
described: number of weights and biases, with the moments of the pixels.
coarse: after pruning, with k distinct values of b bits. {codes}: bits
in each code; the shortest is in {file}. bound: on the error of the coarse net,
theorem 2 as stated and, tighter, in nats. Each bound holds with probability
1 - {delta:g} by itself, for an architecture that was chosen before the data
were seen: to choose one of R architectures by their bounds, divide delta by R.
A bound is vacuous if, in nats, guessing is as good."""
_CAPTION = (
  'Bounds of theorem 2 on the error of nets that were pruned, quantised and '
  'written in few bits, beside their error on the test images. Each bound '
  'holds with probability {confidence:g} by itself, in nats and, looser, as '
  'stated. Grey: a bound is vacuous, for guessing is as good.'
)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.mdl', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument(
    '--delta', type=float, default=0.05,
    help='probability that the bound does not hold; default: %(default)s',
  )  # fmt: skip
  parser.add_argument(
    '--tolerance', type=float, default=0.02,
    help='training error that pruning and quantising may add; default: '
    '%(default)s, two per cent of the images',
  )  # fmt: skip
  parser.add_argument(
    '--data_dir', default='', help='where the data set is now, if it was moved'
  )
  parser.add_argument('--out', help="the figure's folder; default: no figure")
  parser.add_argument('--csv', help='write the table with all columns')
  return command.run(parser, _print, argv)


def _print(args: argparse.Namespace) -> None:
  read, left_out = find.read(args.runs)
  described = []
  for label, run in zip(report.labels(read), read, strict=True):
    try:
      g = guarantee.of_run(run.path, args.delta, args.tolerance, args.data_dir)
    except (OSError, errors.UsageError) as e:
      left_out.append(f'{run.path}: {errors.one_line(e)}')
      continue
    path = run.path / guarantee.FILE
    print(
      f'{label}: {path}, {path.stat().st_size:,} bytes; read again, it '
      f'predicts the same on all {g.num_test:,} test images.',
      flush=True,
    )
    described.append((label, run, g))
  if not described:
    raise errors.UsageError(' '.join(left_out))
  command.tell_left_out(left_out)
  labels, read, found = zip(*described, strict=True)
  rows = [
    # With the run's own columns, which say where it comes from.
    {**_row(g), **report.row(run), 'method': label}
    for label, g, run in zip(labels, found, read, strict=True)
  ]
  note = _NOTE.format(
    codes=', '.join(code.CODES),
    file=guarantee.FILE,
    delta=args.delta,
  )
  print('', report.text(rows, list(_row(found[0]))), '', note, '', sep='\n')
  if args.csv:
    report.write_csv(rows, args.csv)
    print(f'wrote {args.csv}')
  if args.out:
    about = _CAPTION.format(confidence=1 - args.delta)
    caption = report.caption((about,), read, report.Request(args.command))
    for path in _draw(labels, found, pathlib.Path(args.out), caption):
      print(f'wrote {path}')
  for label, g in zip(labels, found, strict=True):
    print(_guarantee(label, g, args.delta))


def _row(g: guarantee.Guarantee) -> report.Row:
  length, bound = g.description.length, g.bound
  return {
    'method': None,  # the first column
    'described': length.n,
    'coarse non-zero': length.nnz,
    'k': length.k,
    'b': g.setting.b,
    **{f'{name} (bits)': n for name, n in g.description.by_code.items()},
    'train error (%)': 100 * g.train_error,
    'coarse train': 100 * bound.train_error,
    'test error (%)': 100 * g.test_error,
    'coarse test': 100 * g.coarse_test_error,
    'bound (%)': 100 * bound.as_stated,
    'in nats (%)': 100 * bound.in_nats,
    'vacuous': 'yes' if g.vacuous else 'no',
  }


def _draw(
  labels: Sequence[str],
  found: Sequence[guarantee.Guarantee],
  out: pathlib.Path,
  caption: str,
) -> tuple[pathlib.Path, ...]:
  nets = [
    report.Bounded(
      label, g.coarse_test_error, g.bound.in_nats, g.bound.as_stated
    )
    for label, g in zip(labels, found, strict=True)
  ]
  guess = max(1 - 1 / g.num_classes for g in found)
  fig = report.draw_bounds(nets, guess)
  return report.save(fig, out / 'bounds.png', caption)


def _guarantee(label: str, g: guarantee.Guarantee, delta: float) -> str:
  net = f'{label}, coarse, in {g.description.length.bits:,} bits'
  nats, stated = _percent(g.bound.in_nats), _percent(g.bound.as_stated)
  guess = 1 - 1 / g.num_classes
  if g.vacuous:
    return (
      f'Theorem 2 says nothing of {net}: its bound on the error is {nats} (as '
      f'stated: {stated}), and guessing has {guess:.1%}.'
    )
  vacuous = ', which is vacuous' if g.bound.as_stated >= guess else ''
  return (
    f'Theorem 2, with probability 1 - {delta:g}: {net}, has at most {nats} of '
    f'all images wrong (as stated: {stated}{vacuous}); of {g.num_test:,} test '
    f'images, {g.coarse_test_error:.1%}.'
  )


def _percent(bound: float) -> str:
  """Returns an upper bound in per cent, rounded upwards."""
  return f'{math.ceil(1000 * bound) / 10:.1f}%'


if __name__ == '__main__':
  sys.exit(main())
