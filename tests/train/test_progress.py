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
