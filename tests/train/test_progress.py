import io
import os
import sys
import types

import pytest

from lconv_jax import runs
from lconv_jax.train import progress


def test_the_progress_line_has_what_a_person_asks_for():
  row = {
    'epoch': 3.0,
    'step': 30,
    'train/loss': 1.5,
    'train/accuracy': 0.4567,
    'test/accuracy': 0.5,
    'nonzero/conv1': 0.018,
    'nonzero/fc1': 1.0,
    'images_per_second': 12345.6,
  }
  line = progress.line([row], 30, 252.0)
  for part in (
    'epoch 3/30', 'loss 1.500', 'train 45.67%', 'conv1 1.8%', 'fc1 100%',
    '12,346 images/s', '4m12s left',
  ):  # fmt: skip
    assert part in line


def test_durations():
  given = (0.0, 59.4, 60.0, 3599.0, 3600.0, 36_061.0)
  said = ['0s', '59s', '1m00s', '59m59s', '1h00m', '10h01m']
  assert [progress.duration(s) for s in given] == said


def test_the_clock_takes_one_step_until_it_knows_better():
  clock = progress.Clock()
  assert clock.chunk() == 1
  clock.tick(0, 1)
  assert clock.chunk() == 1
  clock.tick(1, 2)
  assert clock.chunk() > 1
  assert clock.steps_per_second() > 0


def test_a_dense_net_says_nothing_of_zeros():
  row = {'epoch': 1.0, 'train/loss': 1.0, 'images_per_second': 1.0}
  dense = {'nonzero/conv1': 1.0, 'nonzero/fc1': 1.0}
  assert 'non-zero' not in progress.line([{**row, **dense}], 3, 1.0)
  dense['nonzero/fc1'] = 0.999
  assert 'non-zero conv1 100%' in progress.line([{**row, **dense}], 3, 1.0)


@pytest.fixture
def clock(monkeypatch):
  """A clock whose time goes by hand, with what loop.train does to it."""
  time = types.SimpleNamespace(now=1000.0)
  monkeypatch.setattr(progress.time, 'perf_counter', lambda: time.now)
  made = progress.Clock()

  def chunk(first, stop, seconds):
    made.chunk()
    time.now += seconds
    made.tick(first, stop)

  def evaluate(seconds):
    time.now += seconds
    made.lap()

  return types.SimpleNamespace(
    left=made.left, chunk=chunk, evaluate=evaluate, made=made
  )


def test_compilation_is_not_expected_again(clock):
  """Three epochs of ten steps: a step takes 1 s, an evaluation 2 s."""
  clock.chunk(0, 1, 50.0)  # compiles
  assert clock.left(29, 3) is None
  clock.chunk(1, 2, 1.0)
  assert clock.left(28, 3) == 28
  clock.chunk(2, 10, 8.0)
  clock.evaluate(40.0)  # compiles
  assert clock.left(20, 2) == 20
  clock.chunk(10, 20, 10.0)
  assert clock.left(10, 2) == 10
  clock.evaluate(2.0)
  assert clock.left(10, 1) == 10 + 2
  clock.chunk(20, 25, 5.0)
  assert clock.left(5, 1) == 5 + 2
  clock.chunk(25, 30, 5.0)
  clock.evaluate(2.0)
  assert clock.left(0, 0) == 0
  assert clock.made.seconds() == 50 + 9 + 40 + 10 + 2 + 10 + 2


def test_what_is_not_known_is_not_said():
  row = {'epoch': 0.1, 'train/loss': 1.0, 'images_per_second': 1.0}
  assert 'left' not in progress.line([row], 3, None)
  assert '0s left' in progress.line([row], 3, 0.0)


def test_a_passing_line_fits_into_the_terminal(monkeypatch):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  monkeypatch.setattr(sys, 'stdout', Terminal())
  monkeypatch.setenv('COLUMNS', '20')
  display = progress.Display()
  display.passing('x' * 100)
  assert sys.stdout.getvalue() == progress.CLEAR + 'x' * 19
  display.line('y' * 100)
  assert sys.stdout.getvalue().endswith(progress.CLEAR + 'y' * 100 + '\n')


def test_a_closed_terminal_stops_no_run(monkeypatch):
  reads, writes = os.pipe()
  os.close(reads)
  with os.fdopen(writes, 'w') as closed:
    monkeypatch.setattr(sys, 'stdout', closed)
    runs.hosts.say('x')
    progress.Display().line('x')
    os.dup2(os.open(os.devnull, os.O_WRONLY), closed.fileno())
