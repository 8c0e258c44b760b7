"""Images side by side, each with a label."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib import figure

from lconv_jax.report import style

_SIDE, _GAP, _LINE = 0.85, 0.1, 0.11  # of an image and a label's line, inches


@style.look()
def draw_contact_sheet(
  images: UInt8[np.ndarray, 'rows cols h w 3'],
  labels: Sequence[Sequence[str]],
) -> figure.Figure:
  """Draws RGB images side by side, each with a label below it.

  Args:
    images: in rows and columns.
    labels: of one line or more, for each row and column.
  """
  rows, cols = images.shape[:2]
  lines = [max(label.count('\n') + 1 for label in row) for row in labels]
  bottoms = np.cumsum([_SIDE + _GAP + _LINE * n for n in lines])
  size = _GAP + cols * (_SIDE + _GAP), _GAP + bottoms[-1]
  fig = figure.Figure(size)
  for i, j in np.ndindex(rows, cols):
    left = _GAP + j * (_SIDE + _GAP)
    bottom = size[1] - bottoms[i] + _LINE * lines[i]
    ax = fig.add_axes(
      (left / size[0], bottom / size[1], _SIDE / size[0], _SIDE / size[1])
    )
    ax.set_axis_off()
    ax.imshow(images[i, j], interpolation='nearest', origin='upper')
    ax.annotate(
      labels[i][j],
      (0.5, 0),
      xytext=(0, -2),
      textcoords='offset points',
      xycoords='axes fraction',
      ha='center',
      va='top',
      color=style.NOTE,
      fontsize=style.SMALL,
    )
  return fig
