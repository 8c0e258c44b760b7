"""The paper's experiments: one page of config per network, and the grids."""

import pathlib


def listing() -> str:
  """Returns the names that --config and --grid know, a line for each kind."""
  from configs import base, grids

  pages = sorted(
    path.stem
    for path in pathlib.Path(__file__).parent.glob('[!_]*.py')
    if path.stem != 'base'
  )
  return '\n'.join(
    (
      f'Configs, as configs/NAME.py: {", ".join(pages)}.',
      f'Choices, after a colon: {", ".join(base.CHOICES)}.',
      f'Grids, each with :mini for a laptop: {", ".join(grids.NAMES)}.',
    )
  )
