import warnings

import numpy as np
import pytest
from matplotlib import image

from lconv_jax import figures

GREY = (16, 16, 1)
COLOUR = (16, 16, 3)


def kernel(shape, units=12, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(np.prod(shape), units)).astype(np.float32)


def sparse_kernel(counts, shape=GREY):
  """A kernel whose filters have `counts` non-zero values."""
  result = np.zeros((np.prod(shape), len(counts)), np.float32)
  for unit, count in enumerate(counts):
    result[:count, unit] = 1
  return result


@pytest.fixture
def drawn(monkeypatch):
  """The figures that were drawn, instead of files."""
  result = []

  def save(fig, path, caption=None):
    result.append(fig)
    return path, path

  monkeypatch.setattr(figures.style, 'save', save)
  return result


@pytest.mark.parametrize('shape', [GREY, COLOUR])
def test_filters_are_saved_twice_and_reproducibly(tmp_path, shape):
  columns = [('SGD', kernel(shape)), ('β-LASSO', kernel(shape, seed=1))]
  png, pdf = figures.first_layer_filters(
    columns, shape, tmp_path / 'a' / 'filters.png', rows=2, cols=3
  )
  assert png == tmp_path / 'a' / 'filters.png'
  assert pdf.read_bytes().startswith(b'%PDF')
  again = figures.first_layer_filters(
    columns, shape, tmp_path / 'b' / 'filters.png', rows=2, cols=3
  )
  for one, other in zip((png, pdf), again, strict=True):
    assert one.read_bytes() == other.read_bytes()


def test_every_weight_is_the_same_whole_number_of_dots(tmp_path):
  # One filter of 16 x 16 weights and a line of 1 around it: 18 weights.
  weights = np.zeros((16, 16), np.float32)
  weights[5, 5:7] = 1, -1
  png, _ = figures.first_layer_filters(
    [('', weights.reshape(-1, 1))], GREY, tmp_path / 'f.png', rows=1, cols=1
  )
  dots = image.imread(png)[..., :3]
  zoom = int(3.5 / 1.1 * 200 / 18)
  body = dots[: round(-0.38 * 200)]  # without the scale's own red and blue
  for colour in figures.style.WEIGHTS(np.array([0.0, 1.0]))[:, :3]:
    y, x = np.nonzero((np.abs(body - colour) < 0.01).all(axis=-1))
    assert np.ptp(y) == np.ptp(x) == zoom - 1
    assert len(y) == zoom**2


def test_zero_is_neutral_and_each_filter_fills_its_own_scale():
  filters = np.zeros((3, 1, 2, 3), np.float32)
  filters[0, 0, 0] = 2, 0, -2
  filters[1, 0, 0] = 1e-6, 0, 0
  got = figures.filters._paint(filters)
  np.testing.assert_allclose(got[:, 0, 1], 0.5)
  np.testing.assert_allclose(got[0, 0, 0], [1, 0.5, 0])
  np.testing.assert_allclose(got[1, 0, 0], [1, 0.5, 0.5])
  np.testing.assert_allclose(got[2], 0.5)

  grey = np.array([[[[-3.0], [0.0], [3.0]]]])
  blue, white, red = figures.filters._paint(grey)[0, 0]
  assert blue[2] > 2 * blue[0]
  assert red[0] > 2 * red[2]
  assert white.min() > 0.95


def test_filters_are_drawn_at_random_among_those_with_enough_weights():
  filters = sparse_kernel([30, 5] * 50).T.reshape(-1, *GREY)
  chosen = figures.filters.choose(filters, 10, min_nonzero=20, seed=0)
  assert len(set(chosen)) == 10
  assert all(unit % 2 == 0 for unit in chosen)
  assert list(chosen) != sorted(chosen)
  other = figures.filters.choose(filters, 10, min_nonzero=20, seed=1)
  assert set(chosen) != set(other)


def test_the_next_densest_follow_where_too_few_have_enough():
  filters = sparse_kernel([3, 40, 0, 19, 7, 50]).T.reshape(-1, *GREY)
  chosen = figures.filters.choose(filters, 4, min_nonzero=20, seed=0)
  assert set(chosen[:2]) == {1, 5}
  assert list(chosen[2:]) == [3, 4]
  assert len(figures.filters.choose(filters, 36, min_nonzero=20, seed=0)) == 6


def test_panels_say_what_they_show(drawn, tmp_path):
  few = sparse_kernel([64, 3, 3, 3])
  figures.first_layer_filters(
    [('SGD', kernel(GREY, units=4)), ('β-LASSO', few)],
    GREY,
    tmp_path / 'f.png',
    rows=2,
    cols=2,
  )
  dense, sparse = drawn[0].axes[:2]
  assert dense.get_title(loc='left') == 'SGD'
  assert sparse.get_title(loc='left') == 'β-LASSO'
  text = dense.texts[0].get_text()
  assert '100 % non-zero' in text
  assert '4 of 4 filters have ≥ 20 non-zeros' in text
  assert 'then fewer' not in text
  text = sparse.texts[0].get_text()
  assert '7.13 % non-zero' in text  # (64 + 9) / 1024
  # 4 full rows of 16 pixels: variance (16 - 1) / 12 + (256 - 1) / 12.
  assert 'median spread 4.7 px, shuffled 6.' in text
  assert '1 of 4 filters have ≥ 20 non-zeros, then fewer' in text


def test_a_net_without_weights_can_be_drawn(drawn, tmp_path):
  figures.first_layer_filters(
    [('dead', sparse_kernel([0, 0]))], GREY, tmp_path / 'f.png'
  )
  assert '0 % non-zero\n0 of 2' in drawn[0].axes[0].texts[0].get_text()


def test_a_kernel_of_other_images_is_refused(tmp_path):
  with pytest.raises(ValueError, match='not that of a dense layer'):
    figures.first_layer_filters(
      [('', kernel(GREY))], COLOUR, tmp_path / 'f.png'
    )


METRICS = [
  {'epoch': 0, 'test/accuracy': 0.1, 'nonzero/conv1': 1.0, 'nonzero/fc1': 1.0},
  {
    'epoch': 1,
    'test/accuracy': 0.5,
    'train/accuracy': 0.6,
    'nonzero/conv1': 0.02,
    'nonzero/fc1': 0.25,
  },
]


def test_curves_show_percent_against_epochs(drawn, tmp_path):
  figures.curves([('A', METRICS), ('B', METRICS[:1])], tmp_path / 'c.png')
  accuracy, a, b = drawn[0].axes
  test, train = accuracy.lines[:2]
  np.testing.assert_allclose(test.get_xydata(), [(0, 10), (1, 50)])
  np.testing.assert_allclose(train.get_xydata(), [(1, 60)])
  assert (test.get_linestyle(), train.get_linestyle()) == ('-', '--')
  assert test.get_color() == train.get_color() != accuracy.lines[2].get_color()
  assert accuracy.get_ylabel() == 'accuracy (%)'
  assert accuracy.get_xlabel() == 'epoch'
  labels = [t.get_text() for t in accuracy.get_legend().get_texts()]
  assert labels == ['A', 'B', 'test', 'train (augmented batches)']

  assert a.get_title(loc='left') == 'A'
  assert a.get_yscale() == 'log'
  assert [line.get_label() for line in a.lines] == ['conv1', 'fc1']
  np.testing.assert_allclose(a.lines[0].get_xydata(), [(0, 100), (1, 2)])
  assert a.get_ylim() == b.get_ylim()
  assert a.get_ylim()[0] < 2


def test_a_single_point_is_visible(drawn, tmp_path):
  figures.curves([('B', METRICS[:1])], tmp_path / 'c.png')
  assert drawn[0].axes[0].lines[0].get_marker() == 'o'


def test_curves_of_runs_without_metrics_are_saved(tmp_path):
  png, pdf = figures.curves([('new', []), ('A', METRICS)], tmp_path / 'c.png')
  assert png.is_file() and pdf.is_file()


@pytest.mark.parametrize('low', [0.3, 3.0])  # 3.0: all are vacuous
def test_bounds_stand_at_their_nets_errors(low, tmp_path, monkeypatch):
  drawn = []
  save = figures.style.save
  monkeypatch.setattr(
    figures.style, 'save', lambda fig, *a: drawn.append(fig) or save(fig, *a)
  )
  long = 'S-FC β-LASSO λ=1.2e-4/8e-5 lr=0.5 (' + 'long_' * 15 + ')'
  nets = [
    figures.Bounded(
      long if i == 3 else f'net {i}', i / 20, low + i, low + i + 1
    )
    for i in range(10)
  ]
  with warnings.catch_warnings():
    warnings.simplefilter('error')  # of a legend that leaves no room
    paths = figures.bounds(nets, tmp_path / 'bounds.png', 0.5, 'A caption.')
  assert [p.suffix for p in paths] == ['.png', '.pdf', '.txt']
  ax = drawn[0].axes[0]
  found = {
    ''.join(line.get_label().split()): line  # filled to the column
    for line in ax.lines
    if not line.get_label().startswith('_')
  }
  looks = set()
  for net in nets:
    line = found[''.join(net.label.split())]
    assert line.get_xydata().tolist() == [
      [100 * net.test_error, 100 * net.in_nats]
    ]
    looks.add((line.get_color(), line.get_marker()))
  assert len(looks) == len(nets)
  assert ax.get_xlabel() == 'test error (%)'
  assert ax.get_ylabel() == 'bound on the error (%)'
