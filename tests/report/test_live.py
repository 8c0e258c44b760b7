import types

import numpy as np
import pytest

from lconv_jax import models, report, runs
from lconv_jax.report import live, pictures

SHAPE = (8, 8, 1)


def event(epoch, shown=None):
  layer = models.Layer  # only passed on
  kernel = np.random.default_rng(0).normal(size=(64, 30)).astype(np.float32)
  first = runs.FirstLayer(layer, kernel, SHAPE)
  return runs.Event(
    'run', {'epoch': epoch}, False, lambda: first,
    lambda name, image: shown.append((name, image)),
  )  # fmt: skip


@pytest.fixture
def drawn(tmp_path, monkeypatch):
  """A callback whose clock goes by hand, and the epochs at which it drew."""
  clock, epochs = types.SimpleNamespace(now=0.0, cost=1.0), []

  def draw(self, event):
    epochs.append('end' if event is None else event.row['epoch'])
    clock.now += clock.cost
    return []

  monkeypatch.setattr(live.time, 'perf_counter', lambda: clock.now)
  monkeypatch.setattr(live.Live, '_draw', draw)
  return live.Live(tmp_path, 100), clock, epochs


def test_a_long_run_is_drawn_after_every_tenth_and_at_its_end(drawn):
  callback, clock, epochs = drawn
  for epoch in range(1, 101):
    clock.now += 60.0
    callback(event(float(epoch)))
  callback(runs.Event('run', {}, True))
  assert epochs == [10, 20, 30, 40, 50, 60, 70, 80, 90, 'end']


def test_drawing_takes_a_fiftieth_of_the_time_at_most(drawn):
  callback, clock, epochs = drawn
  begun, clock.cost = clock.now, 5.0
  for epoch in range(1, 101):
    clock.now += 4.0
    callback(event(float(epoch)))
    assert len(epochs) * clock.cost <= 0.02 * (clock.now - begun) + 5.0
  assert 0 < len(epochs) < 9


def test_a_finished_run_is_not_drawn_again(drawn, tmp_path):
  callback, _, epochs = drawn
  (tmp_path / 'curves.png').touch()
  callback(runs.Event('run', {}, True))
  assert epochs == []


def test_an_unfinished_run_is_drawn_and_shown(tmp_path, monkeypatch):
  # What a dense layer's kernel looks like is tested where it is drawn.
  seen, shown = [], []
  monkeypatch.setattr(runs, 'read', lambda path: 'record')

  def draw(run, first):
    seen.append((run, first.kernel.shape))
    import matplotlib.image

    pixels = np.full((2, 3, 3), 51, np.uint8)
    matplotlib.image.imsave(tmp_path / 'filters.png', pixels)
    return ['wrote filters.png']

  monkeypatch.setattr(pictures, 'draw_unfinished', draw)
  callback = report.Live(tmp_path, 10)
  assert callback._draw(event(1.0, shown)) == ['wrote filters.png']
  assert seen == [('record', (64, 30))]
  ((name, image),) = shown
  assert name == 'filters' and image.dtype == np.uint8
  np.testing.assert_array_equal(image, np.full((2, 3, 3), 51))


def test_a_picture_that_cannot_be_drawn_stops_no_run(tmp_path):
  (line,) = report.Live(tmp_path / 'missing', 10)._draw(None)
  assert line.startswith('No pictures of')
