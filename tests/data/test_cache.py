import errno
import os
import threading

import numpy as np
import pytest

from lconv_jax.data import cache

NAMES = ('images', 'labels')


def arrays(seed=0):
  rng = np.random.RandomState(seed)
  return {
    'images': rng.randint(0, 256, (5, 4, 4, 3)).astype(np.uint8),
    'labels': np.arange(5, dtype=np.int32),
  }


def assert_same(got, want):
  assert got.keys() == want.keys()
  for name in want:
    assert got[name].dtype == want[name].dtype
    np.testing.assert_array_equal(got[name], want[name])


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return tmp_path / 'lconv_jax'


@pytest.fixture
def warnings(monkeypatch):
  lines = []
  monkeypatch.setattr(
    cache.logging, 'warning', lambda text, *args: lines.append(text % args)
  )
  return lines


def never():
  raise AssertionError('built although it was cached')


def test_cache_dir_follows_xdg(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert cache.cache_dir() == tmp_path / 'lconv_jax'
  monkeypatch.setenv('XDG_CACHE_HOME', '')
  monkeypatch.setenv('HOME', str(tmp_path))
  assert cache.cache_dir() == tmp_path / '.cache' / 'lconv_jax'


def test_second_call_reads(folder, warnings):
  assert_same(cache.cached('a', NAMES, arrays), arrays())
  assert_same(cache.cached('a', NAMES, never), arrays())
  assert_same(cache.cached('b', NAMES, lambda: arrays(1)), arrays(1))
  assert sorted(os.listdir(folder)) == ['a.npz', 'b.npz']
  assert not warnings


def test_truncated_cache_is_rebuilt(folder, warnings):
  cache.cached('a', NAMES, arrays)
  whole = (folder / 'a.npz').read_bytes()
  lengths = [0, 1, 100, len(whole) // 2, len(whole) - 1]
  for length in lengths:
    (folder / 'a.npz').write_bytes(whole[:length])
    assert_same(cache.cached('a', NAMES, arrays), arrays())
    assert_same(cache.cached('a', NAMES, never), arrays())
  assert len(warnings) == len(lengths)
  assert all('damaged' in line for line in warnings)


def test_no_flipped_bit_yields_wrong_arrays(folder, warnings, monkeypatch):
  monkeypatch.setattr(cache.os, 'fsync', lambda _: None)  # a thousand times
  cache.cached('a', NAMES, arrays)
  whole = (folder / 'a.npz').read_bytes()
  for place in range(len(whole)):
    flipped = bytearray(whole)
    flipped[place] ^= 1 << place % 8
    (folder / 'a.npz').write_bytes(flipped)
    assert_same(cache.cached('a', NAMES, arrays), arrays())
  data = sum(a.nbytes for a in arrays().values())
  assert data < len(warnings) <= len(whole)


def test_shape_that_lost_a_row_is_noticed(folder, warnings):
  def build():
    return {'images': np.zeros((5, 1 << 20), np.uint8)}

  cache.cached('a', ['images'], build)
  whole = (folder / 'a.npz').read_bytes()
  assert whole.count(b'(5, ') == 1
  (folder / 'a.npz').write_bytes(whole.replace(b'(5, ', b'(4, '))
  assert_same(cache.cached('a', ['images'], build), build())
  assert len(warnings) == 1


def test_folder_that_cannot_be_made_costs_a_warning(
  tmp_path, monkeypatch, warnings
):
  (tmp_path / 'file').touch()
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  assert_same(cache.cached('a', NAMES, arrays), arrays())
  assert any('cannot be written' in line for line in warnings)


def test_full_disk_costs_one_warning_and_leaves_nothing(
  folder, monkeypatch, warnings
):
  def full(_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(cache.os, 'fsync', full)
  assert_same(cache.cached('a', NAMES, arrays), arrays())
  assert len(warnings) == 1 and 'No space left' in warnings[0]
  assert os.listdir(folder) == []


def test_interrupted_write_leaves_the_old_file(folder, monkeypatch):
  cache.cached('a', NAMES, arrays)

  def interrupted(f, **_):
    f.write(b'half')
    raise KeyboardInterrupt

  monkeypatch.setattr(cache.np, 'savez', interrupted)
  with pytest.raises(KeyboardInterrupt):
    cache.cached('b', NAMES, arrays)
  assert os.listdir(folder) == ['a.npz']


def test_file_appears_only_when_complete(folder, monkeypatch):
  replace = os.replace

  def checked(source, target):
    assert not os.path.exists(target)
    with np.load(source) as complete:
      assert_same(dict(complete), arrays())
    assert os.path.dirname(source) == os.path.dirname(target)
    replace(source, target)

  monkeypatch.setattr(cache.os, 'replace', checked)
  cache.cached('a', NAMES, arrays)
  assert os.listdir(folder) == ['a.npz']


def test_writers_side_by_side(folder, warnings):
  barrier = threading.Barrier(8)
  results = []

  def build():
    barrier.wait(timeout=30)  # all of them found no cache
    return arrays()

  threads = [
    threading.Thread(
      target=lambda: results.append(cache.cached('a', NAMES, build))
    )
    for _ in range(8)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(results) == 8 and not warnings
  for result in results:
    assert_same(result, arrays())
  assert os.listdir(folder) == ['a.npz']
  assert_same(cache.cached('a', NAMES, never), arrays())


def test_fingerprint_follows_the_files(tmp_path):
  (tmp_path / 'x').write_text('1')
  os.utime(tmp_path / 'x', (1, 1))
  first = cache.fingerprint(tmp_path)
  assert first == cache.fingerprint(tmp_path) and len(first) == 16
  os.utime(tmp_path / 'x', (2, 2))
  touched = cache.fingerprint(tmp_path)
  (tmp_path / 'x').write_text('12')
  os.utime(tmp_path / 'x', (2, 2))
  longer = cache.fingerprint(tmp_path)
  (tmp_path / 'x').rename(tmp_path / 'y')
  renamed = cache.fingerprint(tmp_path)
  assert len({first, touched, longer, renamed}) == 4
