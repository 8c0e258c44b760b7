"""The command line python -m lconv_jax.figures."""

import pytest

from lconv_jax import figures
from lconv_jax.report.paper import ITEMS
from tests import fake_runs
from tests.fake_runs import net


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """A folder with runs for every figure, and one of another data set."""
  root = tmp_path_factory.mktemp('runs')
  fake_runs.of_filters(root)
  net(root, 'resnet18', 4, 0.5)
  net(root, 's_conv', 2, 0.3, choices='svhn_cropped,momentum')
  return root


def test_all_draws_the_same_bytes_again(runs, tmp_path, capsys):
  contents = []
  for _ in range(2):
    assert figures.main(['all', str(runs), f'--out={tmp_path}']) == 0
    contents.append(
      {p.name: p.read_bytes() for p in sorted(tmp_path.iterdir())}
    )
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
  printed = capsys.readouterr().out.splitlines()
  assert 'missing: kernel_size_cifar10 (figure 5): β-LASSO' in printed
  assert any(
    line.startswith('missing: kernel_size_svhn_cropped (figure 5): No run of')
    for line in printed
  )
  for line in printed:
    if line.startswith('wrote '):
      assert line.removeprefix(f'wrote {tmp_path}/') in names


@pytest.mark.parametrize('name', ['accuracy', 'filters_conv', 'table2'])
def test_a_single_name_is_drawn_of_the_runs_that_are_asked_for(
  name, runs, tmp_path
):
  args = [name, str(runs), f'--out={tmp_path}', '--only=data.name=cifar10']
  assert figures.main(args) == 0
  (caption,) = (p.read_text() for p in tmp_path.glob('*.txt'))
  assert '--only=data.name=cifar10' in caption
  assert 'svhn' not in caption


def test_a_data_set_may_be_given_a_name(runs, tmp_path, capsys):
  args = ['table1', str(runs), f'--out={tmp_path}']
  assert figures.main([*args, '--data=cifar10=CIFAR-10 (JPEG copy)']) == 0
  page = (tmp_path / 'table1.md').read_text()
  jpeg, svhn = page.index('**CIFAR-10 (JPEG copy)**'), page.index('**SVHN**')
  assert jpeg < page.index('40.00') < svhn < page.index('30.00')
  caption = (tmp_path / 'table1.txt').read_text()
  assert 'Data: CIFAR-10 (JPEG copy), SVHN;' in ' '.join(caption.split())
  with pytest.raises(SystemExit):
    figures.main([*args, '--data=JPEG copy'])
  assert "'JPEG copy' is not of the form NAME" in capsys.readouterr().err


def test_one_bad_run_does_not_keep_the_others_from_being_shown(
  tmp_path, capsys
):
  root = tmp_path / 'runs'
  net(root, 's_fc', 1, 0.5)
  for i in (1, 2):
    fields = {'data__validation': 0, 'data__limit': 7, 'optim__lr': i}
    path = net(root, 's_fc', 1, 0.5, **fields)
    for name in ('metrics.jsonl', 'done.json'):
      text = (path / name).read_text().replace('validation/', 'other/')
      (path / name).write_text(text)
  path = net(root, 's_fc', 1, 0.5, data__limit=8)
  text = (path / 'config.json').read_text().replace('"s_fc"', '"foo"')
  (path / 'config.json').write_text(text)
  net(root, 's_fc', 1, 0.5, data__limit=9, finished=False, measured=0)
  (root / 'half').mkdir()
  (root / 'half' / 'config.json').write_text('{"model"')
  assert figures.main(['table1', str(root), f'--out={tmp_path}/out']) == 0
  captured = capsys.readouterr()
  left_out = captured.err.splitlines()
  assert len(left_out) == 4 and all(s[:10] == 'left out: ' for s in left_out)
  for words in (
    'config.json is damaged', 'foo is not a net of this version',
    'has not measured anything yet', 'has no validation/accuracy',
  ):  # fmt: skip
    assert words in captured.err
  assert 'table1.md' in captured.out


def test_what_is_wrong_is_said_in_one_sentence(runs, tmp_path, capsys):
  runs = str(runs)
  for args, words in (
    (['filter', runs], 'Did you mean filters'),
    (['accuracy'], 'is made of runs'),
    (['accuracy', str(tmp_path / 'x')], 'is not a run folder and holds none'),
    (['accuracy', runs], 'these runs are of cifar10, svhn_cropped; choose by'),
    (['accuracy', runs, '--only=data.name=mnist'], 'No run has data.name'),
    (
      ['kernel_size', runs, '--only=data.name=svhn_cropped'],
      'No run of ResNet18',
    ),
    (['parameters', '--out=/proc/x'], '/proc/x'),
  ):
    assert figures.main(args) == 2, args
    captured = capsys.readouterr()
    assert captured.err.startswith('error: ') and words in captured.err
    assert captured.err.count('\n') == 1
    assert captured.out == ''


def test_help_lists_all_names(capsys):
  with pytest.raises(SystemExit) as status:
    figures.main(['--help'])
  assert status.value.code == 0
  printed = capsys.readouterr().out
  for name, item in ITEMS.items():
    assert f'  {name} ' in printed and f'{item.number}: ' in printed
