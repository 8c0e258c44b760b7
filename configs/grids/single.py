"""A grid of 1 run, for launchers: the config as it is.

  python -m launch.slurm single --root=runs/s_fc --config=configs/s_fc.py

With --seeds=0,1,2 it repeats the run. The mini run has α = 1 and 5 epochs.
"""

from configs.grids import Point

CONFIG = 'configs/s_fc.py'


def sweep() -> list[Point]:
  """Returns the only point, which changes nothing."""
  return [{}]


def mini() -> list[Point]:
  """Returns 1 point: α = 1, 5 epochs."""
  return [{'model.base_channels': 1, 'train.epochs': 5}]
