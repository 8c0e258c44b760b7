import json
import sys

import numpy as np
import pytest
from tensorboard.util import tensor_util

from lconv_jax import errors
from lconv_jax.runs import checksums, metrics


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


def line(step):
  return json.dumps(rows(step)[0]).encode()


@pytest.fixture
def said(monkeypatch):
  """What is warned about."""
  found = []
  monkeypatch.setattr(
    metrics.logging, 'warning', lambda text, *args: found.append(text % args)
  )
  metrics._warn.cache_clear()
  return found


@pytest.mark.parametrize(
  ('second', 'lost', 'wrong'),
  [
    (line(20)[:9], True, 'damaged in line 2'),
    (b'[' * 100_000, True, 'damaged in line 2'),
    (b'\xff' + line(20), True, 'damaged in line 2'),
    (b'[20]', True, 'damaged in line 2'),
    (b'{"epoch": 2}', True, 'damaged in line 2'),
    (bytes(len(line(20))), True, 'damaged in line 2'),
    (bytes(7) + line(20), False, 'damaged in line 2'),
    (line(20) + b'\n' + line(10), False, 'a second time in line 3'),
    (b'', True, ''),
    (b'\r\n' + line(20) + b'\r', False, ''),
  ],
)  # fmt: skip
def test_a_bad_line_erases_no_other_rows(second, lost, wrong, tmp_path, said):
  path = tmp_path / metrics.FILE
  content = b'\n'.join([line(10), second, line(30), line(40), b'{"st'])
  path.write_bytes(b'\xef\xbb\xbf' + content)
  want = rows(10, 30, 40) if lost else rows(10, 20, 30, 40)
  assert metrics.read(tmp_path) == want
  assert metrics.read(tmp_path) == want
  assert len(said) == bool(wrong)
  metrics.Writer(tmp_path, 30).close()
  assert metrics.read(tmp_path) == [r for r in want if r['step'] <= 30]
  kept = tmp_path / f'{metrics.FILE}.damaged'
  assert kept.exists() == bool(wrong)
  if wrong:
    assert wrong in said[0] and str(path) in said[0]
    assert kept.name in said[1]
    assert kept.read_bytes().endswith(content)


def test_what_the_checkpoint_has_counts(tmp_path, said):
  write(tmp_path, 0, 10, 20, 30)
  path = tmp_path / metrics.FILE
  metrics.Writer(tmp_path, 20, rows(10, 20)).close()
  assert metrics.read(tmp_path) == rows(10, 20) and not said
  changed = path.read_text().replace('0.5', '0.6')
  for found in (changed, None):
    path.unlink()
    if found:
      path.write_text(found)
    metrics.Writer(tmp_path, 20, rows(10, 20)).close()
    assert metrics.read(tmp_path) == rows(10, 20)
  assert len(said) == 2 and 'restored from the' in said[0]
  assert (tmp_path / f'{metrics.FILE}.damaged').read_text() == changed
  assert not (tmp_path / f'{metrics.FILE}.damaged.2').exists()


def test_a_file_that_cannot_be_read_is_said_in_a_sentence(tmp_path):
  (tmp_path / metrics.FILE).mkdir()
  with pytest.raises(errors.UsageError, match='cannot be read'):
    metrics.read(tmp_path)


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


def events(folder):
  """Reads TensorBoard's events back with TensorBoard's own reader."""
  from tensorboard.backend.event_processing import event_accumulator

  found = event_accumulator.EventAccumulator(
    str(folder), size_guidance=dict.fromkeys(('tensors', 'images'), 0)
  )
  return found.Reload()


def test_tensorboard_shows_curves_images_and_histograms(tmp_path, tensorflow):
  writer = metrics.Writer(tmp_path, 0)
  row = {'step': 7, 'epoch': 1.0, 'seconds': 3.0, 'learning_rate': 0.5}
  assert not writer.has_events
  writer.write(row)
  assert writer.has_events
  writer.write_image(7, 'filters', np.zeros((2, 3, 3), np.uint8))
  counts = np.array([1, 0, 4])
  writer.write_histograms(7, {'conv1': (np.float32(3.0), counts)})
  writer.close()
  found = events(tmp_path)
  assert set(found.Tags()['tensors']) == {
    'learning_rate', 'filters', 'weights/conv1'
  }  # fmt: skip
  (event,) = found.Tensors('weights/conv1')
  table = tensor_util.make_ndarray(event.tensor_proto)
  want = [[-3.0, -1.0, 1], [-1.0, 1.0, 0], [1.0, 3.0, 4]]
  np.testing.assert_allclose(table, want)
  assert event.step == 7


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


def test_a_broken_tensorflow_stops_no_run(tmp_path, monkeypatch):
  def load():
    raise ValueError("Key backend: 'nonsense' is not a valid value")

  monkeypatch.setattr(metrics.backends, 'load_tensorflow', load)
  metrics._summary_writer.cache_clear()
  write(tmp_path, 0, 10, 20)
  metrics._summary_writer.cache_clear()
  assert metrics.read(tmp_path) == rows(10, 20)


def test_a_finished_run_without_metrics_is_warned_about(tmp_path, said):
  assert metrics.read(tmp_path) == [] and not said
  (tmp_path / 'done.json').write_text('{}')
  assert metrics.read(tmp_path) == []
  assert 'metrics.jsonl is missing, although the run is finished' in said[0]


def test_a_changed_number_of_a_finished_run_is_warned_about(tmp_path, said):
  write(tmp_path, 0, 10, 20)
  checksum = checksums.of_json(rows(10, 20))
  done = {metrics.CHECKSUM: checksum}
  (tmp_path / 'done.json').write_text(json.dumps(done))
  assert metrics.read(tmp_path) == rows(10, 20) and not said
  path = tmp_path / metrics.FILE
  path.write_text(path.read_text().replace('20', '30'))  # still JSON
  assert [row['step'] for row in metrics.read(tmp_path)] == [10, 30]
  assert 'its checksum is not the one in done.json' in said[0]
  path.write_text(path.read_text().splitlines()[0])  # a row is gone
  metrics._warn.cache_clear()
  metrics.read(tmp_path)
  assert len(said) == 2
