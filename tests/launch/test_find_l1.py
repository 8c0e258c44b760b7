import pytest

from launch import find_l1, roots
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


def test_short_runs_have_the_penalty_and_the_threshold_of_the_long_one(
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
      '--epochs=2',
      *TINY,
    ]
  )
  configs = [runs.read(root / name).config for name in roots.read(root).points]
  assert [c.train.epochs for c in configs] == [2, 2]
  for c, factor in zip(configs, (1, 4), strict=True):
    assert c.optim.l1_conv * 2 == pytest.approx(factor * 1e-3 * 4)
    assert c.optim.l1_fc * 2 == pytest.approx(factor * 5e-4 * 4)
    assert c.optim.beta * c.optim.l1_conv == pytest.approx(50 * factor * 1e-3)
  said = capsys.readouterr().out
  assert 'λ for 4 epochs' in said and '0.004 / 0.002' in said
  assert 'This is the end of what was tried' in said  # the largest, 4
  command = said.splitlines()[-1].split()
  assert {'--config.optim.l1_conv=0.004', '--config.train.epochs=4'} < {
    *command
  }
  assert '--config.data.validation=110' in command
  for field in ('beta', 'l1_conv=0.001'):
    assert not any(field in word for word in command)


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
      'Both λ are 0',
    ),
  ],
)  # fmt: skip
def test_where_there_is_no_l1_to_find(words, hint, tmp_path):
  with pytest.raises(SystemExit) as e:
    find_l1.main([*words, f'--root={tmp_path}/r'])
  assert hint in str(e.value)


def test_the_command_line_has_no_grid(capsys):
  for words, hint in (
    (['--root=r'], 'required: --config'),
    (['sgd', '--root=r', '--config=configs/s_fc.py'], 'unknown argument sgd'),
  ):
    with pytest.raises(SystemExit):
      find_l1.main(words)
    assert hint in capsys.readouterr().err
