"""The paper's figures: what is drawn, of runs that are made up."""

import numpy as np
import pytest

from lconv_jax import errors, models, report
from lconv_jax.report import experiments, style
from lconv_jax.report.find import find
from lconv_jax.report.paper import ITEMS
from tests import fake_runs
from tests.fake_runs import net

DENSE, LOCAL, SPARSE = (
  fake_runs.kernels()[name] for name in ('dense', 'local', 'sparse')
)


@pytest.fixture(scope='module')
def of_filters(tmp_path_factory):
  root = tmp_path_factory.mktemp('of_filters')
  fake_runs.of_filters(root)
  return root


def draw(name, root):
  """Returns what was drawn of the runs in a folder."""
  chosen, _ = experiments.group(find([root])[0])
  path, request = root / f'{name}.png', report.Request('the command')
  return ITEMS[name].write(chosen, path, request)[1]


def labels(legend):
  return [text.get_text() for text in legend.get_texts()]


def marked(ax, marker):
  """The points of all lines with a marker, and their faces."""
  return [
    (*map(float, xy), line.get_markerfacecolor() == 'white')
    for line in ax.lines
    if line.get_marker() == marker
    for xy in line.get_xydata()
  ]


def test_parameters_are_those_of_the_nets(tmp_path, drawn):
  ITEMS['parameters'].write([], tmp_path, report.Request('the command'))
  ((fig, caption),) = drawn
  left, right = fig.axes
  for ax in (left, right):
    assert ax.get_xscale() == ax.get_yscale() == 'log'
  assert left.get_ylabel() == 'weights'
  assert left.get_xlabel() == 'base channels α'
  assert right.get_xlabel() == 'image size (px)'
  got = {line.get_label(): dict(line.get_xydata()) for line in left.lines}
  by_size = {line.get_label(): dict(line.get_xydata()) for line in right.lines}
  # Tables 3 and 4, by hand.
  for a in (1, 15, 150):
    assert got['S-CONV'][a] == 6144 * a**2 + (243 + 240) * a
    assert got['S-FC'][a] == 6144 * a**2 + (3 * 32**4 / 4 + 240) * a
    assert got['D-LOCAL'][a] == 49 * 1024 * a**2 + (27 * 1024 + 640) * a
    assert (
      got['D-LOCAL as printed'][a] == 13 * 1024 * a**2 + (27 * 1024 + 640) * a
    )
  for s in (16, 32, 256):
    assert by_size['S-LOCAL'][s] == (
      6 * s**2 * 150**2 + (243 * s**2 / 4 + 240) * 150
    )
    assert by_size['D-LOCAL'][s] == 49 * s**2 * 15**2 + (27 * s**2 + 640) * 15
  for line in left.lines:
    if 'printed' not in line.get_label():
      (at,) = line.get_markevery()
      alpha = 15 if line.get_label()[0] == 'D' else 150
      assert line.get_xdata()[at] == alpha
  shown = [word for word in labels(fig.legends[0]) if word.strip()]
  assert sorted(shown) == sorted(got.keys() - {'D-LOCAL as printed'})
  assert right.texts[0].get_text() == 'dotted: D-LOCAL\nas printed'
  numbers = left.yaxis.get_major_formatter()
  assert [numbers(10**p) for p in (3, 6, 9)] == ['1 k', '1 M', '1 B']
  assert 'contradicts the strides' in caption and 'the command' in caption


def test_accuracy_against_epochs_and_weights(tmp_path, drawn):
  net(tmp_path, 's_conv', 1, 0.4)
  net(tmp_path, 's_conv', 2, 0.5)
  net(tmp_path, 's_conv', 2, 0.7, train__epochs=8)
  net(tmp_path, 's_conv', 4, 0.6)
  net(tmp_path, 's_conv', 4, 0.8, seed=1)
  net(tmp_path, 'fc3', 2, 0.3, finished=False, measured=2)
  net(tmp_path, 's_fc', 2, 0.9, choices='beta_lasso')  # by SGD only
  net(tmp_path, 's_fc', 2, 0.9, train__init_from='s_conv')  # from scratch only
  made = draw('accuracy', tmp_path)
  ((fig, caption),) = drawn
  train_epochs, _, test_epochs, test_weights = fig.axes
  assert train_epochs.get_ylabel() == 'train accuracy (%)'
  assert test_epochs.get_ylabel() == 'test accuracy (%)'
  assert test_epochs.get_xlabel() == 'epochs'
  assert test_weights.get_xlabel() == 'weights'
  assert test_weights.get_xscale() == 'log'
  assert len({ax.get_ylim() for ax in fig.axes}) == 1

  # S-CONV: the curve of the largest α, 4, and where its runs end.
  curve = test_epochs.lines[0]
  np.testing.assert_allclose(
    curve.get_xydata(), [(1, 15), (2, 30), (3, 45), (4, 60)]
  )
  assert marked(test_epochs, 's') == [(4, pytest.approx(70), False)]
  assert marked(train_epochs, 's') == [(4, pytest.approx(80), False)]
  # All α after 4 epochs, which most runs have.
  got = marked(test_weights, 's')
  want = [(1010, 40), (2010, 50), (4010, 70)]
  assert got == [(x, pytest.approx(y), False) for x, y in want]
  assert marked(test_epochs, '^')[-1] == (2, pytest.approx(15), True)
  assert not marked(test_weights, '^')  # 3-FC is not finished
  # Two seeds, in four panels.
  bars = [c for ax in fig.axes for c in ax.collections]
  assert len(bars) == 4
  ((low, high),) = bars[-1].get_segments()
  assert low[1] == pytest.approx(70 - 100 * 0.02**0.5)
  assert high[1] == pytest.approx(70 + 100 * 0.02**0.5)
  # No line joins what is marked.
  ends = [line for line in test_epochs.lines if line.get_marker() == 's']
  assert {line.get_linestyle() for line in ends} == {'None'}

  shown = [word for word in labels(fig.legends[0]) if word.strip()]
  assert sorted(shown) == ['3-FC', 'S-CONV']
  assert list(made.missing) == ['D-CONV', 'D-LOCAL', 'D-FC', 'S-LOCAL', 'S-FC']
  assert 'after 4 epochs' in caption
  assert 'CIFAR-10; augmentation: fast_autoaugment' in caption
  assert 'c0ffee' in caption and 'python main.py s_conv_4_' in caption
  assert 's_conv_2_2' not in caption  # the 8 epochs of a smaller α: not shown
  assert '2 of 4, unfinished' in caption


def test_scaling_is_the_difference_of_the_winners(tmp_path, drawn):
  for seed, accuracy in enumerate((0.5, 0.52)):
    net(tmp_path, 's_fc', 4, accuracy, seed=seed)
  for seed, accuracy in enumerate((0.6, 0.56)):
    net(tmp_path, 's_fc', 4, accuracy, choices='beta_lasso', seed=seed)
  # By another λ, worse in validation, by a smaller β, and not finished.
  lasso = {'choices': 'beta_lasso'}
  net(tmp_path, 's_fc', 4, 0.9, validation=0.1, optim__l1_conv=1e-3, **lasso)
  net(tmp_path, 's_fc', 4, 0.9, optim__beta=1.0, **lasso)
  net(tmp_path, 's_fc', 4, 0.9, finished=False, seed=7, train__epochs=8)
  net(tmp_path, 's_fc', 2, 0.4, train__epochs=8)
  net(tmp_path, 's_fc', 2, 0.3, train__epochs=8, **lasso)
  net(tmp_path, 's_fc', 1, 0.3, train__epochs=8, **lasso)  # without SGD
  made = draw('scaling', tmp_path)
  ((fig, caption),) = drawn
  gain, nonzero, _ = fig.axes
  assert marked(gain, 'o') == [(4, pytest.approx(58 - 51), False)]
  assert marked(gain, 's') == [(2, pytest.approx(30 - 40), False)]
  (bars,) = gain.collections
  ((low, high),) = bars.get_segments()
  want = 100 * (0.01**2 * 2 + 0.02**2 * 2) ** 0.5
  assert high[1] - low[1] == pytest.approx(2 * want)
  assert labels(fig.legends[0]) == ['4 epochs', '8 epochs']
  assert marked(nonzero, 'o') == [(4, pytest.approx(1), False)]
  assert nonzero.get_ylabel() == 'first layer: non-zero weights (%)'
  assert made.missing == ['4 epochs with α = 2', '8 epochs with α = 4']
  assert 'β = 50' in caption and 'c0ffee' in caption


def test_scaling_needs_both_methods(tmp_path, drawn):
  net(tmp_path, 's_fc', 4, 0.5)
  net(tmp_path, 's_fc', 2, 0.5, choices='beta_lasso')
  with pytest.raises(errors.UsageError, match='scaling:a8_e400 trains them'):
    draw('scaling', tmp_path)


@pytest.mark.parametrize(
  ('epochs', 'scale', 'numbers'),
  [(1, 'linear', '0 1'), (4, 'linear', '0 1 2 3 4'), (40, 'log', '1 3 10 30')],
)
def test_epochs_are_numbered_however_few(
  tmp_path, drawn, epochs, scale, numbers
):
  net(tmp_path, 's_conv', 1, 0.4, train__epochs=epochs)
  draw('accuracy', tmp_path)
  ax = drawn[0][0].axes[2]
  assert ax.get_xscale() == scale
  low, high = ax.get_xlim()
  shown = [
    tick.get_text()
    for tick, at in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)
    if low <= at <= high
  ]
  assert ' '.join(shown) == numbers


def test_a_net_of_ones_own_is_drawn_like_the_papers(
  tmp_path, drawn, monkeypatch
):
  own = models.NETS['s_fc']._replace(title='Own', family='own')
  monkeypatch.setitem(models.NETS, 'own', own)
  net(tmp_path, 'own', 1, 0.4)
  net(tmp_path, 's_fc', 1, 0.5)
  draw('accuracy', tmp_path)
  fig, _ = drawn[0]
  assert labels(fig.legends[0]) == ['S-FC', 'Own']
  one, other = fig.legends[0].get_lines()
  assert one.get_color() == other.get_color()  # both are FC
  assert one.get_marker() != other.get_marker()


def test_accuracy_of_runs_that_cannot_be_compared_is_refused(tmp_path, drawn):
  net(tmp_path, 's_conv', 1, 0.4)
  net(tmp_path, 's_fc', 1, 0.4, data__augment='none')
  with pytest.raises(errors.UsageError, match=r'differ in data\.augment'):
    draw('accuracy', tmp_path)


def test_nonzero_weights_of_each_layer(tmp_path, drawn):
  lasso = {'choices': 'beta_lasso', 'optim__l1_conv': 1e-4}
  net(tmp_path, 's_fc', 2, 0.5, **lasso)
  net(tmp_path, 's_fc', 3, 0.5, finished=False, measured=2, **lasso)
  net(tmp_path, 's_fc', 2, 0.5, optim__beta=0.0, **lasso)
  net(tmp_path, 's_fc', 2, 0.5)
  draw('nonzero', tmp_path)
  ((fig, caption),) = drawn
  whole, part = fig.axes
  assert [line.get_label() for line in whole.lines] == ['conv1', 'fc1', 'fc2']
  np.testing.assert_allclose(
    whole.lines[0].get_xydata(), [(1, 75.25), (2, 50.5), (3, 25.75), (4, 1)]
  )
  assert len(part.lines[0].get_xydata()) == 2
  assert part.get_xlim() == (0, 4)
  assert whole.get_yscale() == 'log'
  assert whole.get_ylabel() == 'non-zero weights (%)'
  assert whole.get_xlabel() == 'epoch'
  titles = [' '.join(ax.get_title(loc='left').split()) for ax in fig.axes]
  assert titles == ['α=2', '(unfinished) α=3']
  assert 'figure 3' in caption
  assert 'All: S-FC β-LASSO β=50 λ=1e-4/1e-5 epochs=4.' in caption
  assert labels(fig.legends[0]) == ['conv1', 'fc1', 'fc2']


def test_a_short_trial_has_no_panel(tmp_path, drawn):
  for alpha, epochs in ((1, 2), (2, 30)):
    net(
      tmp_path, 's_fc', alpha, 0.5, choices='beta_lasso', train__epochs=epochs
    )
  draw('nonzero', tmp_path)
  ((fig, caption),) = drawn
  assert len(fig.axes) == 1 and 'α=2' in fig.axes[0].get_title(loc='left')
  assert 'Not shown: 1 with less than a tenth' in caption


@pytest.mark.parametrize(
  ('runs', 'titles'),
  [
    (1, ['S-FC β-LASSO β=50 λ=1e-5 α=1 epochs=4']),
    (3, ['α=1', 'α=2', 'α=3']),
  ],
)
def test_panels_of_one_label_are_told_apart(tmp_path, drawn, runs, titles):
  for alpha in range(1, runs + 1):
    net(tmp_path, 's_fc', alpha, 0.5, choices='beta_lasso')
  draw('nonzero', tmp_path)
  got = [ax.get_title(loc='left') for ax in drawn[0][0].axes]
  assert [' '.join(title.split()) for title in got] == titles


def test_too_many_panels_are_refused(tmp_path, drawn):
  for alpha in range(1, 10):
    net(tmp_path, 's_fc', alpha, 0.5, choices='beta_lasso')
  with pytest.raises(errors.UsageError, match=r'9 experiments .* than the 8'):
    draw('nonzero', tmp_path)


def test_filters_of_the_paper_side_by_side(of_filters, drawn):
  made = draw('filters', of_filters)
  ((fig, caption),) = drawn
  titles = [ax.get_title(loc='left') for ax in fig.axes]
  assert titles == ['S-FC\nby SGD', 'S-FC\nby β-LASSO', 'S-LOCAL\nby SGD']
  assert fig.get_size_inches()[0] == style.COLUMN
  dense, sparse, local = (ax.images[0].get_array() for ax in fig.axes)
  assert dense.shape == sparse.shape == local.shape == (6 * 33 + 1, 100, 3)
  # A filter of LOCAL is white but for its window.
  colourful = (local[1:33, 1:33] != 1).any(axis=-1)
  rows, cols = colourful.any(1).nonzero()[0], colourful.any(0).nonzero()[0]
  assert np.ptp(rows) <= 8 and np.ptp(cols) <= 8
  assert not made.missing
  for words in (
    'seed 0', 'at least 20 non-zero', 'at their place in the image',
    'S-FC by SGD (α = 2): 100 % non-zero',
    'S-FC by β-LASSO (α = 2, β = 50): ', '512 of 512 filters', 'figure 4',
    's_fc_2_2',
  ):  # fmt: skip
    assert words in caption
  assert 's_fc_1_0' not in caption and 's_fc_2_3' not in caption


@pytest.mark.parametrize(
  ('name', 'kernel', 'number'),
  [
    ('filters_sgd', DENSE, 'figure 7'),
    ('filters_beta_lasso', SPARSE, 'figure 8'),
  ],
)
def test_the_filters_drawn_are_the_layers(
  of_filters, drawn, name, kernel, number
):
  draw(name, of_filters)
  ((fig, caption),) = drawn
  assert f'({number} of the paper)' in caption
  (ax,) = fig.axes
  mosaic = ax.images[0].get_array()
  assert mosaic.shape == (8 * 33 + 1, 8 * 33 + 1, 3)
  painted = np.stack(
    [
      np.where(f.any(-1, keepdims=True), 0.5 + 0.42 * f / np.abs(f).max(), 1)
      for f in kernel.T.reshape(-1, 32, 32, 3)
    ]
  )
  cells = [
    mosaic[33 * y + 1 : 33 * y + 33, 33 * x + 1 : 33 * x + 33]
    for y, x in np.ndindex(8, 8)
  ]
  units = [
    int(unit)
    for cell in cells
    for (unit,) in np.nonzero(np.all(np.abs(painted - cell) < 1e-6, (1, 2, 3)))
  ]
  assert len(set(units)) == 64 and units != sorted(units)


def test_filters_of_conv_nets_fill_no_empty_rows(of_filters, drawn):
  draw('filters_conv', of_filters)
  ((fig, caption),) = drawn
  assert fig.axes[0].images[0].get_array().shape == (11, 81, 3)
  assert '2 of 2 filters' in caption and 'not in the paper' in caption


def test_missing_filters_are_named(tmp_path, drawn):
  net(tmp_path, 's_fc', 2, 0.4, kernel=DENSE)
  net(tmp_path, 's_local', 2, 0.4, kernel=LOCAL, finished=False)
  net(tmp_path, 's_fc', 2, 0.4, choices='beta_lasso')  # its checkpoint is lost
  made = draw('filters', tmp_path)
  lost, unfinished = made.missing
  assert 'holds no checkpoint' in lost
  assert unfinished == 'no finished run of S-LOCAL by SGD'
  with pytest.raises(errors.UsageError, match='no finished run of S-LOCAL'):
    draw('filters_local', tmp_path)


def test_filters_are_of_nets_from_scratch_by_a_threshold(tmp_path, drawn):
  net(tmp_path, 's_fc', 2, 0.4, kernel=DENSE)
  net(tmp_path, 's_fc', 2, 0.9, train__init_from='s_conv', kernel=SPARSE)
  net(tmp_path, 's_fc', 2, 0.9, choices='beta_lasso', optim__beta=0.0)
  made = draw('filters', tmp_path)
  assert list(made.missing) == [
    'no finished run of S-FC by β-LASSO',
    'no finished run of S-LOCAL by SGD',
  ]
  assert '100 % non-zero' in drawn[0][1]


def test_filters_that_cannot_be_compared_are_refused(tmp_path, drawn):
  net(tmp_path, 's_fc', 2, 0.4, kernel=DENSE)
  net(tmp_path, 's_local', 2, 0.4, kernel=LOCAL, data__augment='none')
  with pytest.raises(errors.UsageError, match=r'filters: .* data\.augment'):
    draw('filters', tmp_path)
  net(tmp_path, 's_fc', 2, 0.9, kernel=DENSE, data__limit=1000)
  made = draw('filters', tmp_path)
  assert 'S-FC by SGD: the runs differ in data.limit' in made.missing[0]


def test_a_caption_lists_the_runs_that_are_drawn(tmp_path, drawn):
  for seed in range(3):
    net(tmp_path, 's_fc', 2, 0.4, kernel=DENSE, seed=seed)
  draw('filters_sgd', tmp_path)
  assert drawn[0][1].count('seed 0, commit') == drawn[0][1].count(', commit')


def test_resnet_against_kernel_size(tmp_path, drawn):
  for i, size in enumerate((0, 5, 9)):
    net(tmp_path, 'resnet18', 4, 0.5 + i / 10, model__kernel_size=size)
  lasso = {'choices': 'beta_lasso', 'model__kernel_size': 5}
  net(tmp_path, 'resnet18', 4, 0.4, finished=False, measured=2, **lasso)
  made = draw('kernel_size', tmp_path)
  ((fig, caption),) = drawn
  (ax,) = fig.axes
  assert ax.get_xlabel() == 'kernel size (px)'
  assert ax.get_ylabel() == 'test accuracy (%)'
  assert labels(ax.get_legend()) == ['SGD', 'β-LASSO β=50']
  np.testing.assert_allclose(
    ax.lines[0].get_xydata(), [(3, 50), (5, 60), (9, 70)]
  )
  assert marked(ax, 's')[-1] == (5, pytest.approx(20), True)
  assert list(made.missing) == [
    'β-LASSO β=50 with 3 px',
    'β-LASSO β=50 with 9 px',
  ]
  assert 'Missing: β-LASSO β=50 with 3 px;' in caption


def test_resnet_by_sgd_alone(tmp_path, drawn):
  net(tmp_path, 'resnet18', 4, 0.5)
  assert list(draw('kernel_size', tmp_path).missing) == ['β-LASSO']


def test_looks_of_many_methods_differ():
  looks = [style.distinct(i) for i in range(56)]
  assert len({(x['color'], x['marker']) for x in looks}) == 56


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('accuracy', 'No run by SGD'),
    ('nonzero', 'No run by β-LASSO'),
    ('kernel_size', 'No run of ResNet18'),
    ('table1', 'No run is of a row of table1'),
  ],
)
def test_what_no_run_fits_says_so(tmp_path, name, words):
  net(tmp_path, 'resnet18' if name != 'kernel_size' else 's_fc', 1, 0.5)
  with pytest.raises(errors.UsageError, match=words):
    draw(name, tmp_path)
