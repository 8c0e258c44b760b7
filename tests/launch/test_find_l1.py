import pytest

from launch import find_l1, local, roots
from launch.find_l1 import Tried, choose
from lconv_jax import runs

TINY = [
  f'--config.{field}'
  for field in (
    'data.limit=640', 'data.nlgp.train=750', 'data.nlgp.test=150',
    'data.validation=110', 'train.batch_size=64',
  )
]  # fmt: skip


def test_the_largest_within_the_tolerance_is_chosen():
  accuracies = {0.5: 60.0, 1.0: 61.0, 2.0: 60.6, 4.0: 60.4, 8.0: 20.0}
  tried = [Tried(f, a, {}) for f, a in accuracies.items()]
  assert choose(tried, 0.5).factor == 2.0
  assert choose(tried, 0.0).factor == 1.0
  assert choose(tried, 1.0).factor == 4.0


def test_short_runs_have_the_rule_and_the_threshold_of_the_long_one(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(find_l1, 'FACTORS', (1.0, 4.0))
  root = tmp_path / 'runs' / 'find'
  find_l1.main(
    [
      '--config=configs/s_fc.py:nlgp,smoke',
      f'--root={root}',
      '--tolerance=100',
      '--config.train.epochs=4',
      '--config.optim.l1_conv=1e-3',
      '--config.optim.l1_fc=5e-4',
      '--config.optim.beta=40',
      '--epochs=2',
      *TINY,
    ]
  )
  configs = [runs.read(root / name).config for name in roots.read(root).points]
  assert [c.train.epochs for c in configs] == [2, 2]
  for c, factor in zip(configs, (1, 4), strict=True):
    scale = factor * 2**0.5  # the long run has twice the steps
    assert c.optim.l1_conv == pytest.approx(1e-3 * scale, rel=0.01)
    assert c.optim.l1_fc == pytest.approx(5e-4 * scale, rel=0.01)
    cut = c.optim.beta * c.optim.l1_conv
    assert cut == pytest.approx(40 * factor * 1e-3, rel=0.01)
  said = capsys.readouterr().out
  assert 'λ for 4 epochs' in said and '0.004 / 0.002' in said
  assert 'This is the end of what was tried' in said  # the largest, 4
  command = said.splitlines()[-1].split()
  assert {'--config.optim.l1_conv=0.004', '--config.train.epochs=4'} < {
    *command
  }
  assert {'--config.data.validation=110', '--config.optim.beta=40'} < {*command}
  assert not any('l1_conv=0.001' in word for word in command)
  # What the command advises, in the same root.
  words = [
    '--config=configs/s_fc.py:nlgp,smoke',
    f'--root={root}',
    '--epochs=2',
  ]
  grid = root.with_name('find_grid.py').read_text()
  with pytest.raises(SystemExit, match='with other λ, β or lengths'):
    find_l1.main([*words, '--config.train.epochs=4', *TINY])
  assert root.with_name('find_grid.py').read_text() == grid


@pytest.mark.parametrize(
  ('words', 'hint'),
  [
    (['--config=configs/s_fc.py:sgd'], 'trains by sgd, which has no λ'),
    (['--config=configs/s_fc.py', '--config.optim.name=sgd'], 'has no λ'),
    (['--config=configs/demo.py'], 'holds no images out'),
    (['--config=configs/s_fc.py', '--epochs=401'], 'less than those of'),
    (
      ['--config=configs/s_fc.py', '--config.optim.l1_conv=0',
       '--config.optim.l1_fc=0'],
      'λ is 0 for convolutions and 0 for others',
    ),
    (['--config=configs/s_fc.py', '--config.optim.l1_conv=-1'], 'λ is -1 for'),
    (['--config=configs/s_fc.py', '--config.optim.l1_fc=nan'], 'and nan for'),
    (
      ['--config=configs/s_fc.py', '--config.optim.beta=abc'],
      '--config.optim.beta=abc must be float',
    ),
  ],
)  # fmt: skip
def test_where_there_is_no_l1_to_find(words, hint, tmp_path):
  with pytest.raises(SystemExit) as e:
    find_l1.main([*words, f'--root={tmp_path}/r'])
  assert hint in str(e.value)


@pytest.mark.parametrize(
  ('root', 'hint'),
  [('/', 'has no name'), ('/proc/x/y', 'cannot be written')],
)
def test_a_root_that_cannot_be_used_is_one_sentence(root, hint):
  with pytest.raises(SystemExit, match=hint):
    find_l1.main(['--config=configs/s_fc.py', f'--root={root}'])


def test_runs_that_ended_are_compared_though_another_one_failed(
  tmp_path, monkeypatch, capsys
):
  rows = [Tried(1.0, 50.0, {}), Tried(2.0, 51.0, {})]

  def fail(words):
    raise local.PointsFailed('1 of 3 points failed.')

  monkeypatch.setattr(find_l1.local, 'main', fail)
  monkeypatch.setattr(find_l1, '_tried', lambda root: rows)
  monkeypatch.setattr(find_l1, '_table', lambda tried, config: '')
  words = ['--config=configs/s_fc.py', f'--root={tmp_path}/r']
  find_l1.main(words)
  said = capsys.readouterr().out
  assert 'The finished points are compared.' in said
  assert f'--config.optim.l1_conv={2e-5:g}' in said
  rows.clear()
  with pytest.raises(local.PointsFailed, match='1 of 3 points failed'):
    find_l1.main(words)


def test_the_command_line_has_no_grid(capsys):
  for words, hint in (
    (['--root=r', '--config=x', '--tolerance=nan'], 'is not a number, 0 or'),
    (['--root=r', '--config=x', '--tolerance=a'], "'a' is not a number, 0 or"),
    (['--root=r'], 'required: --config'),
    (['sgd', '--root=r', '--config=configs/s_fc.py'], 'unknown argument sgd'),
  ):
    with pytest.raises(SystemExit):
      find_l1.main(words)
    assert hint in capsys.readouterr().err
