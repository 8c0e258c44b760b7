import numpy as np
import pytest

from lconv_jax import models, runs
from lconv_jax.export import SparseNet, __main__, of_run, onnx_file
from lconv_jax.runs import checkpoint
from tests import fake_runs
from tests.export import nets

IMAGE = (32, 32, 1)
FIELDS = {
  'model__base_channels': 1,
  'data__nlgp__train': 40,
  'data__nlgp__test': 30,
  'data__validation': 10,
}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run on drawn images, whose net has few weights."""
  path = tmp_path_factory.mktemp('runs') / 'run'
  fake_runs.write(path, choices='nlgp', image=IMAGE, **FIELDS)
  net = models.describe(runs.read(path).config.model, IMAGE, 2)
  rows = {'epoch': 1.0}
  saved = checkpoint.Checkpoint(
    {'step': np.array(1)}, nets.variables(net, 0.96), rows
  )
  checkpoints = checkpoint.Checkpoints(path)
  checkpoints.save(1, saved)
  checkpoints.close()
  (path / 'net.lconv').write_bytes(bytes(123))
  return path


def test_a_run_becomes_files(run, tmp_path, capsys):
  outs = [tmp_path / f'net.{s}' for s in ('npz', 'onnx', 'safetensors')]
  assert __main__.main([str(run), *(f'--out={out}' for out in outs)]) == 0
  said = capsys.readouterr().out
  trained = of_run.of_run(run)
  x = trained.dataset.test.images
  nets.assert_same(SparseNet.load(outs[0])(x), nets.logits(trained, x))
  nets.assert_same(onnx_file.run(outs[1], x), nets.logits(trained, x))
  kernel = trained.variables['params']['conv1']['kernel']
  row = next(line for line in said.splitlines() if line.startswith('conv1'))
  step = next(s for s in trained.steps(sparse=True) if s.name == 'conv1')
  assert row.split() == [
    'conv1', f'{1024 * 256:,}', f'{np.count_nonzero(kernel):,}',
    f'{step.kernel.nnz:,}', '256', f'{step.shape[0]}', 'CSR',
  ]  # fmt: skip
  for out in outs:
    assert f'{out.stat().st_size:,}' in said
  assert 'net.lconv, coarse' in said and ' 123' in said


def test_the_run_folder_is_where_a_file_goes(run, capsys):
  assert __main__.main([str(run)]) == 0
  assert SparseNet.load(run / 'net.npz').image_shape == IMAGE


@pytest.mark.parametrize(
  ('words', 'sentence'),
  [(['--out=net.pt'], 'must end in one of .npz'), ([], 'is not a run folder')],
)
def test_what_is_wrong_is_said(run, tmp_path, capsys, words, sentence):
  path = run if words else tmp_path
  assert __main__.main([str(path), *words]) == 2
  assert sentence in capsys.readouterr().err


def test_what_is_not_the_same_is_not_written_off():
  wanted = np.float32([[0.0, 1.0, 20.0], [3.0, 3.0001, 0.0]])
  close = wanted + np.float32([[0.001, 0, 0], [0.0005, 0, 0]])
  assert of_run.difference(close, wanted) == pytest.approx(0.001, rel=1e-3)
  for wrong in (wanted + 0.1, wanted * np.nan):
    with pytest.raises(RuntimeError, match='differs'):
      of_run.difference(wrong, wanted)


def test_a_net_of_two_gigabytes_is_not_written_as_onnx(tmp_path, monkeypatch):
  monkeypatch.setattr(onnx_file, '_MOST_BYTES', 1000)
  steps = nets.trained('s_fc').steps(sparse=False)
  with pytest.raises(Exception, match=r'2 GB; write \.safetensors'):
    onnx_file.save(tmp_path / 'net.onnx', steps)
