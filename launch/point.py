"""Trains one point of a grid, which is a task on a cluster.

  python -m launch.point ROOT INDEX [flags of main.py]

Replaces itself by main.py, so that signals reach the training.
"""

import os
import sys
from collections.abc import Sequence

from launch import options, roots, sweep


def main(argv: Sequence[str] | None = None) -> None:
  """Starts main.py for point INDEX, from 0, of the grid in ROOT."""
  argv = list(sys.argv[1:] if argv is None else argv)
  if len(argv) < 2 or not argv[1].isdecimal():
    sys.exit(__doc__)
  root, index, *more = argv
  with options.one_sentence():
    whole = roots.read(root)
  names = list(whole.points)
  if int(index) >= len(names):
    sys.exit(f'error: {root} has points 0 ... {len(names) - 1}, not {index}.')
  command = sweep.command(whole, names[int(index)], root)
  os.execv(command[0], [*command, *more])


if __name__ == '__main__':
  main()
