"""Figures of recovered geometry."""

import numpy as np
from matplotlib import text
from matplotlib.backends import backend_agg

from lconv_jax import geometry, report

GRID = geometry.Grid(5, 5)


def recovered(label, scale):
  true = GRID.positions
  similarity = scale * np.exp(-GRID.distances(true, true))
  layout = geometry.Layout(GRID, true, np.arange(25), 1.0)
  scores = geometry.score(layout, true)
  return report.Recovered(label, similarity, layout, true, scores)


def is_title(artist, one):
  return isinstance(artist, text.Text) and artist.get_text().startswith(
    one.label[:9]
  )


def test_columns_have_titles_and_nulls_of_their_own_and_one_scale():
  long = 'S-FC β-LASSO β=50 λ=1.2e-4/8e-5 on scrambled pixels lr=0.5'
  found = [recovered('S-FC SGD on scrambled ' + 'pixels ' * 6, 1)]
  found.append(recovered(long, 0.1))
  nulls = [np.full((25, 25), value) for value in (0.01, 0.02)]
  fig = report.draw_layouts(found, 'shuffled', nulls)
  renderer = backend_agg.FigureCanvasAgg(fig).get_renderer()
  fig.draw(renderer)
  above, below = fig.axes[:2], fig.axes[2:]
  left, right = (
    next(a for a in ax.get_children() if is_title(a, one)).get_window_extent(
      renderer
    )
    for ax, one in zip(above, found, strict=True)
  )
  assert left.x1 < right.x0 and right.x1 < fig.bbox.x1
  assert below[0].get_ylim() == below[1].get_ylim()
  for ax, one, value in zip(below, found, (0.01, 0.02), strict=True):
    own, null = (line.get_ydata() for line in ax.get_lines())
    near = np.rint(GRID.distances(one.true, one.true)) == 1
    np.testing.assert_allclose(own[0], one.similarity[near].mean())
    np.testing.assert_allclose(null[:5], value)


def test_rows_of_images_have_names_that_fit():
  images = np.zeros((3, 5, 5, 1), np.uint8)
  name = 'S-FC SGD on scrambled pixels momentum=0.9 wd=5e-4'
  fig = report.draw_images([('test images', images), (name, images)])
  renderer = backend_agg.FigureCanvasAgg(fig).get_renderer()
  fig.draw(renderer)
  images = [ax.get_window_extent(renderer) for ax in fig.axes]
  for words in fig.texts:
    box = words.get_window_extent(renderer)
    assert 0 <= box.x0 and box.x1 < images[0].x0
  boxes = [words.get_window_extent(renderer) for words in fig.texts]
  assert boxes[0].y0 > boxes[1].y1
