import csv

import jax
import numpy as np
import pytest
from PIL import Image

from lconv_jax import predict
from lconv_jax.export import SparseNet, sparse_file
from tests.export import nets

GREY = (8, 6, 1)  # height, width, channels


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """A net for colour images and one for grey images."""
  folder = tmp_path_factory.mktemp('nets')
  net = nets.trained('s_fc', zeros=0.5)
  sparse_file.save(folder / 'colour.npz', *net.sparse())
  grey = nets.described('s_fc', shape=GREY)
  of_grey = net._replace(
    net=grey, variables=nets.variables(grey, 0.5),
    dataset=nets.dataset(GREY)._replace(class_names=()),
  )  # fmt: skip
  sparse_file.save(folder / 'grey.npz', *of_grey.sparse())
  return folder


def said(capsys, *words):
  status = predict.main([str(word) for word in words])
  output = capsys.readouterr()
  return output.out if status == 0 else output.err


def test_arrays_get_classes_with_probabilities(files, tmp_path, capsys):
  x = nets.images(3)
  np.save(tmp_path / 'x.npy', x)
  np.savez(tmp_path / 'x.npz', images=x)
  net = files / 'colour.npz'
  wanted = np.asarray(jax.nn.softmax(SparseNet.load(net)(x)))
  lines = said(capsys, net, tmp_path / 'x.npy', '--top=2').splitlines()
  for i, line in enumerate(lines):
    first, second = np.argsort(-wanted[i])[:2]
    assert line == (
      f'{tmp_path}/x.npy[{i}]: {"abcde"[first]} {wanted[i, first]:.1%}  '
      f'{"abcde"[second]} {wanted[i, second]:.1%}'
    )
  assert len(lines) == 3
  out = tmp_path / 'out.csv'
  said(capsys, net, tmp_path / 'x.npz', f'--csv={out}')
  with open(out, newline='') as f:
    header, *rows = csv.reader(f)
  assert header == ['image', 'class', *'abcde']
  found = np.array([row[2:] for row in rows], float)
  np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
  assert [row[1] for row in rows] == ['abcde'[i] for i in wanted.argmax(1)]


def test_files_are_converted_and_resized(files, tmp_path, capsys):
  folder = tmp_path / 'images'
  folder.mkdir()
  x = nets.images(1, GREY)
  Image.fromarray(x[0, ..., 0]).save(folder / 'a.png')
  # Twice as large, in colour: each pixel four times.
  large = x[0, ..., 0].repeat(2, 0).repeat(2, 1)
  flat = np.full((16, 12), 77, np.uint8)
  Image.fromarray(flat).convert('RGB').save(folder / 'b.png')
  Image.fromarray(large).resize((6, 8), Image.BOX).save(folder / 'c.png')
  np.save(
    tmp_path / 'same.npy', np.concatenate([x[..., 0], flat[None, :8, :6]])
  )
  net = files / 'grey.npz'
  a, b, c = said(capsys, net, folder).splitlines()
  first, second = said(capsys, net, tmp_path / 'same.npy').splitlines()
  ends = [line.partition(': ')[2] for line in (a, b, c, first, second)]
  assert ends[0] == ends[2] == ends[3] and ends[1] == ends[4]
  assert ends[0] != ends[1] and set(ends[0][:1]) < set('01234')


def test_what_cannot_be_predicted_is_refused(files, tmp_path, capsys):
  grey = files / 'grey.npz'
  Image.new('L', (6, 6)).save(tmp_path / 'square.png')
  assert 'crop it to' in said(capsys, grey, tmp_path / 'square.png')
  (tmp_path / 'notes.txt').write_text('no image')
  assert 'not an image' in said(capsys, grey, tmp_path / 'notes.txt')
  np.save(tmp_path / 'float.npy', np.zeros((1, 8, 6)))
  assert 'net is for uint8' in said(capsys, grey, tmp_path / 'float.npy')
  np.savez(tmp_path / 'other.npz', x=np.zeros((1, 8, 6), np.uint8))
  assert 'no array of images' in said(capsys, grey, tmp_path / 'other.npz')
  (tmp_path / 'empty').mkdir()
  assert 'has no images' in said(capsys, grey, tmp_path / 'empty')
  assert 'is damaged' in said(capsys, tmp_path / 'other.npz', tmp_path)
  assert 'cannot be read' in said(capsys, tmp_path / 'none.npz', tmp_path)


@pytest.mark.parametrize('channels', [1, 2])
def test_signals_are_arrays_without_a_height(channels, tmp_path, capsys):
  shape = (1, 7, channels)
  net = nets.described('s_conv', shape=shape)
  data = nets.dataset(shape)
  trained = nets.of_run.Trained(net, nets.variables(net, 0.5), data)
  sparse_file.save(tmp_path / 'net.npz', *trained.sparse())
  x = nets.images(3, shape)
  signals = x[:, 0, :, 0] if channels == 1 else x[:, 0]
  np.savez(tmp_path / 'x.npz', test_signals=signals)
  best = np.argmax(nets.logits(trained, x), axis=1)
  lines = said(capsys, tmp_path / 'net.npz', tmp_path / 'x.npz').splitlines()
  assert [line.split()[1] for line in lines] == ['abcde'[i] for i in best]
