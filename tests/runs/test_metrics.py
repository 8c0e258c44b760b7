import sys

import pytest

from lconv_jax import errors
from lconv_jax.runs import metrics


def rows(*steps):
  return [{'step': s, 'epoch': s / 10, 'test/accuracy': 0.5} for s in steps]


def write(folder, step, *steps):
  writer = metrics.Writer(folder, step)
  for row in rows(*steps):
    writer.write(row)
  writer.close()


def test_rows_come_back_and_tensorboard_has_them(tmp_path, tensorflow):
  write(tmp_path, 0, 10, 20)
  assert metrics.read(tmp_path) == rows(10, 20)
  assert list(tmp_path.glob('events.out.tfevents.*'))


def test_rows_after_the_checkpoint_and_half_rows_are_dropped(tmp_path):
  write(tmp_path, 0, 10, 20, 30)
  with (tmp_path / metrics.FILE).open('a') as f:
    f.write('{"step": 40, "ep')
  assert metrics.read(tmp_path) == rows(10, 20, 30)
  write(tmp_path, 20, 30, 40)
  assert metrics.read(tmp_path) == rows(10, 20, 30, 40)


def test_events_that_cannot_be_written_are_said_in_a_sentence(
  tmp_path, tensorflow
):
  writer = metrics.Writer(tmp_path, 0)
  writer.write(rows(10)[0])

  class Full:
    def write_scalars(self, *_):
      raise RuntimeError('No space\nleft on device')

    close = write_scalars

  writer._events = Full()
  with pytest.raises(errors.UsageError, match=r'No space left.*make room'):
    writer.write(rows(20)[0])
  writer.close()
  assert metrics.read(tmp_path) == rows(10, 20)


def test_without_tensorflow_rows_are_written_and_one_line_says_so(
  tmp_path, monkeypatch
):
  said = []
  monkeypatch.setitem(sys.modules, 'tensorflow', None)
  monkeypatch.setattr(metrics.logging, 'warning', lambda *a: said.append(a))
  metrics._summary_writer.cache_clear()
  for folder in ('a', 'b'):
    (tmp_path / folder).mkdir()
    write(tmp_path / folder, 0, 10, 20)
    assert metrics.read(tmp_path / folder) == rows(10, 20)
  metrics._summary_writer.cache_clear()
  ((text, *args),) = said
  assert "pip install 'lconv_jax[tensorboard]'" in text % tuple(args)
  assert not list(tmp_path.rglob('events.*'))
