import warnings

import pytest

from lconv_jax import report


@pytest.mark.parametrize('low', [0.3, 3.0])  # 3.0: all are vacuous
def test_bounds_stand_at_their_nets_errors(low, tmp_path):
  long = 'S-FC β-LASSO λ=1.2e-4/8e-5 lr=0.5 (' + 'long_' * 15 + ')'
  nets = [
    report.Bounded(long if i == 3 else f'net {i}', i / 20, low + i, low + i + 1)
    for i in range(10)
  ]
  fig = report.draw_bounds(nets, 0.5)
  with warnings.catch_warnings():
    warnings.simplefilter('error')  # of a legend that leaves no room
    paths = report.save(fig, tmp_path / 'bounds.png', 'A caption.')
  assert [p.suffix for p in paths] == ['.png', '.pdf', '.txt']
  ax = fig.axes[0]
  found = {
    ''.join(line.get_label().split()): line  # filled to the column
    for line in ax.lines
    if not line.get_label().startswith('_')
  }
  looks = set()
  for net in nets:
    line = found[''.join(net.label.split())]
    assert line.get_xydata().tolist() == [
      [100 * net.test_error, 100 * net.in_nats]
    ]
    looks.add((line.get_color(), line.get_marker()))
  assert len(looks) == len(nets)
  assert ax.get_xlabel() == 'test error (%)'
  assert ax.get_ylabel() == 'bound on the error (%)'
