"""Draws the paper's figures and tables from run folders.

  python -m lconv_jax.figures filters runs/sgd runs/beta_lasso
  python -m lconv_jax.figures all runs --out figures

A RUN is what main.py got as --workdir, or a folder with such folders somewhere
below it.
"""

import argparse
import pathlib
import sys
from collections.abc import Iterator, Sequence

from lconv_jax.report import command

with command.needs('train'):
  from lconv_jax import errors, report
  from lconv_jax.report import experiments, find
  from lconv_jax.report.paper import ITEMS

_ALL = 'all'


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  return command.run(_parser(), _draw, argv)


def _parser() -> argparse.ArgumentParser:
  width = max(map(len, ITEMS))
  names = [
    f'  {name:{width}}  {item.number}: {item.what}'
    for name, item in ITEMS.items()
  ]
  names.append(
    f'  {_ALL:{width}}  all of these that the runs allow, and what is missing'
  )
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.figures',
    description=__doc__,
    epilog='\n'.join(['names:', *names]),
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('name', metavar='NAME', help='see below')
  parser.add_argument('runs', nargs='*', metavar='RUN', help='a folder')
  parser.add_argument(
    '--out', default='figures', metavar='DIR', help='default: figures'
  )
  parser.add_argument(
    '--only', action='append', type=command.pair, default=[],
    metavar='FIELD=VALUE',
    help='only runs whose config has it, such as data.name=cifar10',
  )  # fmt: skip
  parser.add_argument(
    '--data', action='append', type=command.pair, default=[],
    metavar='NAME=TEXT',
    help="what to call a data set: cifar10='CIFAR-10 (JPEG copy)'",
  )  # fmt: skip
  parser.add_argument(
    '--seed', type=command.natural, default=0,
    help='of the choice among filters',
  )  # fmt: skip
  return parser


def _draw(args: argparse.Namespace) -> None:
  if args.name not in (*ITEMS, _ALL):
    raise errors.unknown('NAME', args.name, (*ITEMS, _ALL))
  names = list(ITEMS) if args.name == _ALL else [args.name]
  if any(ITEMS[name].needs_runs for name in names) and not args.runs:
    raise errors.UsageError(
      f'{args.name} is made of runs: name their folders, or one that holds '
      'them.'
    )
  request = report.Request(args.command, dict(args.data), args.seed)
  found, left_out = find.find(args.runs)
  found = find.only(found, dict(args.only))
  chosen, not_grouped = experiments.group(found)
  chosen, partial = experiments.on_whole_data(chosen)
  command.tell_left_out(left_out + not_grouped + partial)
  for name in names:
    for stem, own in _parts(name, chosen, args.name == _ALL):
      path = pathlib.Path(args.out) / f'{stem}.png'
      about = f'missing: {stem} ({ITEMS[name].number}): '
      try:
        paths, drawn = ITEMS[name].write(own, path, request)
      except errors.UsageError as e:
        if args.name != _ALL:
          raise
        print(f'{about}{errors.one_line(e)}')
        continue
      if drawn.text:
        print(drawn.text)
      print(*(f'wrote {path}' for path in paths), sep='\n')
      if drawn.missing:
        print(about + '; '.join(drawn.missing))


def _parts(
  name: str, chosen: Sequence[experiments.Experiment], many: bool
) -> Iterator[tuple[str, list[experiments.Experiment]]]:
  """Yields the file names of an item, and the experiments of each."""
  names = sorted({e.data for e in chosen})
  if not ITEMS[name].one_data_set or not names:
    yield name, list(chosen)
    return
  if len(names) > 1 and not many:
    raise errors.UsageError(
      f'{name} shows one data set, and these runs are of {", ".join(names)}; '
      f'choose by --only data.name={names[0]}.'
    )
  for data in names:
    yield f'{name}_{data}', [e for e in chosen if e.data == data]


if __name__ == '__main__':
  sys.exit(main())
