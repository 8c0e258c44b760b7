"""The command line, in processes of its own."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SMOKE = '--config=configs/demo.py:smoke'


def main(*args):
  return subprocess.run(
    [sys.executable, 'main.py', *map(str, args)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize(
  ('args', 'said'),
  [
    ([SMOKE, '--config.optim.lrr=1'], 'Did you mean optim.lr'),
    (['--config=configs/demo.py:smok'], 'Did you mean smoke'),
    (['--config=configs/demos.py'], 'Did you mean configs/demo.py'),
    (['--config=README.md'], 'is not a config file'),
    (['--config=configs'], 'is not a config file'),
    ([SMOKE, '--config.optim=sgd'], 'no field optim. Did you mean optim.'),
    ([SMOKE, '--workdir='], '--workdir is empty'),
    ([SMOKE, '--config.data.nlgp.xi=2.0,'], 'two lengths'),
    ([SMOKE, '--config.train.epochs=x'], 'config.train.epochs=x'),
    ([SMOKE, '--config.optim.name=sdg'], 'Did you mean sgd'),
    ([SMOKE, '--workdri=x'], 'Did you mean: workdir'),
    ([SMOKE, 'extra'], 'unknown arguments extra'),
    ([SMOKE, '--seeds=0,1'], 'are for --grid'),
  ],
)
def test_bad_input_gets_one_clear_sentence(args, said, tmp_path):
  result = main(f'--workdir={tmp_path}', *args)
  assert result.returncode == 1
  assert said in result.stderr
  assert result.stderr.startswith('error: ')
  assert len(result.stderr.strip().splitlines()) == 1


def test_what_is_missing_is_named_with_an_example():
  for args, missing in (
    ([], '--config and --workdir must'),
    ([SMOKE], '--workdir must'),
    (['--workdir=x'], '--config must'),
  ):
    said = main(*args).stderr
    assert said.startswith(f'error: {missing}')
    assert 'configs/s_fc.py:nlgp,smoke' in said
    assert 's_local' in said and 'momentum' in said and 'table1' in said


def test_help_names_configs_choices_and_grids():
  said = main('--help').stdout
  assert 's_local' in said and 'momentum' in said and 'table1' in said


def test_ctrl_c_gets_a_line_of_its_own(capsys, monkeypatch):
  import main as script

  error = KeyboardInterrupt()
  script.excepthook(KeyboardInterrupt, error, None)
  assert capsys.readouterr().err == 'Stopped before anything was done.\n'
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
  script.excepthook(KeyboardInterrupt, error, None)
  assert capsys.readouterr().err.startswith('\r\x1b[K')
  script.excepthook(ValueError, ValueError('mine'), None)
  assert 'ValueError: mine' in capsys.readouterr().err


def test_sigterm_saves_and_the_same_command_continues(tmp_path):
  args = [
    f'--workdir={tmp_path}',
    SMOKE,
    '--config.data.limit=1280',
    '--config.train.epochs=60',
    '--config.train.eval_every_epochs=2',
    '--config.train.checkpoint_every_epochs=30',
  ]
  with subprocess.Popen(
    [sys.executable, 'main.py', *args],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    env={**os.environ, 'PYTHONUNBUFFERED': '1'},
  ) as process:
    for line in process.stdout:
      if line.startswith('epoch 2/'):
        process.send_signal(signal.SIGTERM)
        break
    rest = process.stdout.read()
  assert process.returncode == 128 + signal.SIGTERM
  assert 'SIGTERM: saved after step' in rest
  assert not (tmp_path / 'done.json').exists()

  result = main(*args)
  assert result.returncode == 0, result.stderr
  assert 'continues after step' in result.stdout
  done = json.loads((tmp_path / 'done.json').read_text())
  assert done['last']['epoch'] == 60
  assert (tmp_path / 'filters.png').exists()
  assert main(*args).stdout.count('is finished') == 1
