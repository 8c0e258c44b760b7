"""The paper's figures and tables: what is drawn, from runs that are made up."""

import csv
import json
import pathlib
import re

import numpy as np
import pytest

from lconv_jax import errors, figures, paper
from lconv_jax.figures import __main__ as command
from lconv_jax.paper import published
from tests import fake_runs

# Numbers of the paper as they were noted, outside of the repository.
NOTES = pathlib.Path(__file__).parents[3] / 'shared' / 'PAPER.md'
RNG = np.random.default_rng(0)
# First layers of α = 2.
DENSE = RNG.normal(size=(3072, 512)).astype(np.float32)
LOCAL = RNG.normal(size=(16, 16, 2, 9, 9, 3)).astype(np.float32)
CONV = RNG.normal(size=(2, 9, 9, 3)).astype(np.float32)
SPARSE = DENSE * (RNG.random(DENSE.shape) < 0.01)


@pytest.fixture
def drawn(monkeypatch):
  """The figures that were drawn, and their captions, instead of files."""
  result = []

  def save(fig, path, caption=None):
    result.append((fig, caption))
    return (path,)

  monkeypatch.setattr(figures.style, 'save', save)
  return result


def draw(name, root, out='unused'):
  chosen, _ = paper.group(paper.find([root])[0])
  request = paper.Request('the command')
  return paper.ITEMS[name].draw(chosen, root / out / f'{name}.png', request)


def net(root, name, alpha, test, **fields):
  path = root / f'{name}_{alpha}_{len(list(root.glob("*")))}'
  weights = {'conv1': 1000 * alpha, 'fc1': 10}
  choices = 'cifar10,momentum'
  return fake_runs.write(
    path, test, model__name=name, model__base_channels=alpha, weights=weights,
    **{'choices': choices, **fields},
  )  # fmt: skip


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
  item = paper.ITEMS['parameters']
  item.draw([], tmp_path, paper.Request('the command'))
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
  assert sorted(shown) == sorted(got)
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


def test_seeds_have_error_bars(tmp_path, drawn):
  net(tmp_path, 's_conv', 4, 0.6)
  net(tmp_path, 's_conv', 4, 0.8, seed=1)
  draw('accuracy', tmp_path)
  bars = [c for ax in drawn[0][0].axes for c in ax.collections]
  assert len(bars) == 4
  ((low, high),) = bars[-1].get_segments()
  assert low[1] == pytest.approx(70 - 100 * 0.02**0.5)
  assert high[1] == pytest.approx(70 + 100 * 0.02**0.5)


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
  titles = [ax.get_title(loc='left').replace('\n', ' ') for ax in fig.axes]
  assert titles == ['α=2', '(unfinished) α=3']
  assert 'figure 3' in caption
  assert 'All: S-FC β-LASSO β=50 λ=1e-4/1e-5 epochs=4.' in caption
  assert labels(fig.legends[0]) == ['conv1', 'fc1', 'fc2']


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


def test_layers_of_a_deep_net_do_not_fill_the_legend(drawn):
  metrics = [{'epoch': 1, **{f'nonzero/conv{i}': 1.0 for i in range(21)}}]
  figures.nonzero([('', metrics)], [1], pathlib.Path('unused'))
  (fig, _), *_ = drawn
  assert len(fig.axes[0].lines) == 21
  names = labels(fig.legends[0])
  assert names[0] == 'conv0' and names[-1] == 'conv20' and len(names) <= 5


def test_panels_of_other_layers_have_their_own_legend(drawn):
  runs = [
    (name, [{'epoch': 1, f'nonzero/{name}': 0.5}]) for name in ('fc1', 'conv1')
  ]
  figures.nonzero(runs, [1, 1], pathlib.Path('unused'))
  fig, _ = drawn[0]
  assert not fig.legends
  assert [labels(ax.get_legend()) for ax in fig.axes] == [['fc1'], ['conv1']]


def test_too_many_panels_are_refused(tmp_path, drawn):
  for alpha in range(1, 10):
    net(tmp_path, 's_fc', alpha, 0.5, choices='beta_lasso')
  with pytest.raises(errors.UsageError, match=r'9 experiments .* than the 8'):
    draw('nonzero', tmp_path)


def filter_runs(root):
  net(root, 's_fc', 1, 0.9, kernel=SPARSE[:, ::2])  # a smaller α
  net(root, 's_fc', 2, 0.4, kernel=DENSE)
  lasso = {'choices': 'beta_lasso', 'kernel': SPARSE}
  net(root, 's_fc', 2, 0.4, **lasso)
  net(root, 's_fc', 2, 0.8, optim__beta=1.0, **lasso)  # a smaller β
  net(root, 's_local', 2, 0.4, kernel=LOCAL)
  net(root, 's_conv', 2, 0.4, kernel=CONV)


def test_filters_of_the_paper_side_by_side(tmp_path, drawn):
  filter_runs(tmp_path)
  made = draw('filters', tmp_path)
  ((fig, caption),) = drawn
  titles = [ax.get_title(loc='left') for ax in fig.axes]
  assert titles == ['S-FC\nby SGD', 'S-FC\nby β-LASSO', 'S-LOCAL\nby SGD']
  assert fig.get_size_inches()[0] == figures.style.COLUMN
  dense, sparse, local = (ax.images[0].get_array() for ax in fig.axes)
  assert dense.shape == sparse.shape == local.shape == (6 * 33 + 1, 100, 3)
  # A filter of LOCAL is grey but for its window.
  colourful = (local[1:33, 1:33] != 0.5).any(axis=-1)
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
  tmp_path, drawn, name, kernel, number
):
  filter_runs(tmp_path)
  draw(name, tmp_path)
  ((fig, caption),) = drawn
  assert f'({number} of the paper)' in caption
  (ax,) = fig.axes
  mosaic = ax.images[0].get_array()
  assert mosaic.shape == (8 * 33 + 1, 8 * 33 + 1, 3)
  painted = np.stack(
    [0.5 + f / (2 * np.abs(f).max()) for f in kernel.T.reshape(-1, 32, 32, 3)]
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


def test_filters_of_conv_nets_fill_no_empty_rows(tmp_path, drawn):
  filter_runs(tmp_path)
  draw('filters_conv', tmp_path)
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


def test_looks_of_many_methods_differ():
  looks = [figures.style.distinct(i) for i in range(56)]
  assert len({(x['color'], x['marker']) for x in looks}) == 56


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
  assert 'Missing: β-LASSO β=50 with 3 px' in caption


def test_resnet_by_sgd_alone(tmp_path, drawn):
  net(tmp_path, 'resnet18', 4, 0.5)
  assert list(draw('kernel_size', tmp_path).missing) == ['β-LASSO']


def cells(path):
  """The rows of a Markdown file's tables, without headers."""
  lines = path.read_text(encoding='utf-8').splitlines()
  rows = [line.strip('| ').split(' | ') for line in lines if line[:1] == '|']
  return {tuple(row[:2]): row[2:] for row in rows}


def test_table1_has_the_paper_beside_ours(tmp_path):
  net(tmp_path, 'd_conv', 15, 0.5, train__epochs=400)
  net(tmp_path, 'd_conv', 15, 0.6, train__epochs=400, seed=1)
  net(tmp_path, 'd_conv', 4, 0.9, train__epochs=400)  # a smaller α
  net(tmp_path, 's_fc', 8, 0.4, finished=False, measured=2)
  net(tmp_path, 's_fc', 8, 0.4, choices='beta_lasso')  # in table 2
  made = draw('table1', tmp_path, 'out')
  page, table, caption = made.paths
  got = cells(page)
  assert got['net', 'method'] == [
    'ours, 4 epochs', 'ours, 400 epochs', 'paper, 400 epochs',
    'ours, 4000 epochs', 'paper, 4000 epochs',
  ]  # fmt: skip
  assert got['D-CONV', 'SGD'] == [
    '– no run', '55.00 ± 7.07', '88.84 (recalled)', '– no run',
    '89.79 (recalled)',
  ]  # fmt: skip
  assert got['S-FC', 'SGD'][0] == '20.00 (α = 8, unfinished)'
  assert len(got) == 9  # a header, a rule, seven nets
  assert list(made.missing) == ["41 of the paper's 42 cells"]
  assert '55.00 ± 7.07' in made.text and 'CIFAR-10' in made.text
  assert 'No runs, and no known numbers: CIFAR-100, SVHN' in page.read_text()
  assert 'd_conv_15' in caption.read_text()
  with table.open(encoding='utf-8') as f:
    rows = {(r['net'], r['data'], r['epochs']): r for r in csv.DictReader(f)}
  row = rows['D-CONV', 'cifar10', '400']
  assert (row['test (%)'], row['paper (%)']) == ('55.0', '88.84')
  assert (row['source'], row['seeds']) == ('paper (recalled)', '2')
  row = rows['D-CONV', 'svhn_cropped', '400']
  assert (row['test (%)'], row['paper (%)'], row['finished']) == (
    '', '', 'no run'
  )  # fmt: skip


def test_table2_has_the_published_numbers_without_a_mark(tmp_path):
  net(
    tmp_path, 's_fc', 150, 0.85, choices='svhn_cropped,beta_lasso',
    train__epochs=4000,
  )  # fmt: skip
  net(tmp_path, 's_fc', 150, 0.5, choices='beta_lasso', optim__beta=7.0)
  made = draw('table2', tmp_path, 'out')
  parts = made.paths[0].read_text(encoding='utf-8').split('**')
  pages = dict(zip(parts[1::2], parts[2::2], strict=True))
  assert list(pages) == ['CIFAR-10', 'CIFAR-100', 'SVHN']
  assert '| S-FC | β-LASSO β=50 | 85.00 | 94.07 |' in pages['SVHN']
  assert '| S-FC | β-LASSO β=50 | – no run | 59.56 |' in pages['CIFAR-100']
  assert '| S-FC | β-LASSO β=7 | 50.00 | – no run | – |' in pages['CIFAR-10']
  assert 'β=7' not in pages['SVHN']
  assert '84.50 %, 57.76 % and 93.84 %' in pages['SVHN']


# Once more, as they are printed.
TABLE1 = """
D-CONV 88.84 89.79
D-LOCAL 86.13 86.07
D-FC 64.78 63.62
S-CONV 84.14 87.05
S-LOCAL 81.52 85.86
S-FC 72.77 78.63
3-FC 69.19 75.12
"""
TABLE2 = """
S-CONV,SGD 87.05 62.51 93.38
S-LOCAL,SGD 85.86 62.03 93.98
3-FC,SGD 75.12 50.75 86.02
S-FC,SGD 78.63 51.43 91.80
S-FC,β-LASSO β=0 82.45 55.58 93.80
S-FC,β-LASSO β=1 82.52 55.96 93.66
S-FC,β-LASSO β=50 85.19 59.56 94.07
"""


def test_the_numbers_are_the_papers():
  for line in TABLE1.strip().splitlines():
    title, *numbers = line.split()
    known = published.TABLE1[published.Row(title, 'SGD')]
    got = [known['cifar10', epochs].percent for epochs in (400, 4000)]
    assert got == list(map(float, numbers))
  for line in TABLE2.strip().splitlines():
    name, *numbers = line.rsplit(' ', 3)
    known = published.TABLE2[published.Row(*name.split(','))]
    got = [known[data, 4000].percent for data in published.DATA]
    assert got == list(map(float, numbers))


def test_no_number_of_the_notes_on_the_paper_is_left_out():
  if not NOTES.exists():
    pytest.skip(f'{NOTES} is not part of the repository')
  _, text = NOTES.read_text(encoding='utf-8').split('## Published and recalled')
  text = text.partition('Figures:')[0]
  noted = set(re.findall(r'\d\d\.\d\d', text))
  words = TABLE1 + TABLE2 + ' '.join(published.NOTES.values())
  assert set(re.findall(r'\d\d\.\d\d', words)) == noted


def test_the_abstracts_numbers_alone_are_not_marked():
  rows = [published.TABLE1, published.TABLE2]
  numbers = {
    (row, cell): number
    for table in rows
    for row, known in table.items()
    for cell, number in known.items()
  }
  exact = [n.percent for n in numbers.values() if not n.recalled]
  assert exact == [85.19, 59.56, 94.07]
  both = published.TABLE1.keys() & published.TABLE2.keys()
  for row in both:
    cell = 'cifar10', 4000
    assert published.TABLE1[row][cell] == published.TABLE2[row][cell]


def test_rows_of_different_experiments_are_refused(tmp_path):
  net(tmp_path, 's_fc', 8, 0.4)
  net(tmp_path, 's_conv', 8, 0.4, data__augment='none')
  with pytest.raises(
    errors.UsageError, match=r'table1, cifar10: .*data\.augment'
  ):
    draw('table1', tmp_path)


def test_tables_are_of_nets_as_they_are_and_finished(tmp_path):
  net(tmp_path, 's_fc', 4, 0.4)
  net(tmp_path, 's_fc', 8, 0.9, finished=False)
  net(tmp_path, 's_fc', 8, 0.9, train__init_from='s_conv')
  net(tmp_path, 's_conv', 8, 0.9, model__kernel_size=5)
  net(tmp_path, 'd_fc', 8, 0.9, optim__lr=0.05)
  made = draw('table1', tmp_path, 'out')
  got = cells(made.paths[0])
  assert got['S-FC', 'SGD'][0] == '40.00 (α = 4)'
  assert got['S-CONV', 'SGD'][0] == '– no run'


def test_an_optimiser_of_ones_own_is_not_called_sgd(tmp_path):
  path = net(tmp_path, 's_fc', 4, 0.4)
  net(tmp_path, 's_fc', 4, 0.3)
  config = json.loads((path / 'config.json').read_text())
  config['optim']['name'] = 'sign_sgd'
  (path / 'config.json').write_text(json.dumps(config))
  chosen, _ = paper.group(paper.find([tmp_path])[0])
  assert [e.method for e in chosen] == ['SIGN_SGD', 'SGD']
  assert cells(draw('table1', tmp_path, 'out').paths[0])['S-FC', 'SGD'][0] == (
    '30.00 (α = 4)'
  )


def test_a_cell_of_different_experiments_is_refused(tmp_path):
  net(tmp_path, 's_fc', 8, 0.4)
  net(tmp_path, 's_fc', 8, 0.4, data__limit=10)
  with pytest.raises(
    errors.UsageError, match=r'S-FC by SGD, 4 epochs: .* data\.limit'
  ):
    draw('table1', tmp_path)


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


def everything(root):
  filter_runs(root)
  net(root, 'resnet18', 4, 0.5)
  net(root, 's_conv', 2, 0.4, choices='svhn_cropped,momentum')


def test_all_draws_the_same_bytes_again(tmp_path, capsys):
  everything(tmp_path / 'runs')
  out = tmp_path / 'out'
  contents = []
  for _ in range(2):
    args = ['all', str(tmp_path / 'runs'), f'--out={out}']
    assert command.main(args) == 0
    contents.append({p.name: p.read_bytes() for p in sorted(out.iterdir())})
  assert contents[0] == contents[1]
  names = set(contents[0])
  for stem in (
    'parameters', 'accuracy_cifar10', 'accuracy_svhn_cropped',
    'nonzero_cifar10', 'filters_cifar10', 'filters_sgd_cifar10',
    'filters_beta_lasso_cifar10', 'filters_local_cifar10',
    'filters_conv_cifar10', 'kernel_size_cifar10',
  ):  # fmt: skip
    assert {f'{stem}.{end}' for end in ('png', 'pdf', 'txt')} <= names
  for stem in ('table1', 'table2'):
    assert {f'{stem}.{end}' for end in ('md', 'csv', 'txt')} <= names
  printed = capsys.readouterr().out
  assert 'missing: kernel_size_cifar10 (figure 5): β-LASSO' in printed
  assert (
    'missing: kernel_size_svhn_cropped (figure 5): No run of ResNet18'
    in printed
  )
  for line in printed.splitlines():
    if line.startswith('wrote '):
      assert line.removeprefix('wrote ').removeprefix(f'{out}/') in names


@pytest.mark.parametrize('name', paper.ITEMS)
def test_every_name_runs(tmp_path, name, capsys):
  everything(tmp_path / 'runs')
  args = [name, str(tmp_path / 'runs'), f'--out={tmp_path}/out']
  assert command.main([*args, '--only=data.name=cifar10']) == 0
  assert '--only=data.name=cifar10' in next(
    p.read_text() for p in (tmp_path / 'out').glob('*.txt')
  )


def test_a_data_set_may_be_given_a_name(tmp_path, capsys):
  root = tmp_path / 'runs'
  filter_runs(root)
  net(root, 's_conv', 2, 0.3, choices='svhn_cropped,momentum')
  args = ['table1', str(root), f'--out={tmp_path}/out']
  assert command.main([*args, '--data=cifar10=CIFAR-10 (JPEG copy)']) == 0
  page = (tmp_path / 'out' / 'table1.md').read_text()
  jpeg, svhn = page.index('**CIFAR-10 (JPEG copy)**'), page.index('**SVHN**')
  assert jpeg < page.index('40.00') < svhn < page.index('30.00')
  caption = (tmp_path / 'out' / 'table1.txt').read_text()
  assert 'Data: CIFAR-10 (JPEG copy), SVHN;' in ' '.join(caption.split())
  assert command.main([*args, '--data=JPEG copy']) == 2
  assert 'must be NAME=TEXT' in capsys.readouterr().err


def test_one_bad_run_does_not_keep_the_others_from_being_shown(
  tmp_path, capsys
):
  root = tmp_path / 'runs'
  everything(root)
  for i in (1, 2):
    rows = {'data__validation': 0, 'data__limit': 7, 'optim__lr': i}
    path = net(root, 's_fc', 1, 0.5, **rows)
    for name in ('metrics.jsonl', 'done.json'):
      text = (path / name).read_text().replace('validation/', 'other/')
      (path / name).write_text(text)
  path = net(root, 's_fc', 1, 0.5, data__limit=8)
  text = (path / 'config.json').read_text().replace('"s_fc"', '"foo"')
  (path / 'config.json').write_text(text)
  net(root, 's_fc', 1, 0.5, data__limit=9, finished=False, measured=0)
  (root / 'half').mkdir()
  (root / 'half' / 'config.json').write_text('{"model"')
  assert command.main(['all', str(root), f'--out={tmp_path}/out']) == 0
  captured = capsys.readouterr()
  left_out = captured.err.splitlines()
  assert len(left_out) == 4 and all(s[:10] == 'left out: ' for s in left_out)
  for words in (
    'config.json is damaged', 'foo is no net of this version',
    'has not measured anything yet', 'has no validation/accuracy',
  ):  # fmt: skip
    assert words in captured.err
  assert 'table1.md' in captured.out


def test_what_is_wrong_is_said_in_one_sentence(tmp_path, capsys):
  everything(tmp_path / 'runs')
  runs = str(tmp_path / 'runs')
  for args, words in (
    (['filter', runs], 'Did you mean filters'),
    (['accuracy'], 'is made of runs'),
    (['accuracy', str(tmp_path / 'x')], 'is not a run folder and holds'),
    (['accuracy', runs], 'these runs are of cifar10, svhn_cropped; choose by'),
    (['accuracy', runs, '--only=x'], 'must be FIELD=VALUE'),
    (['accuracy', runs, '--only=data.name=mnist'], 'No run has data.name'),
    (
      ['kernel_size', runs, '--only=data.name=svhn_cropped'],
      'No run of ResNet18',
    ),
    (['parameters', '--out=/proc/x'], '/proc/x'),
  ):
    assert command.main(args) == 2, args
    captured = capsys.readouterr()
    assert captured.err.startswith('error: ') and words in captured.err
    assert captured.err.count('\n') == 1
    assert captured.out == ''


def test_help_lists_all_names(capsys):
  with pytest.raises(SystemExit) as status:
    command.main(['--help'])
  assert status.value.code == 0
  printed = capsys.readouterr().out
  for name, item in paper.ITEMS.items():
    assert f'  {name} ' in printed and f'{item.number}: ' in printed
