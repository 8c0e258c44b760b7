import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import image

from lconv_jax import report
from lconv_jax.report import mosaic, style

GREY = (16, 16, 1)
COLOUR = (16, 16, 3)


def noise(shape, units=12, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(units, *shape)).astype(np.float32)


def sparse(*counts):
  """Filters that have `counts` non-zero values."""
  result = np.zeros((len(counts), 256), np.float32)
  for unit, count in enumerate(counts):
    result[unit, :count] = 1
  return result.reshape(-1, *GREY)


@pytest.mark.parametrize('shape', [GREY, COLOUR])
def test_filters_are_saved_twice_and_reproducibly(tmp_path, shape):
  columns = [('SGD', noise(shape)), ('β-LASSO', noise(shape, seed=1))]
  one, other = (
    report.save(
      report.draw_filters(columns, rows=2, cols=3),
      tmp_path / name / 'filters.png',
    )
    for name in 'ab'
  )
  assert one[0] == tmp_path / 'a' / 'filters.png'
  assert one[1].read_bytes().startswith(b'%PDF')
  assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]


def test_a_matplotlibrc_does_not_enter(tmp_path):
  columns = [('SGD', noise(COLOUR))]

  def draw(name):
    fig = report.draw_filters(columns, rows=2, cols=3)
    paths = report.save(fig, tmp_path / name / 'filters.png')
    return [p.read_bytes() for p in paths]

  plain = draw('plain')
  with mpl.rc_context():
    mpl.rcParams.update(
      {
        'image.origin': 'lower',
        'font.family': ['monospace'],
        'savefig.bbox': 'tight',
        'savefig.facecolor': 'black',
        'pdf.compression': 0,
      }
    )
    assert draw('changed') == plain
    assert mpl.rcParams['savefig.bbox'] == 'tight'  # the user's, afterwards


def test_every_weight_is_the_same_whole_number_of_dots(tmp_path):
  # One filter of 16 x 16 weights and a line of 1 around it: 18 weights.
  weights = np.zeros((16, 16), np.float32)
  weights[5, 5:7] = 1, -1
  columns = [('', weights.reshape(1, *GREY))]
  fig = report.draw_filters(columns, rows=1, cols=1)
  png, _ = report.save(fig, tmp_path / 'f.png')
  dots = image.imread(png)[..., :3]
  zoom = int(3.5 / 1.1 * style.DPI / 18)
  assert zoom > 5
  body = dots[: round(-0.38 * style.DPI)]  # without the scale's red and blue
  for colour in style.WEIGHTS(np.array([0.0, 1.0]))[:, :3]:
    y, x = np.nonzero((np.abs(body - colour) < 0.01).all(axis=-1))
    assert np.ptp(y) == np.ptp(x) == zoom - 1
    assert len(y) == zoom**2


def test_zero_is_neutral_and_each_filter_fills_its_own_scale():
  filters = np.zeros((3, 2, 1, 3), np.float32)
  filters[0, 0, 0] = 2, 0, -2
  filters[1, 0, 0] = 1e-6, 0, 0
  got = mosaic._paint(filters)
  np.testing.assert_allclose(got[:, 1, 0], 1)  # no weight: the page's white
  np.testing.assert_allclose(got[0, 0, 0], [0.92, 0.5, 0.08], rtol=1e-6)
  np.testing.assert_allclose(got[1, 0, 0], [0.92, 0.5, 0.5], rtol=1e-6)
  np.testing.assert_allclose(got[2], 1)

  grey = np.array([[[[-3.0], [0.0], [3.0]]]])
  blue, white, red = mosaic._paint(grey)[0, 0]
  assert blue[2] > 2 * blue[0]
  assert red[0] > 2 * red[2]
  assert white.min() == 1


def test_a_filter_of_signals_is_a_strip_with_a_row_for_each_channel():
  filters = np.zeros((1, 1, 24, 2), np.float32)
  filters[0, 0, 3] = 1, -1
  (got,) = mosaic._paint(filters)
  red, blue = got[:, 3]
  assert got.shape == (2, 24, 3) and red[0] > 2 * red[2] > 0
  assert blue[2] > 2 * blue[0] and got[:, 4:].min() == 1
  # One channel alone has as many rows as make it visible, in two columns.
  assert mosaic._paint(noise((1, 40, 1))).shape == (12, 3, 40, 3)
  fig = report.draw_filters([('SGD', noise((1, 40, 1)))], rows=2, cols=6)
  (shown,) = fig.axes[0].get_images()
  line = 1
  assert shown.get_array().shape[:2] == (6 * (3 + line) + 1, 2 * 41 + 1)


def test_filters_are_drawn_at_random_among_those_with_enough_weights():
  filters = sparse(*[20, 19] * 50)
  chosen = mosaic.choose(filters, 10, seed=0)
  assert len(set(chosen)) == 10
  assert all(unit % 2 == 0 for unit in chosen)
  assert list(chosen) != sorted(chosen)
  assert set(chosen) != set(mosaic.choose(filters, 10, seed=1))


def test_the_next_densest_follow_where_too_few_have_enough():
  filters = sparse(3, 40, 0, 19, 7, 50)
  chosen = mosaic.choose(filters, 4)
  assert set(chosen[:2]) == {1, 5}
  assert list(chosen[2:]) == [3, 4]
  assert len(mosaic.choose(filters, 36)) == 6


def test_panels_say_what_they_show():
  columns = [
    ('SGD', noise(GREY, units=4)),
    ('β-LASSO', sparse(64, 3, 3, 3)),
    ('dead', sparse(0, 0)),
  ]
  panels = report.draw_filters(columns, rows=2, cols=2).axes[:3]
  titles = [ax.get_title(loc='left') for ax in panels]
  assert titles == ['SGD', 'β-LASSO', 'dead']
  dense, few, dead = (ax.texts[0].get_text() for ax in panels)
  assert '100 % non-zero' in dense
  assert '4 of 4 filters have ≥ 20 non-zeros' in dense
  assert 'then fewer' not in dense
  assert '7.13 % non-zero' in few  # (64 + 9) / 1024
  # 4 full rows of 16 pixels: variance (16 - 1) / 12 + (256 - 1) / 12.
  assert 'median spread 4.7 px, shuffled 6.' in few
  assert '1 of 4 filters have ≥ 20 non-zeros, then fewer' in few
  assert '0 % non-zero\n0 of 2' in dead
