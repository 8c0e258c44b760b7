"""Tables and figures from run folders.

python -m lconv_jax.report runs/sgd runs/beta_lasso --out figures
python -m lconv_jax.report runs/* --csv results/s_fc.csv --markdown s_fc.md
python -m lconv_jax.report runs/* --html runs.html
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from lconv_jax.report import command

with command.needs('train'):
  from lconv_jax import report
  from lconv_jax.report import find

_NOTE = (
  'test: of the model with the best validation accuracy. first layer: its '
  'non-zero weights.\nlocal: its filters that are more compact than 95 % of '
  'their own shuffles, and by more than a tenth; by\nchance: that would be so '
  'with all pixels at random places. spread: median r.m.s. distance of the\n'
  'weight from its centre, over filters with at least 20 non-zero values (5 on '
  'signals);\npython -m lconv_jax.locality has more. ±: standard deviation '
  'over seeds; the files have a row for each run.'
)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.report', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument('--out', help="figures' folder; default: the first run")
  parser.add_argument('--csv', help='write the table with all columns')
  parser.add_argument('--markdown', help='write the table with all columns')
  parser.add_argument(
    '--html', help='write one page with table, figures, commands and configs'
  )
  parser.add_argument(
    '--data', action='append', type=command.pair, default=[],
    metavar='NAME=TEXT',
    help="what to call a data set: cifar10='CIFAR-10 (JPEG copy)'",
  )  # fmt: skip
  return command.run(parser, _report, argv)


def _report(args: argparse.Namespace) -> None:
  data = dict(args.data)
  shown, left_out = find.read(args.runs)
  command.tell_left_out(left_out)
  rows = [report.row(run) for run in shown]
  rows = [{**r, 'data': data.get(r['data'], r['data'])} for r in rows]
  print(
    report.text(report.over_seeds(shown, rows)), _NOTE, sep='\n\n', end='\n\n'
  )
  for path in filter(None, (args.csv, args.markdown, args.html)):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
  if args.csv:
    report.write_csv(rows, args.csv)
    print(f'wrote {args.csv}')
  if args.markdown:
    table = report.markdown(rows)
    pathlib.Path(args.markdown).write_text(table, encoding='utf-8')
    print(f'wrote {args.markdown}')
  request = report.Request(args.command, data)
  out = pathlib.Path(args.out or shown[0].path)
  lines = report.draw(shown, out, request)
  print(*lines, sep='\n')
  if args.html:
    names = 'filters.png', 'curves.png'
    figures = [out / n for n in names if f'wrote {out / n}' in lines]
    text = report.page(shown, rows, figures, _NOTE)
    pathlib.Path(args.html).write_text(text, encoding='utf-8')
    print(f'wrote {args.html}')


if __name__ == '__main__':
  sys.exit(main())
