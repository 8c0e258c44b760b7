import json

import numpy as np
import pytest

from benchmarks import interleave, sparse
from lconv_jax import export

ARGS = ['--alpha=1', '--batches', '1', '3', '--rounds=2']


def test_runners_agree_and_are_timed(tmp_path, capsys):
  path = tmp_path / 'out.json'
  sparse.main([*ARGS, f'--out={path}'])
  sizes, *rows = json.loads(path.read_text())['rows']
  assert sizes['units'] == [256, 24, 10] and sizes['units_left'][2] == 10
  assert sizes['weights'] == 3072 * 256 + 256 * 24 + 24 * 10
  assert sizes['file_bytes'] < sizes['dense_bytes'] / 10
  timed = {(row['batch'], row['candidate']) for row in rows}
  for who in ('ours', 'xla', 'onnxruntime', 'bcoo'):
    assert {(1, who), (3, who)} <= timed
  assert 'random, α = 1' in capsys.readouterr().out


def test_a_runner_of_another_net_is_not_timed(monkeypatch):
  run = export.SparseNet.__call__
  monkeypatch.setattr(
    export.SparseNet, '__call__', lambda self, x: 1.01 * run(self, x)
  )
  with pytest.raises(interleave.WrongResultError, match='nothing is timed'):
    sparse.main(ARGS)


def test_the_random_net_is_as_sparse_as_asked():
  first, second, last = sparse.layers(sparse.random_net(2, 0.05))
  for step in (first, second):
    assert step.kernel.nnz == round(0.05 * np.prod(step.kernel.shape))
  assert last.kernel.nnz == np.prod(last.kernel.shape)
