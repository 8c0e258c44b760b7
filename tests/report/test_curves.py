import warnings

import numpy as np

from lconv_jax import report

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


def labels(legend):
  return [text.get_text() for text in legend.get_texts()]


def test_curves_show_percent_against_epochs():
  fig = report.draw_curves([('A', METRICS), ('B', METRICS[:1])], augmented=True)
  accuracy, a = fig.axes  # B has no zeros
  test, train, single = accuracy.lines[:3]
  np.testing.assert_allclose(test.get_xydata(), [(0, 10), (1, 50)])
  np.testing.assert_allclose(train.get_xydata(), [(1, 60)])
  assert (test.get_linestyle(), train.get_linestyle()) == ('-', '--')
  assert test.get_color() == train.get_color() != single.get_color()
  assert single.get_marker() == 'o'  # a single point is visible
  assert accuracy.get_ylabel() == 'accuracy (%)'
  assert accuracy.get_xlabel() == 'epoch'
  names = ['A', 'B', 'test', 'train (augmented images)']
  assert labels(accuracy.get_legend()) == names

  assert a.get_title(loc='left') == 'A'
  assert a.get_yscale() == 'log'
  assert [line.get_label() for line in a.lines] == ['conv1', 'fc1']
  np.testing.assert_allclose(a.lines[0].get_xydata(), [(0, 100), (1, 2)])
  assert a.get_ylim()[0] < 2


def test_the_best_epoch_is_marked():
  rows = [
    {'epoch': i + 1, 'test/accuracy': test, 'validation/accuracy': validation}
    for i, (test, validation) in enumerate([(0.5, 0.2), (0.3, 0.6), (0.9, 0.6)])
  ]
  (accuracy,) = report.draw_curves([('A', rows)]).axes
  (mark,) = (line for line in accuracy.lines if line.get_markersize() == 5)
  np.testing.assert_allclose(mark.get_xydata(), [(2, 30)])
  names = ['A', 'test', 'train', 'best in validation']
  assert labels(accuracy.get_legend()) == names


def test_titles_begin_at_the_same_height():
  rows = [{'epoch': 1, 'nonzero/fc1': 0.5}]
  fig = report.draw_curves([('A', rows), ('long ' * 9, rows)])
  titles = [ax.get_title(loc='left') for ax in fig.axes]
  assert titles == ['Accuracy\n', 'A\n', 'long ' * 6 + 'long\nlong long']


def test_curves_of_runs_without_metrics_are_saved(tmp_path):
  fig = report.draw_curves([('new', []), ('A', METRICS)])
  png, pdf = report.save(fig, tmp_path / 'c.png')
  assert png.is_file() and pdf.is_file()


def test_layers_of_a_deep_net_do_not_fill_the_legend():
  metrics = [{'epoch': 1, **{f'nonzero/conv{i}': 0.5 for i in range(21)}}]
  fig = report.draw_curves([('', metrics)])
  assert len(fig.axes[1].lines) == 21
  names = labels(fig.legends[0])
  assert names[0] == 'conv0' and names[-1] == 'conv20' and len(names) <= 5


def test_panels_of_other_layers_have_their_own_legend():
  runs = [
    (name, [{'epoch': 1, f'nonzero/{name}': 0.5}]) for name in ('fc1', 'conv1')
  ]
  fig = report.draw_curves(runs)
  assert not fig.legends
  own = [labels(ax.get_legend()) for ax in fig.axes[1:]]
  assert own == [['fc1'], ['conv1']]


def test_many_runs_are_told_apart_beside_the_panels(tmp_path):
  many = [(f'run {i}', METRICS[:1]) for i in range(30)]
  with warnings.catch_warnings(action='error'):  # there is room for all
    report.save(report.draw_curves(many), tmp_path / 'c.png')
  runs = [(f'run {i}', METRICS) for i in range(56)]
  fig = report.draw_curves(runs)
  accuracy = fig.axes[0]
  assert accuracy.get_legend() is None
  assert labels(fig.legends[0]) == [name for name, _ in runs]
  looks = {
    (x.get_color(), x.get_linestyle(), x.get_marker()) for x in accuracy.lines
  }
  assert len(looks) == len(accuracy.lines) == 56  # and no training accuracy
