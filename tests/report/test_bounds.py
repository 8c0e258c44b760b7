import warnings

import numpy as np
import pytest

from lconv_jax import report


@pytest.mark.parametrize('least', [0.3, 3.0])  # 3.0: all are vacuous
def test_bounds_stand_beside_their_nets_errors(least, tmp_path):
  long = 'S-FC β-LASSO λ=1.2e-4/8e-5 lr=0.5 (' + 'long_' * 15 + ')'
  nets = [
    report.Bounded(
      long if i == 3 else f'net {i}', i / 20, least + i, least + i + 1
    )
    for i in range(10)
  ]
  fig = report.draw_bounds(nets, 0.5)
  with warnings.catch_warnings():
    warnings.simplefilter('error')  # of labels that leave no room
    paths = report.save(fig, tmp_path / 'bounds.png', 'A caption.')
  assert [p.suffix for p in paths] == ['.png', '.pdf', '.txt']
  ax = fig.axes[0]
  names = [''.join(tick.get_text().split()) for tick in ax.get_yticklabels()]
  assert names == [''.join(net.label.split()) for net in nets]
  found = {
    line.get_label(): line.get_xydata()
    for line in ax.lines
    if not line.get_label().startswith('_')
  }
  rows = list(ax.get_yticks())
  assert rows == sorted(rows) and ax.yaxis_inverted()
  for label, field in (
    ('error on test images', 'test_error'),
    ('bound, in nats', 'in_nats'),
    ('bound, as stated', 'as_stated'),
  ):
    want = [100 * getattr(net, field) for net in nets]
    np.testing.assert_allclose(found[label], list(zip(want, rows, strict=True)))
  low, high = ax.get_xlim()
  assert low == 0 and high > 100 * nets[-1].as_stated
  (note,) = ax.texts
  assert note.get_text() == 'vacuous: guessing has 50 %' and note.xy[0] == 50
