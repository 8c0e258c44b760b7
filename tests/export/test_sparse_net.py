import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from lconv_jax import errors
from lconv_jax.export import SparseNet, sparse_file, sparse_net
from tests import hidden
from tests.export import nets


@pytest.fixture(scope='module')
def net():
  return nets.trained('d_local', zeros=0.9)


@pytest.fixture(scope='module')
def path(net, tmp_path_factory):
  path = tmp_path_factory.mktemp('net') / 'net.npz'
  names = net.dataset.class_names
  steps = net.steps(sparse=True)
  sparse_file.save(path, *sparse_file.content(steps, nets.SHAPE, names))
  return path


def test_a_file_is_run_with_numpy_and_scipy_alone(net, path, tmp_path):
  images, logits = tmp_path / 'images.npy', tmp_path / 'logits.npy'
  np.save(images, nets.images())
  packages = (
    'jax', 'jaxlib', 'flax', 'optax', 'jaxtyping', 'beartype', 'orbax', 'absl',
    'ml_collections', 'ml_dtypes', 'tensorflow', 'PIL', 'onnx', 'safetensors',
  )  # fmt: skip
  hidden.run(
    packages,
    f"""
import numpy as np
from lconv_jax.export import SparseNet
net = SparseNet.load({str(path)!r})
assert net.class_names == tuple('abcde') and net.image_shape == (9, 8, 3)
np.save({str(logits)!r}, net(np.load({str(images)!r})))
""",
  )
  nets.assert_same(np.load(logits), nets.logits(net, nets.images()))


def test_the_runner_is_short():
  with open(sparse_net.__file__, encoding='utf-8') as f:
    assert len(f.readlines()) < 200


@pytest.mark.parametrize('threads', [1, 3])
@pytest.mark.parametrize('num', [0, 1, 2, 16, 17, 40])
def test_pieces_and_threads_change_nothing(path, monkeypatch, threads, num):
  monkeypatch.setattr(sparse_net, '_WORTH_A_THREAD', 5)
  found = SparseNet.load(path, threads=threads)
  x = nets.images(num)
  one_by_one = [
    SparseNet.load(path, threads=1)(x[i : i + 1]) for i in range(num)
  ]
  wanted = np.concatenate([np.empty((0, 5), np.float32), *one_by_one])
  if found._threads == 1 or num != 1:
    assert found(x).shape == (num, nets.CLASSES)
  np.testing.assert_allclose(found(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  'x',
  [
    np.zeros((2, 8, 9, 3), np.uint8),
    np.zeros((2, 9, 8, 3), np.float32),
    np.zeros((9, 8, 3), np.uint8),
  ],
)
def test_other_images_are_refused(path, x):
  with pytest.raises(errors.UsageError, match=r'uint8 of shape \[N, 9, 8, 3\]'):
    SparseNet.load(path)(x)


def test_weights_are_sparse_where_that_pays():
  net = nets.trained('fc3')

  def stored(zeros):
    kernel = net.variables['params']['fc1']['kernel']
    rng = np.random.default_rng(0)
    kernel[:] = rng.random(kernel.shape) < 1 - zeros
    _, arrays = sparse_file.content(net.steps(sparse=True), nets.SHAPE)
    return {k.partition('.')[2] for k in arrays if k.startswith('fc1.')}

  assert stored(0.78) == {'weight', 'bias'}
  assert stored(0.82) == {'data', 'indices', 'indptr', 'bias'}


def changed(path, to, change):
  """Writes a file whose members were changed."""
  with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, 'w') as new:
    for member in old.infolist():
      content = change(member.filename, old.read(member))
      if content is not None:
        new.writestr(member.filename, content)
  return to


def npy(array):
  file = io.BytesIO()
  np.save(file, array, allow_pickle=True)
  return file.getvalue()


def of(name, content):
  return lambda n, old: content(old) if n == f'{name}.npy' else old


def huge(old):
  return old.replace(b"'shape': (", b"'shape': (99999999, 99999", 1)


def beyond(old):
  array = np.load(io.BytesIO(old)).copy()
  array[-1] = 60_000
  return npy(array)


def version(old):
  net = json.loads(np.load(io.BytesIO(old)).tobytes())
  described = json.dumps({**net, 'version': 2}).encode()
  return npy(np.frombuffer(described, np.uint8))


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (of('conv1.data', huge), 'damaged'),
    (of('conv1.indices', beyond), 'damaged'),
    (of('conv1.indptr', lambda old: npy(np.int32([0, 3]))), 'damaged'),
    (of('conv1.data', lambda old: npy(np.array([{}]))), 'damaged'),
    (of('net', version), 'version 2'),
    (of('net', lambda old: None), "'net'"),
    (of('conv1.data', lambda old: None), 'conv1.data'),
  ],
)
def test_a_damaged_file_is_refused(path, tmp_path, change, words):
  bad = changed(path, tmp_path / 'bad.npz', change)
  tracemalloc.start()
  with pytest.raises(errors.UsageError, match=words):
    SparseNet.load(bad)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 10 * path.stat().st_size


def test_a_compressed_file_a_flipped_bit_and_half_a_file_are_refused(
  path, tmp_path
):
  bomb = tmp_path / 'bomb.npz'
  np.savez_compressed(bomb, net=np.zeros(10**7, np.uint8))
  content = bytearray(path.read_bytes())
  half, bit = tmp_path / 'half.npz', tmp_path / 'bit.npz'
  half.write_bytes(content[: len(content) // 2])
  content[len(content) // 2] ^= 1
  bit.write_bytes(content)
  for bad in (bomb, half, bit):
    with pytest.raises(errors.UsageError, match='damaged'):
      SparseNet.load(bad)
  with pytest.raises(errors.UsageError, match='cannot be read'):
    SparseNet.load(tmp_path / 'none.npz')


def test_a_value_that_is_needed_later_is_not_overwritten():
  ops = [('image', []), ('dense', [0]), ('relu', [1]), ('add', [1, 2])]
  steps = [{'op': op, 'inputs': i, 'shape': [2], 'name': op} for op, i in ops]
  steps[0]['shape'] = [1, 1, 1]
  net = {
    'version': 1, 'image_shape': [1, 1, 1], 'class_names': [], 'sparse': False,
    'piece': 1, 'steps': steps,
  }  # fmt: skip
  arrays = {
    'dense.weight': np.float32([[1], [-1]]),
    'dense.bias': np.zeros(2, np.float32),
  }
  logits = SparseNet(net, arrays)(np.full((1, 1, 1, 1), 3, np.uint8))
  np.testing.assert_array_equal(logits, [[6, -3]])
