"""The paper's S- and D-nets: one table for CONV, LOCAL and FC (tables 3, 4)."""

from typing import NamedTuple


class Stage(NamedTuple):
  """Convolution, or the layer that stands for it."""

  kernel_size: int  # pixels
  # Output channels, in units of the base channels α in `FAMILIES`, and absolute
  # in a net.
  channels: int
  stride: int  # pixels


class Family(NamedTuple):
  """Group of columns in tables 3 and 4."""

  stages: tuple[Stage, ...]
  hidden: int  # width of the hidden fully connected layer, in units of α
  base_channels: int  # α of the paper's headline tables


FAMILIES = {
  's': Family((Stage(9, 1, 2),), hidden=24, base_channels=150),
  'd': Family(
    (
      Stage(3, 1, 1),
      Stage(3, 2, 2),
      Stage(3, 2, 1),
      Stage(3, 4, 2),
      Stage(3, 4, 1),
      Stage(3, 8, 2),
      Stage(3, 8, 1),
      Stage(3, 16, 2),
    ),
    hidden=64,
    base_channels=15,
  ),
}

# Shared weights; own weights at every position; all inputs to all outputs.
CONNECTIVITIES = ('conv', 'local', 'fc')
