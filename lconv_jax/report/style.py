"""The style of all figures, and the files that they are saved as.

Figures are drawn without pyplot, hence without global state or display. They
are made for a column of `COLUMN` inches, and no letter is smaller than 7 points
at that size. The colours of Okabe & Ito (2008) can be told apart with any
colour vision; lines differ in markers and dashes as well.
"""

import contextlib
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib import figure, lines
from matplotlib import style as mpl_style

from lconv_jax import models

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
  'text.parse_math': False,  # a dollar in a name is a dollar
}
# Okabe & Ito's without yellow, which is too light for a line.
COLORS = (
  *('#0072B2', '#D55E00', '#009E73', '#CC79A7'),
  *('#E69F00', '#56B4E9', '#000000'),
)
BLUE, VERMILION, GREEN, *_, BLACK = COLORS
NOTE = '0.3'  # grey level of notes
# Diverging, zero is near white; a matplotlibrc may ask for fewer colours.
WEIGHTS = mpl.colormaps['RdBu_r'].resampled(256)
LAYERS = mpl.colormaps['viridis']  # by depth

# Of a net, colour is the connectivity; dashes and marker are the family.
_CONNECTIVITIES = {'conv': BLUE, 'local': VERMILION, 'fc': GREEN}
_FAMILIES = {
  'd': {'linestyle': '-', 'marker': 'o'},
  's': {'linestyle': (0, (3, 1.2)), 'marker': 's'},
  'fc3': {'linestyle': (0, (1, 1)), 'marker': '^', 'color': BLACK},
}
_OTHER_FAMILIES = {'linestyle': '-.', 'marker': 'D'}
# One more than colours, so that 56 pairs of both differ.
_MARKERS = 'osD^vP*X'
_DASHES = '-', (0, (3, 1.2)), (0, (1, 1)), '-.'

Paths = tuple[pathlib.Path, ...]
Line = lines.Line2D
Look = dict[str, Any]  # arguments of `Axes.plot`


def net(name: str) -> Look:
  """Returns the look of a net's line; `name` is one of `models.NETS`."""
  net = models.NETS[name]
  look = _FAMILIES.get(net.family, _OTHER_FAMILIES)
  return {'color': _CONNECTIVITIES[net.connectivity], **look}


def distinct(i: int) -> Look:
  """Returns the look of the i-th line; 56 lines differ from one another."""
  return {
    'color': COLORS[i % len(COLORS)],
    'marker': _MARKERS[i % len(_MARKERS)],
    'linestyle': _DASHES[i % len(_DASHES)],
  }


def legend(fig: figure.Figure, nets: Sequence[tuple[str, Line]]) -> None:
  """Adds a legend of nets above all panels, a column for each connectivity.

  Args:
    fig: has a constrained layout.
    nets: names among `models.NETS`, with a labelled line for each entry.
  """
  columns = {connectivity: [] for connectivity in _CONNECTIVITIES}
  for name, line in nets:
    columns[models.NETS[name].connectivity].append(line)
  columns = list(filter(None, columns.values()))
  rows = max(map(len, columns))
  blank = Line([], [], ls='', label=' ')
  handles = [line for c in columns for line in (*c, *[blank] * (rows - len(c)))]
  fig.legend(handles=handles, loc='outside upper center', ncols=len(columns))


def titles(texts: Sequence[str], width: int) -> list[str]:
  """Returns titles of panels side by side, of as many lines each.

  All begin at the same height: shorter ones are followed by empty lines.

  Args:
    texts: the titles.
    width: of a line, in letters.
  """
  filled = [
    '\n'.join(textwrap.fill(line, width) for line in text.split('\n'))
    for text in texts
  ]
  most = max((text.count('\n') for text in filled), default=0)
  return [text + '\n' * (most - text.count('\n')) for text in filled]


def look() -> contextlib.AbstractContextManager[None]:
  """Returns the context, or decorator, of whatever makes a figure.

  It begins from matplotlib's defaults, not from the user's matplotlibrc: the
  same run gives the same picture everywhere.
  """
  return mpl_style.context(['default', _LOOK])


@look()
def save(
  fig: figure.Figure, path: str | pathlib.Path, caption: str | None = None
) -> Paths:
  """Saves a figure as PNG for the screen and as PDF for print.

  Args:
    fig: made within `look`.
    path: of the PNG; the other files stand beside it.
    caption: with a line for each paragraph; None: no caption is written.

  Returns:
    The paths of PNG, PDF and, if there is a caption, TXT.
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
    caption: with a line for each paragraph, which is filled to 80 columns.
      Lines that begin with a blank, such as commands, stay as they are.
    path: of the figure or table.
  """
  path = pathlib.Path(path).with_suffix('.txt')
  paragraphs = (
    line if line.startswith(' ') else textwrap.fill(line, 80)
    for line in caption.splitlines()
  )
  path.write_text('\n'.join(paragraphs) + '\n', encoding='utf-8')
  return path
