import json
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import augment as augment_benchmark
from benchmarks import (
  describe,
  floor,
  grid,
  interleave,
  layer,
  local_conv,
  locality,
  loop,
  peak,
  pictures,
  startup,
  step,
)
from benchmarks.peers import (
  flax_layer,
  flax_net,
  pillow_augment,
  pillow_workers,
)
from lconv_jax import mdl, models
from lconv_jax.augment import policy
from lconv_jax.conv import windows

JAX = ['batch_minor', 'local_conv', 'flax']
TORCH = ['torch unfold', 'torch best']


@pytest.fixture(params=['with torch', 'without torch'])
def candidates(request, monkeypatch):
  """The names of those that can run, where PyTorch is there and is not."""
  monkeypatch.setenv('OMP_WAIT_POLICY', 'PASSIVE')
  if request.param == 'with torch':
    pytest.importorskip('torch')
    return JAX + TORCH
  monkeypatch.setitem(sys.modules, 'torch', None)
  name = 'benchmarks.peers.torch_layer'
  monkeypatch.delitem(sys.modules, name, raising=False)
  monkeypatch.delattr(name, raising=False)
  return JAX


def test_quick_writes_and_prints_what_it_measures(candidates, tmp_path, capsys):
  path = tmp_path / 'new' / 'quick.json'
  local_conv.main(['--quick', '--out', str(path)])
  content = json.loads(path.read_text())
  rows = {row['candidate']: row for row in content['rows']}
  assert content['command'].startswith('python ')
  assert {'commit', 'cpus', 'jax'} <= content['environment'].keys()
  assert ('torch' in content['environment']) == (candidates != JAX)
  assert list(rows) == candidates
  for name, row in rows.items():
    first, third = row['quartiles_s']
    assert first <= row['median_s'] <= third and row['rounds'] == 2
    assert list(row['ratios']) == ['batch_minor', 'local_conv']
    for other, ratio in row['ratios'].items():
      assert ratio * rows[other]['median_s'] == pytest.approx(row['median_s'])
    assert (row['temporary_bytes'] is not None) == (name in JAX)
  printed = capsys.readouterr().out
  assert all(name in printed for name in candidates)
  assert ('cannot be imported' in printed) == (candidates == JAX)


@pytest.mark.parametrize(
  ('which', 'spoil', 'message'),
  [
    (0, lambda a: a + (a == a.max()), 'The value of flax is wrong by'),
    (1, lambda a: a.at[0, 0, 0, 0].add(1), 'The input gradient of flax'),
    (2, lambda a: a.at[0, 0, 0, 0].mul(2), 'The kernel gradient of flax'),
    (2, lambda a: a * np.nan, 'The kernel gradient of flax is wrong by nan'),
    (0, lambda a: a[:-1], 'flax returns shapes'),
  ],
)
def test_a_wrong_peer_is_refused(which, spoil, message, monkeypatch, tmp_path):
  right = flax_layer.conv_local

  def wrong(problem):
    candidate = right(problem)

    def run():
      results = list(candidate.run())
      results[which] = spoil(results[which])
      return results

    return candidate._replace(run=run)

  def measure(*_):
    raise AssertionError('measured')

  monkeypatch.setattr(flax_layer, 'conv_local', wrong)
  monkeypatch.setattr(interleave, 'measure', measure)
  with pytest.raises(interleave.WrongResultError, match=message):
    local_conv.main(['--quick', '--out', str(tmp_path / 'out.json')])
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('input_gradient', [False, True])
@pytest.mark.parametrize(
  ('spatial', 'size', 'strides', 'padding'),
  [
    ((5, 8), (3, 2), (1, 2), 'SAME'),
    ((7, 6), (2, 3), (3, 1), 'VALID'),
    ((6, 9), (3, 3), 2, ((2, 0), (1, 3))),
  ],
)
def test_peers_compute_any_layer(
  spatial, size, strides, padding, input_gradient, candidates
):
  w = windows.window(spatial, size, strides, padding)
  problem = layer.problem((3, *spatial, 4), 5, w, input_gradient)
  makers = local_conv.makers()
  assert list(makers) == candidates
  expected = layer.results(makers['local_conv'](problem))
  assert len(expected) == 2 + input_gradient
  for name, make in makers.items():
    layer.check(name, make(problem), expected)


def test_slow_calls_are_measured_in_turn_but_less_often(monkeypatch):
  now, called = 0.0, []

  def call(name, seconds):
    nonlocal now
    now += seconds
    called.append(name)

  clock = types.SimpleNamespace(perf_counter=lambda: now)
  monkeypatch.setattr(interleave, 'time', clock)
  takes = {'fast': 0.5, 'slow': 2.0, 'slower': 9.0}
  calls = {n: lambda n=n, s=s: call(n, s) for n, s in takes.items()}
  timings = interleave.measure(calls, rounds=8, seconds=8.0, steps=2)
  assert {n: 2 * t.median_s for n, t in timings.items()} == takes
  assert [t.rounds for t in timings.values()] == [8, 4, 3]
  rounds = [
    ['fast', 'slow', 'slower'],  # to warm up
    ['fast', 'slow', 'slower'],
    ['fast'],
    ['fast', 'slow'],
    ['slower', 'fast'],
    ['fast', 'slow'],
    ['fast'],
    ['fast', 'slow', 'slower'],
    ['fast'],
  ]
  assert called == [name for names in rounds for name in names]


def test_ratios_of_sums():
  rows = [
    {'candidate': name, 'median_s': t, 'rounds': rounds}
    for name, t, rounds in [('a', 1, 9), ('b', 4, 3), ('a', 3, 9), ('b', 6, 5)]
  ]
  sums = interleave.rows(interleave.total(rows), ['a'], layer='all')
  assert sums == [
    {
      'layer': 'all', 'candidate': name, 'median_s': t, 'quartiles_s': None,
      'rounds': rounds, 'ratios': {'a': ratio},
    }
    for name, t, rounds, ratio in [('a', 4, 9, 1.0), ('b', 10, 3, 2.5)]
  ]  # fmt: skip


def test_tables_are_aligned_and_leave_blank_what_is_missing(capsys):
  timings = {'ours': (0.5, None, 1), 'their best': (1.0, None, 1)}
  timings = {n: interleave.Timing(*t) for n, t in timings.items()}
  rows = interleave.rows(timings, ['ours'], layer='D1')
  rows += interleave.rows({'ours': timings['ours']}, ['ours'], layer='total')
  interleave.show('ms:', rows, ['layer'], interleave.milliseconds('ours'))
  lines = capsys.readouterr().out.splitlines()
  assert [line.rstrip() for line in lines] == [
    'ms:',
    ' layer           ours      their best',
    '    D1  500.00 (1.00)  1000.00 (2.00)',
    ' total  500.00 (1.00)',
  ]


def test_the_layers_are_those_of_the_paper():
  assert list(local_conv.LAYERS) == [
    *(f'D{i}' for i in range(1, 9)), 'S1-32', 'S1-150',
  ]  # fmt: skip
  for name, spec in {
    'D1': (32, 3, 15, 3, 1, True),
    'D2': (32, 15, 30, 3, 2, False),
    'D8': (4, 120, 240, 3, 2, False),
    'S1-150': (32, 3, 150, 9, 2, True),
  }.items():
    assert local_conv.LAYERS[name] == spec


def test_a_step_is_measured_against_the_same_net_in_flax(tmp_path):
  path = tmp_path / 'step.json'
  args = ['--alpha=1', '--batch=6', '--rounds=3', f'--out={path}']
  step.main(['--nets', 's_local', *args])
  rows = {row['candidate']: row for row in json.loads(path.read_text())['rows']}
  assert list(rows) == ['ours', 'flax']
  ours, flax = (rows[who]['median_s'] for who in rows)
  assert rows['flax']['ratios']['ours'] == pytest.approx(flax / ours)
  label = {'net': 's_local', 'alpha': 1, 'batch': 6, 'dtype': 'float32'}
  assert label.items() <= rows['ours'].items()


def test_a_step_that_trains_another_way_is_refused(monkeypatch):
  convert = flax_net.convert

  def spoilt(stages, params):
    params = convert(stages, params)
    params['fc2']['kernel'] *= 1.1
    return params

  monkeypatch.setattr(flax_net, 'convert', spoilt)
  with pytest.raises(
    interleave.WrongResultError, match='losses of s_local differ'
  ):
    step.main(['--nets', 's_local', '--alpha', '1', '--batch', '6'])


def test_floors_are_products_and_traffic(capsys):
  conv1, fc1, fc2 = floor.layers('s_local', 2, batch=10)
  # 16 × 16 positions, windows of 9 × 9 × 3, 2 filters; no input gradient.
  weights = 256 * 243 * 2
  assert conv1.flop == 2 * 2 * weights * 10
  x, y = 32 * 32 * 3 * 10, 256 * 2 * 10
  assert conv1.fused_bytes == 2 * (2 * x + 2 * y + weights) + 24 * weights
  assert conv1.im2col_bytes == 2 * 2 * 2 * 256 * 243 * 10
  assert fc1.flop == 3 * 2 * 512 * 48 * 10
  x, y = 512 * 10, 48 * 10
  assert fc1.fused_bytes == 2 * (3 * x + 3 * y + 2 * 512 * 48) + 24 * 512 * 48
  assert fc1.im2col_bytes == 0
  assert fc2.flop == 3 * 2 * 48 * 10 * 10
  seconds = floor.seconds(fc1, floor.Device(1e-6, 1e-7))
  assert seconds.products == pytest.approx(fc1.flop / 1e6)
  assert seconds.fused == pytest.approx(fc1.fused_bytes / 1e5)
  assert floor.main(['--batch', '512']) == 0
  out = capsys.readouterr().out
  assert out.count('step') == len(floor.NETS)
  assert 'D-LOCAL, α = 15, batch 512' in out


def test_floors_of_convolutional_and_dense_nets():
  shared, own = (floor.layers(f's_{c}', 2, 10)[0] for c in ('conv', 'local'))
  assert shared.flop == own.flop and shared.im2col_bytes == 0
  saved = 255 * 243 * 2  # weights
  assert own.fused_bytes - shared.fused_bytes == (2 + 24) * saved
  (dense, *_) = floor.layers('s_fc', 2, 10)
  assert dense.flop == 2 * 2 * 3072 * 512 * 10
  (plain, *_) = floor.layers('s_fc', 2, 10, momentum=False)
  assert dense.fused_bytes - plain.fused_bytes == 8 * 3072 * 512
  resnet = {layer.name: layer for layer in floor.layers('resnet18', 1, 1)}
  assert len(resnet) == 21
  # 16 × 16 positions of a 1 × 1 window on 32 × 32 images of one channel.
  assert resnet['conv3_1_skip'].flop == 3 * 2 * 256 * 2


def test_hours_of_a_grid_are_steps_times_their_floor(tmp_path, capsys):
  grid = tmp_path / 'mine.py'
  grid.write_text(
    "CONFIG = 'configs/resnet18.py'\n"
    'def sweep():\n'
    "  wide = {'model.kernel_size': 7, 'optim.momentum': 0.0}\n"
    "  wide |= {'model.base_channels': 8, 'train.epochs': 1000}\n"
    "  data = {'data.name': 'svhn_cropped', 'data.validation': 3257}\n"
    "  return [wide, {**wide, **data, 'train.batch_size': 256}]\n"
  )
  assert floor.main([str(grid), '--tflops=1', '--bandwidth=0.1']) == 0
  *_, line = capsys.readouterr().out.splitlines()
  hours = []
  for images, batch in ((45_000, 512), (70_000, 256)):
    layers = floor.layers('resnet18', 8, batch, False, kernel_size=7)
    assert layers[1].name == 'conv2_1_1'
    assert layers[1].flop == 6 * 32 * 32 * 7 * 7 * 8 * 8 * batch
    step = sum(floor.seconds(x, floor.Device(1, 0.1)).fused for x in layers)
    hours.append(1000 * (images // batch) * step / 3600)
  assert line.split() == [
    str(grid),
    '2',
    *(f'{f(hours):.2f}' for f in (sum, max)),
  ]
  assert float(hours[1]) > 1
  assert floor.main(['tabel1']) == 2
  assert 'Did you mean table1' in capsys.readouterr().err
  grid.write_text(grid.read_text().replace('resnet18', 'demo'))
  assert floor.main([str(grid)]) == 2
  assert 'data.name=nlgp has no floor' in capsys.readouterr().err


def test_augmentation_is_measured_against_pillow(tmp_path, capsys):
  path = tmp_path / 'augment.json'
  augment_benchmark.main(
    ['--batch=16', '--alpha=1', '--rounds=2', '--out', str(path)]
  )
  rows = json.loads(path.read_text())['rows']
  assert [row['candidate'] for row in rows] == [
    'ours', 'Pillow, 1 process', 'Pillow, 2 processes', 'plain', 'augmented',
  ]  # fmt: skip
  assert rows[0]['compile_s'] > 0
  assert 'µs an image' in capsys.readouterr().out


def test_a_pillow_that_makes_other_images_is_refused(monkeypatch):
  right = pillow_augment.apply_op
  monkeypatch.setattr(
    pillow_augment,
    'apply_op',
    lambda image, op, *args: right(image, 'Invert', *args),
  )
  with pytest.raises(interleave.WrongResultError, match='other images'):
    augment_benchmark.main(['--batch=16', '--alpha', '--rounds=1'])


@pytest.fixture
def torch_net(monkeypatch):
  monkeypatch.setenv('OMP_WAIT_POLICY', 'PASSIVE')
  pytest.importorskip('torch')
  from benchmarks.peers import torch_net

  return torch_net


def test_training_is_measured_against_scripts(
  torch_net, monkeypatch, tmp_path, capsys
):
  monkeypatch.setattr(peak, '_SIZE', 16)
  monkeypatch.setattr(loop, '_WORKERS', 1)  # one starts sooner than two
  path = tmp_path / 'loop.json'
  args = ['--nets=s_fc', '--alpha=1', '--batch=8', '--rounds=1']
  loop.main([*args, '--out', str(path)])
  rows = json.loads(path.read_text())['rows']
  found = [(row['table'], row['candidate']) for row in rows]
  assert found == [
    ('loop', 'ours'), ('loop', 'torch'), ('loop', 'flax'),
    ('peak', 'products'), ('peak', 'step'),
  ]  # fmt: skip
  for row in rows[:3]:
    assert row['images_per_s'] == pytest.approx(8 / row['median_s'])
  assert rows[3]['share_of_peak'] == 1
  printed = capsys.readouterr().out
  assert 'Images per second' in printed and 'share of the peak' in printed


@pytest.fixture
def net(request):
  """Images, a net of ours, its parameters, and what it makes of the images."""
  rng = np.random.default_rng(0)
  x = rng.standard_normal((4, *pictures.SHAPE), np.float32)
  net = step.net(step.config(request.param, 1, 4), 'float32')
  functions = models.as_functions(net)
  shapes = jax.eval_shape(functions.init, jax.random.key(0), x)
  params, stats = jax.tree.map(
    lambda s: jnp.asarray(0.1 * rng.standard_normal(s.shape, np.float32)),
    shapes,
  )
  # As the script in PyTorch begins.
  for name, leaves in params.items():
    if 'scale' in leaves:
      ones = {k: jnp.full_like(v, k == 'scale') for k, v in leaves.items()}
      params[name] = ones
  apply = jax.jit(functions.apply, static_argnums=3)
  return x, net, params, stats, apply(params, stats, jnp.asarray(x), True)[0]


@pytest.mark.parametrize('net', ['s_fc', 's_conv', 'd_local'], indirect=True)
def test_the_script_in_flax_trains_the_same_nets(net):
  x, net, params, stats, expected = net
  flax = flax_net.FlaxNet(
    net.stages, net.hidden, 10, net.connectivity, jnp.float32
  )
  variables = {'params': flax_net.convert(net.stages, params)}
  variables['batch_stats'] = stats
  apply = jax.jit(lambda v, x: flax.apply(v, x, mutable=['batch_stats']))
  logits, _ = apply(variables, x)
  np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize('net', loop.CASES, indirect=True)
def test_the_script_in_pytorch_trains_the_same_nets(torch_net, net):
  import torch

  x, net, params, _, expected = net
  module = torch_net.build(net, pictures.SHAPE)
  state = torch_net.convert(net, params, 3)
  module.load_state_dict(module.state_dict() | state)
  with torch.inference_mode():
    logits = module(torch_net.images(x)).numpy()
  np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize('who', ['flax', 'torch'])
def test_a_script_that_trains_another_way_is_refused(who, monkeypatch):
  if who == 'torch':
    monkeypatch.setenv('OMP_WAIT_POLICY', 'PASSIVE')
    pytest.importorskip('torch')
    peer = loop.torch_peer(pictures.batch(64), (), 8)
  else:
    peer = loop.flax_peer(pictures.batch(64), batches=None)

  def spoilt(c, t):
    c = c.copy_and_resolve_references()
    c.optim.lr *= 2
    return peer.learner(c, t)

  peers = {who: peer._replace(learner=spoilt)}
  with pytest.raises(interleave.WrongResultError, match='of s_fc differ'):
    loop.measure(step.config('s_fc', 1, 8), peers, rounds=1)


def test_without_torch_there_are_the_others(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'torch', None)
  name = 'benchmarks.peers.torch_net'
  monkeypatch.delitem(sys.modules, name, raising=False)
  assert loop.torch_peer(None, (), 8) is None
  assert 'cannot be imported' in capsys.readouterr().out


def test_a_script_sums_over_its_epoch():
  batches = [(2.0, np.zeros(6)), (5.0, np.zeros(2))]
  learn = lambda x, labels: (np.float32(x), np.int32(len(labels) / 2))  # noqa: E731
  assert loop.train_epoch(learn, batches) == (22 / 8, 0.5)


def test_workers_make_the_batches_that_they_are_asked_for():
  # A constant image stays what it is, but for black pixels.
  images = np.ones((9, 32, 32, 3), np.uint8)
  images *= np.arange(1, 10, dtype=np.uint8)[:, None, None, None]
  steps = ((policy.Step('Invert', 0.0, 0.5),),)
  mean, std = np.zeros(3, np.float32), np.full(3, 1 / 255, np.float32)
  index = [np.array(i) for i in ([3, 1, 4], [1, 5], [8, 2, 6], [0], [7, 7])]
  with pillow_workers.start(images, (steps, mean, std), 2, 3) as batches:
    for _ in range(2):  # anew in every epoch
      brightest = [x.max((1, 2, 3)) for x in batches(index)]
      for found, chosen in zip(brightest, index, strict=True):
        np.testing.assert_allclose(found, chosen + 1, rtol=1e-5)


def test_the_peak_counts_the_products_of_a_step():
  params = {
    'conv1': {'kernel': np.zeros((5, 7))},
    'conv1_bn': {'scale': np.zeros(7)},
    'fc1': {'kernel': np.zeros((7, 3)), 'bias': np.zeros(3)},
  }
  assert peak.step_flop(params, 2) == 2 * 2 * (2 * 5 * 7 + 3 * 7 * 3)


def test_starts_are_measured(monkeypatch, tmp_path):
  times = iter([4.0, 1.0, 3.0, 2.0])
  monkeypatch.setattr(startup, 'seconds', lambda *_: next(times))
  startup.main(['--nets', 's_fc', f'--out={tmp_path}/startup.json'])
  first, later = json.loads((tmp_path / 'startup.json').read_text())['rows']
  assert (first['median_s'], later['median_s']) == (4.0, 2.0)
  assert first['ratios'] == {'later': 2.0}


def test_a_grid_is_measured_against_single_runs(monkeypatch, tmp_path):
  times, sizes = iter([10.0, 60.0, 14.0]), []

  def seconds(commands, _):
    sizes.append(len(commands))
    return next(times)

  monkeypatch.setattr(grid, 'seconds', seconds)
  out = f'--out={tmp_path}/grid.json'
  grid.main(['--data=nlgp,smoke', '--singles=5', out])
  assert sizes == [1, 5, 1]
  together, apart = json.loads((tmp_path / 'grid.json').read_text())['rows']
  assert together['points'] == 25 and together['median_s'] == 12
  assert apart['ratios'] == {'side by side': 25.0}  # 60 s are a fifth
  monkeypatch.setattr(grid, '_STEPS', 2)
  monkeypatch.setattr(grid.data, 'load', lambda _: pictures.dataset(256))
  grid.main(['--data=nlgp,smoke', '--throughput', '--counts', '1', '2', out])
  one, two = json.loads((tmp_path / 'grid.json').read_text())['rows']
  for row, count in ((one, 1), (two, 2)):
    speed = count * 2 * 128 / row['median_s']
    assert row['images_per_second'] == pytest.approx(speed)


def test_descriptions_are_compared_with_scipys(monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(describe, '_SHAPES', {'tiny': (300, 200)})
  path = tmp_path / 'describe.json'
  describe.main(['--sizes=tiny', '--rounds=3', f'--out={path}'])
  rows = json.loads(path.read_text())['rows']
  names = [*mdl.CODES, 'scipy npz']
  assert [row['candidate'] for row in rows] == 2 * names
  assert all(name in capsys.readouterr().out for name in names[:1])
  right = describe._load_npz
  monkeypatch.setattr(
    describe, '_load_npz', lambda data, like: right(data, like) + 1
  )
  with pytest.raises(
    interleave.WrongResultError, match='scipy npz does not give'
  ):
    describe.main(['--sizes=tiny'])


def test_measures_of_filters_are_timed_against_loops(tmp_path, capsys):
  path = tmp_path / 'locality.json'
  locality.main(
    ['--units=12', '--some=3', '--draws=60', '--rounds=2', f'--out={path}']
  )
  sparse, dense, *rows = json.loads(path.read_text())['rows']
  assert sparse['units'] == dense['units'] == 12
  assert dense['layer_bytes'] == 12 * 3072 * 4
  assert dense['peak_bytes'] > dense['layer_bytes']
  assert [row['candidate'] for row in rows] == ['ours', 'loop', 'arrays']
  assert rows[0]['ratios']['ours'] == 1
  assert 'loop' in capsys.readouterr().out


def test_a_loop_that_measures_something_else_is_refused(tmp_path, monkeypatch):
  def wrong(filters, draws):
    result = locality.ours(filters, draws)
    result[row] *= 1.5
    return result

  monkeypatch.setattr(locality, 'whole', lambda *_: {})
  monkeypatch.setitem(locality.CANDIDATES, 'loop', wrong)
  for row in range(4):  # noqa: B007
    with pytest.raises(interleave.WrongResultError, match='loop differs'):
      locality.main(['--some=3', '--draws=60', f'--out={tmp_path}/x.json'])
  assert not list(tmp_path.iterdir())
