"""Draws the paper's figures and tables from run folders.

  python -m lconv_jax.figures filters runs/sgd runs/beta_lasso
  python -m lconv_jax.figures all runs --out figures

A RUN is what main.py got as --workdir, or a folder with such folders somewhere
below it.
"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence

from lconv_jax import errors, paper, report

_ALL = 'all'


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  argv = list(sys.argv[1:] if argv is None else argv)
  args = _parser().parse_args(argv)
  command = shlex.join(['python', '-m', 'lconv_jax.figures', *argv])
  try:
    data = report.data_titles(args.data)
    _draw(args, paper.Request(command, data, args.seed))
  except (errors.UsageError, OSError) as e:
    print(f'error: {errors.one_line(e)}', file=sys.stderr)
    return 2
  return 0


def _parser() -> argparse.ArgumentParser:
  width = max(map(len, paper.ITEMS))
  names = [
    f'  {name:{width}}  {item.number}: {item.what}'
    for name, item in paper.ITEMS.items()
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
    '--only', action='append', default=[], metavar='FIELD=VALUE',
    help='only runs whose config has it, such as data.name=cifar10',
  )  # fmt: skip
  parser.add_argument(
    '--data', action='append', default=[], metavar='NAME=TEXT',
    help="what to call a data set: cifar10='CIFAR-10 (JPEG copy)'",
  )  # fmt: skip
  parser.add_argument(
    '--seed', type=errors.natural, default=0, help='of the choice among filters'
  )
  return parser


def _draw(args: argparse.Namespace, request: paper.Request) -> None:
  if args.name not in (*paper.ITEMS, _ALL):
    raise errors.unknown('NAME', args.name, (*paper.ITEMS, _ALL))
  names = list(paper.ITEMS) if args.name == _ALL else [args.name]
  needs_runs = any(paper.ITEMS[name].needs_runs for name in names)
  if needs_runs and not args.runs:
    raise errors.UsageError(
      f'{args.name} is made of runs: name their folders, or one that holds '
      'them.'
    )
  runs, left_out = paper.find(args.runs)
  runs = paper.only(runs, _conditions(args.only))
  chosen, also_left_out = paper.group(runs)
  for why in left_out + also_left_out:
    print(f'left out: {why}', file=sys.stderr)
  for name in names:
    item = paper.ITEMS[name]
    for stem, own in _parts(name, item, chosen, args.name == _ALL):
      try:
        drawn = item.draw(own, pathlib.Path(args.out) / f'{stem}.png', request)
      except errors.UsageError as e:
        if args.name != _ALL:
          raise
        print(f'missing: {stem} ({item.number}): {errors.one_line(e)}')
        continue
      if drawn.text:
        print(drawn.text)
      print(*(f'wrote {path}' for path in drawn.paths), sep='\n')
      if drawn.missing:
        print(f'missing: {stem} ({item.number}): {"; ".join(drawn.missing)}')


def _parts(
  name: str, item: paper.Item, chosen: Sequence[paper.Experiment], many: bool
) -> Iterator[tuple[str, list[paper.Experiment]]]:
  """Yields the file names of an item, and the experiments of each."""
  names = sorted({e.data for e in chosen})
  if not item.one_data_set or not names:
    yield name, list(chosen)
    return
  if len(names) > 1 and not many:
    raise errors.UsageError(
      f'{name} shows one data set, and these runs are of {", ".join(names)}; '
      f'choose by --only data.name={names[0]}.'
    )
  for data in names:
    yield f'{name}_{data}', [e for e in chosen if e.data == data]


def _conditions(words: Sequence[str]) -> dict[str, str]:
  for word in words:
    if '=' not in word:
      raise errors.UsageError(f'--only {word} must be FIELD=VALUE.')
  return dict(word.split('=', 1) for word in words)


if __name__ == '__main__':
  sys.exit(main())
