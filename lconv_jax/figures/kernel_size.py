"""Test accuracy of ResNet18 against the size of its kernels (figure 5)."""

import pathlib
from collections.abc import Mapping, Sequence

from matplotlib import figure, ticker

from lconv_jax.figures import axis, style


def draw(
  lines: Mapping[str, Sequence[axis.Point]],
  path: str | pathlib.Path,
  caption: str | None = None,
) -> style.Paths:
  """Draws test accuracy against kernel size, a line for each method.

  Args:
    lines: for each method, points in pixels and per cent.
    path: of the PNG; the others stand beside it.
    caption: as `style.save` takes it.

  Returns:
    The paths of what was written.
  """
  with style.look():
    fig = figure.Figure((style.COLUMN, 2.2), layout='constrained')
    ax = fig.add_subplot()
    for i, (label, points) in enumerate(lines.items()):
      axis.points(ax, points, label=label, **style.distinct(i))
    ax.set(xlabel='kernel size (px)', ylabel='test accuracy (%)')
    ax.set_xticks(sorted({p.x for points in lines.values() for p in points}))
    ax.yaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    ax.legend()
    return style.save(fig, path, caption)
