"""The one look of all figures, and how they are saved.

Figures are drawn without pyplot, hence without global state or display. They
are made for a column of `COLUMN` inches, and no letter is smaller than 7 points
at that size. Colours are those of Okabe & Ito (2008), told apart with any
colour vision, and never the only sign: lines differ in markers and dashes too.
"""

import contextlib
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib import figure, lines

COLUMN = 3.25  # inches, of a page with two columns
DPI = 200  # of PNGs
SMALL = 7  # points, the smallest letters

_LOOK = {
  'font.size': 8,
  'axes.titlesize': 8.5,
  'axes.titleweight': 'bold',
  'axes.titlelocation': 'left',
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.linewidth': 0.6,
  'axes.grid': True,
  'axes.axisbelow': True,
  'grid.color': '0.9',
  'grid.linewidth': 0.6,
  'xtick.labelsize': SMALL,
  'ytick.labelsize': SMALL,
  'xtick.major.width': 0.6,
  'ytick.major.width': 0.6,
  'legend.fontsize': SMALL,
  'legend.frameon': False,
  'legend.handlelength': 1.8,
  'lines.linewidth': 1.3,
  'lines.markersize': 3.5,
  'figure.constrained_layout.h_pad': 0.03,
  'figure.constrained_layout.w_pad': 0.03,
  'pdf.fonttype': 42,  # text stays text
}
# Okabe & Ito's without yellow, which is too light for a line.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = COLORS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
)
NOTE = '0.3'  # grey level of notes
WEIGHTS = mpl.colormaps['RdBu_r']  # diverging, zero is near white
LAYERS = mpl.colormaps['viridis']  # by depth

# Of the paper's nets, by title: colour is the connectivity, dashes and marker
# the depth.
_CONNECTIVITIES = {'CONV': BLUE, 'LOCAL': VERMILION, 'FC': GREEN}
_DEPTHS = {
  'D': {'linestyle': '-', 'marker': 'o'},
  'S': {'linestyle': (0, (3, 1.2)), 'marker': 's'},
  '3': {'linestyle': (0, (1, 1)), 'marker': '^', 'color': BLACK},
}
# Not as many as colours, so that pairs of both differ for long.
_MARKERS = 'osD^vP*X'
_DASHES = '-', (0, (3, 1.2)), (0, (1, 1)), '-.'

Paths = tuple[pathlib.Path, ...]


def net(title: str) -> dict[str, Any]:
  """Returns the look of a net's line, for `Axes.plot`.

  Args:
    title: 'S-CONV', 'D-FC', '3-FC' and the like.
  """
  depth, _, connectivity = title.partition('-')
  return {'color': _CONNECTIVITIES[connectivity], **_DEPTHS[depth]}


def distinct(i: int) -> dict[str, Any]:
  """Returns the look of the i-th of some lines, none like another up to 56."""
  return {
    'color': COLORS[i % len(COLORS)],
    'marker': _MARKERS[i % len(_MARKERS)],
    'linestyle': _DASHES[i % len(_DASHES)],
  }


def legend(fig: figure.Figure, nets: Sequence[lines.Line2D]) -> None:
  """Adds a legend of nets above all panels, a column for a connectivity.

  Args:
    fig: has a constrained layout.
    nets: labelled by their titles, and maybe by words after them.
  """
  columns = {name: [] for name in _CONNECTIVITIES}
  for line in nets:
    columns[line.get_label().split()[0].partition('-')[2]].append(line)
  columns = list(filter(None, columns.values()))
  rows = max(map(len, columns))
  blank = lines.Line2D([], [], ls='', label=' ')
  handles = [line for c in columns for line in (*c, *[blank] * (rows - len(c)))]
  fig.legend(handles=handles, loc='outside upper center', ncols=len(columns))


def look() -> contextlib.AbstractContextManager[None]:
  """Returns a context in which to make and save a figure."""
  return mpl.rc_context(_LOOK)


def save(
  fig: figure.Figure, path: str | pathlib.Path, caption: str | None = None
) -> Paths:
  """Saves a figure as PNG for the screen and as PDF for print.

  Args:
    fig: made, and saved, within `look`.
    path: of the PNG; the others stand beside it.
    caption: of a line for each paragraph; None: no caption is written.

  Returns:
    The paths of PNG, PDF and, where there is a caption, TXT.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  png, pdf = path.with_suffix('.png'), path.with_suffix('.pdf')
  # No dates: the same run gives the same bytes.
  fig.savefig(png, dpi=DPI, metadata={'Software': None})
  fig.savefig(pdf, dpi=DPI, metadata={'CreationDate': None})
  if caption is None:
    return png, pdf
  return png, pdf, save_caption(caption, path)


def save_caption(caption: str, path: str | pathlib.Path) -> pathlib.Path:
  """Writes a caption as text, and returns its path.

  Args:
    caption: of a line for each paragraph, which is filled to 80 columns; those
      that begin with a blank, such as commands, stay as they are.
    path: of what it belongs to.
  """
  path = pathlib.Path(path).with_suffix('.txt')
  paragraphs = (
    line if line.startswith(' ') else textwrap.fill(line, 80)
    for line in caption.splitlines()
  )
  path.write_text('\n'.join(paragraphs) + '\n', encoding='utf-8')
  return path
