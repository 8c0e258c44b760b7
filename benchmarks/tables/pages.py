"""Pages with tables between marks, and the tables of each name."""

import argparse
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks import tables
from benchmarks.tables import geometry, read, runs, speed, study
from lconv_jax.report import table

_TABLE = re.compile(
  r'(<!-- table: (\w+) -->\n).*?(?=^<!-- end -->)', re.DOTALL | re.MULTILINE
)

TABLES: dict[str, Callable[[], str]] = {
  f.__name__: f
  for f in (
    runs.connectivity,
    runs.full_size,
    speed.gpu,
    runs.s_fc_small,
    speed.speed,
    speed.local_layers,
    speed.loop,
    speed.chaos,
    speed.side_by_side,
    speed.sparse_times,
    speed.sparse_sizes,
    geometry.geometry,
    geometry.geometry_varied,
    geometry.signals_geometry,
    study.scaling,
    study.small_nets,
    study.betas,
    study.l1_by_length,
    study.short_runs,
    geometry.geometry_conv,
  )
}


def pages() -> Iterator[tuple[pathlib.Path, str]]:
  """Yields each page that has tables, and its text with them made anew."""
  for path in sorted((read.ROOT / 'results').glob('*.csv')):
    if path.with_suffix('.md').exists():
      yield path.with_suffix('.md'), table.markdown(read.rows_of_csv(path.stem))
  own = (read.ROOT / folder for folder in ('', 'docs', 'results', 'benchmarks'))
  for path in sorted(page for folder in own for page in folder.glob('*.md')):
    text = path.read_text('utf-8')
    if _TABLE.search(text):
      yield path, _TABLE.sub(lambda m: m[1] + TABLES[m[2]](), text)


def main(argv: Sequence[str] | None = None) -> int:
  """Writes, or checks, all pages; returns the exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.tables',
    description=tables.__doc__.splitlines()[0],
  )
  parser.add_argument(
    '--check', action='store_true', help='write nothing; 1 if a page differs'
  )
  args = parser.parse_args(argv)
  stale = [(p, text) for p, text in pages() if p.read_text('utf-8') != text]
  for path, text in stale:
    if args.check:
      print(
        f'{path.relative_to(read.ROOT)} differs from the results; python -m '
        'benchmarks.tables writes it.',
        file=sys.stderr,
      )
    else:
      path.write_text(text, encoding='utf-8')
      print(f'wrote {path.relative_to(read.ROOT)}')
  return int(args.check and bool(stale))
