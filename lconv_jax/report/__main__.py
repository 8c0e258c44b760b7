"""Tables and figures from run folders.

python -m lconv_jax.report runs/sgd runs/beta_lasso --out figures
python -m lconv_jax.report runs/* --csv results/s_fc.csv --markdown s_fc.md
"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Sequence

from lconv_jax import errors, report, runs

_NOTE = (
  'test: of the model with the best validation accuracy. first layer: its '
  'non-zero weights.\nlocal: its filters that are more compact than 95 % of '
  'their own shuffles, and by more than a tenth. spread: median r.m.s.\n'
  'distance of the weight from its centre, over filters with at least 20 '
  'non-zero values;\npython -m lconv_jax.locality has more.'
)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  argv = list(sys.argv[1:] if argv is None else argv)
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.report', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument('--out', help="figures' folder; default: the first run")
  parser.add_argument('--csv', help='write the table with all columns')
  parser.add_argument('--markdown', help='write the table with all columns')
  parser.add_argument(
    '--data', action='append', default=[], metavar='NAME=TEXT',
    help="what to call a data set: cifar10='CIFAR-10 (JPEG copy)'",
  )  # fmt: skip
  args = parser.parse_args(argv)
  command = shlex.join(['python', '-m', 'lconv_jax.report', *argv])
  try:
    _report(args, command)
  except (errors.UsageError, OSError) as e:
    print(f'error: {errors.one_line(e)}', file=sys.stderr)
    return 2
  return 0


def _report(args: argparse.Namespace, command: str) -> None:
  data = report.data_titles(args.data)
  shown = [runs.read(path) for path in args.runs]
  rows = [report.row(run) for run in shown]
  rows = [{**r, 'data': data.get(r['data'], r['data'])} for r in rows]
  print(report.text(rows), _NOTE, sep='\n\n', end='\n\n')
  for path in filter(None, (args.csv, args.markdown)):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
  if args.csv:
    report.write_csv(rows, args.csv)
    print(f'wrote {args.csv}')
  if args.markdown:
    table = report.markdown(rows)
    pathlib.Path(args.markdown).write_text(table, encoding='utf-8')
    print(f'wrote {args.markdown}')
  out = args.out or shown[0].path
  print(*report.draw(shown, out, command, data), sep='\n')


if __name__ == '__main__':
  sys.exit(main())
