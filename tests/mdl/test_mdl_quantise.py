import functools
import itertools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from sklearn import cluster

from lconv_jax import errors, mdl, models
from lconv_jax.mdl import alphabet, classifier, kmeans, search
from lconv_jax.models import fold

SHAPE = 8, 8, 3
MEAN, STD = np.float32([0.4, 0.5, 0.45]), np.float32([0.2, 0.25, 0.3])


def inertia(values, counts, means):
  nearest = np.abs(values[:, None] - means).min(1)
  return (counts * nearest**2).sum()


@pytest.mark.parametrize('k', [1, 2, 3, 5])
def test_kmeans_of_few_numbers_is_the_best_of_all(k):
  for seed in range(20):
    rng = np.random.default_rng(seed)
    values = np.unique(rng.standard_cauchy(rng.integers(k + 1, 11)))
    counts = rng.integers(1, 9, len(values))
    least = min(
      inertia(
        values,
        counts,
        np.array(
          [
            np.average(values[a:b], weights=counts[a:b])
            for a, b in itertools.pairwise([0, *ends, len(values)])
          ]
        ),
      )
      for ends in itertools.combinations(range(1, len(values)), k - 1)
    )
    means = kmeans.kmeans(values, counts, k)
    assert (np.diff(means) > 0).all()
    assert len(means) == k
    assert inertia(values, counts, means) <= least * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize('count', [400, 2000])
def test_kmeans_is_as_good_as_scikit_learns(count):
  rng = np.random.default_rng(count)
  values = np.unique(rng.standard_t(3, count) * 0.1)
  counts = rng.integers(1, 20, len(values))
  for k in (1, 2, 5, 16):
    means = kmeans.kmeans(values, counts, k)
    assert len(means) == k
    other = cluster.KMeans(k, n_init=3, random_state=0, tol=0).fit(
      values[:, None], sample_weight=counts
    )
    assert inertia(values, counts, means) <= 1.001 * other.inertia_
    # A fixed point: each is the mean of what is nearest to it.
    label = np.abs(values[:, None] - means).argmin(1)
    again = [
      np.average(values[label == i], weights=counts[label == i])
      for i in range(k)
    ]
    np.testing.assert_allclose(means, again, rtol=1e-7)


def test_kmeans_of_one_far_value_and_many_equal_ones():
  values, counts = np.array([-1.0, 0.5, 7.0]), np.array([1, 10**6, 1])
  for k in (3, 9):
    assert kmeans.kmeans(values, counts, k).tolist() == values.tolist()
  assert kmeans.kmeans(values, counts, 2)[-1] == 7
  (one,) = kmeans.kmeans(values, counts, 1)
  assert one == pytest.approx((counts * values).sum() / counts.sum())


def test_quantise_shares_k_values_and_keeps_zeros():
  rng = np.random.default_rng(0)
  params = {
    'a': {'kernel': rng.normal(size=(30, 20)).astype(np.float32)},
    'b': {'kernel': rng.normal(size=(20, 5)).astype(np.float32)},
  }
  params['a']['kernel'][rng.random((30, 20)) < 0.8] = 0
  for k, b in itertools.product((2, 3, 9), (8, 12, 32)):
    new = mdl.quantise(params, k, b)
    flat = np.concatenate([x.ravel() for x in jax.tree.leaves(new)])
    assert len(np.unique(np.append(flat, 0))) <= k
    for x, y in zip(*map(jax.tree.leaves, (params, new)), strict=True):
      assert x.dtype == y.dtype
      assert not y[x == 0].any()
    mdl.encode(new, b)  # they are numbers of b bits
    again = mdl.quantise(new, k, b)
    assert all(map(np.array_equal, *map(jax.tree.leaves, (new, again))))
  with pytest.raises(errors.UsageError, match='k=1 must be 2 or more'):
    mdl.quantise(params, 1)
  zeros = jax.tree.map(np.zeros_like, params)
  assert not any(x.any() for x in jax.tree.leaves(mdl.quantise(zeros, 1)))
  params['b']['kernel'][0, 0] = np.nan
  with pytest.raises(errors.UsageError, match='NaN'):
    mdl.quantise(params, 4)


@pytest.mark.parametrize(
  ('dtype', 'b', 'fits'),
  [
    ('float16', 12, False),  # 8 bits of exponent, as float32
    ('float16', 8, True),
    ('int32', 12, False),
    ('float64', 32, True),
  ],
)
def test_what_a_dtype_cannot_hold_is_refused(dtype, b, fits):
  params = {'w': np.array([3e4, 2.1e4, 0, 5], dtype), 'v': np.float32([1.3])}
  if fits:
    assert mdl.quantise(params, 5, b)['w'].dtype == dtype
    return
  with pytest.raises(errors.UsageError, match=f'{dtype} cannot hold values of'):
    mdl.quantise({**params, 'v': np.float32([1e-30])}, 5, b)


def test_more_values_are_closer():
  x = {'w': np.random.default_rng(0).normal(size=5000).astype(np.float32)}
  far = [
    np.square(mdl.quantise(x, k)['w'] - x['w']).sum() for k in (2, 4, 8, 16, 64)
  ]
  assert far == sorted(far, reverse=True)


def build(name, local_norm='channel'):
  model = ml_collections.ConfigDict(
    {
      'name': name, 'base_channels': 2, 'kernel_size': 0, 'dropout': 0.0,
      'local_norm': local_norm,
    }
  )  # fmt: skip
  return models.describe(model, SHAPE, 5)


def trained(net, seed=0, zeros=0.0):
  """Params and statistics as training leaves them: none at its beginning."""
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    x = rng.normal(size=leaf.shape)
    name = path[-1].key
    if name in ('var', 'scale'):
      x = 0.5 + x**2
    if name == 'scale':
      x *= rng.choice([-1, 1], x.shape)
    if name == 'kernel':
      x[rng.random(x.shape) < zeros] = 0
    return x.astype(np.float32)

  shapes = net.shapes['params'], net.shapes['batch_stats']
  return [jax.tree_util.tree_map_with_path(draw, tree) for tree in shapes]


NETS = [(name, 'channel') for name in models.NETS] + [('s_local', 'unit')]
SOME = [
  ('s_fc', 'channel'), ('s_conv', 'channel'), ('s_local', 'unit'),
  ('d_local', 'channel'), ('resnet18', 'channel'),
]  # fmt: skip


@pytest.fixture
def images():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (50, *SHAPE), dtype=np.uint8)


@functools.cache
def forward(module):
  return jax.jit(module.apply)


def logits(net, params, batch_stats, images, mean=MEAN, std=STD):
  x = (jnp.float32(images) / 255 - mean) / std
  variables = {'params': params, 'batch_stats': batch_stats}
  return np.asarray(forward(net.module)(variables, x))


def of(folded, net, images):
  pixels = folded[fold.NORMALISE]
  variables = fold.unfold(net, folded)
  return logits(net, *variables, images, pixels['mean'], pixels['std'])


def scale(x):
  return np.abs(x).max()


@pytest.mark.parametrize(('name', 'norm'), NETS)
def test_folded_nets_compute_the_same(name, norm, images):
  described = build(name, norm)
  params, batch_stats = trained(described)
  expected = logits(described, params, batch_stats, images)
  folded = fold.fold(described, params, batch_stats, MEAN, STD)
  found = of(folded, described, images)
  assert scale(found - expected) < 1e-4 * scale(expected)
  # Nothing learned is left out, and nothing is counted twice.
  biases = sum(
    leaves['bias'].size for n, leaves in params.items() if 'bias' in leaves
  )
  weights = sum(k.size for k in models.kernels(params).values()) + biases
  assert sum(x.size for x in jax.tree.leaves(folded)) == weights + 6


@pytest.mark.parametrize(('name', 'norm'), SOME)
def test_balanced_nets_predict_the_same(name, norm, images):
  described = build(name, norm)
  params, batch_stats = trained(described, zeros=0.5)
  net = classifier.Classifier(described)
  folded = fold.fold(described, params, batch_stats, MEAN, STD)
  before = of(folded, described, images)
  balanced = fold.balance(folded, net.chain)
  after = of(balanced, described, images)
  ratio = scale(before) / scale(after)
  assert scale(before - ratio * after) < 1e-4 * scale(before)
  labels = net.predict(balanced, images)
  sure = np.sort(before, -1)[:, -1] - np.sort(before, -1)[:, -2]
  sure = sure > 1e-3 * scale(before)
  assert (labels == before.argmax(-1))[sure].all()
  if name == 'resnet18':
    assert net.chain == ()
    return
  for layer in net.chain:
    kernel = balanced[layer]['kernel']
    rms = np.sqrt(np.mean(np.square(kernel[kernel != 0])))
    assert rms == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize('name', ['s_fc', 'd_fc', 's_conv'])
def test_channels_that_do_nothing_lose_their_weights(name, images):
  described = build(name)
  params, batch_stats = trained(described, zeros=0.2)
  net = classifier.Classifier(described)
  first, second = (params[layer]['kernel'] for layer in net.chain[-3:-1])
  axis = fold._channel_axis(first)
  channels = first.shape[axis]
  dead = np.arange(channels) % 4 == 0
  np.moveaxis(first, axis, -1)[..., dead] = 0
  useless = np.arange(second.shape[1]) % 4 == 1
  params[net.chain[-1]]['kernel'][useless] = 0
  folded = fold.fold(described, params, batch_stats, MEAN, STD)
  small, left = fold.without_dead(folded, net.chain)
  a, b = net.chain[-3:-1]
  assert set(left) == set(net.chain[:-1])
  assert not left[a][dead].any() and left[a][~dead].all()
  assert not left[b][useless].any() and left[b][~useless].all()
  assert not small[b]['kernel'][:, useless].any()
  rows = np.tile(dead, len(second) // channels)
  assert not small[b]['kernel'][rows].any()
  kept = np.ix_(~rows, ~useless)
  assert np.array_equal(small[b]['kernel'][kept], folded[b]['kernel'][kept])
  # A constant less before a layer is a matter of its bias.
  means = net.means(folded, images)
  mended = net.corrected(small, means, images, lambda _, bias: bias)
  before = of(folded, described, images)
  after = of(mended, described, images)
  assert scale(before - after) < 1e-3 * scale(before)


@pytest.mark.parametrize(('name', 'norm'), SOME)
def test_means_are_those_of_the_outputs(name, norm, images):
  described = build(name, norm)
  params, batch_stats = trained(described)
  net = classifier.Classifier(described)
  folded = fold.fold(described, params, batch_stats, MEAN, STD)
  x = (jnp.float32(images) / 255 - MEAN) / STD
  new, stats = fold.unfold(described, folded)
  captured = functools.partial(
    described.module.apply,
    capture_intermediates=True,
    mutable=['intermediates'],
  )
  _, seen = jax.jit(captured)({'params': new, 'batch_stats': stats}, x)
  for layer, mean in net.means(folded, images).items():
    bias = folded[layer]['bias']
    assert mean.shape == bias.shape
    name = f'{layer}_bn' if f'{layer}_bn' in params else layer
    (out,) = seen['intermediates'][name]['__call__']
    if out.ndim == 4:
      out = np.moveaxis(np.asarray(out), -1, 0)  # the batch
    expected = np.asarray(out).mean(tuple(range(out.ndim - bias.ndim)))
    assert scale(mean - expected) < 1e-4 * scale(expected) + 1e-4


@pytest.mark.parametrize('name', ['s_fc', 's_local', 'resnet18'])
def test_coarse_nets_are_what_the_setting_says(name, images):
  described = build(name)
  params, batch_stats = trained(described)
  net = classifier.Classifier(described)
  folded = fold.balance(
    fold.fold(described, params, batch_stats, MEAN, STD), net.chain
  )
  means = net.means(folded, images)
  setting = search.Setting(pruned=0.3, kernels=3, biases=2, b=12)

  def correct(few, change):
    return net.corrected(few, means, images, change)

  coarse = search.coarse(folded, net.chain, setting, correct)
  kernels = [coarse[layer]['kernel'] for layer in models.kernels(params)]
  values = np.concatenate([k[k != 0] for k in kernels])
  assert len(np.unique(values)) <= 3
  total = sum(k.size for k in kernels)
  # Some more, of channels that are left without any.
  assert 0.65 * total < len(values) < 0.701 * total
  for layer in models.kernels(params):
    bias = coarse[layer]['bias']
    assert len(np.unique(bias[bias != 0])) <= 2
  mdl.encode(coarse, 12)
  for k, v in coarse[fold.NORMALISE].items():
    assert np.array_equal(v, alphabet.nearest(folded[fold.NORMALISE][k], 12))
  # As fine as can be, nothing changes but by rounding.
  finest = search.Setting(0.0, 10**6, 10**6, 32)
  fine = search.coarse(folded, net.chain, finest, correct)
  before, after = (of(n, described, images) for n in (folded, fine))
  assert scale(before - after) < 1e-3 * scale(before)


def test_search_finds_the_least_cost_along_its_ways():
  best = search.Setting(0.5, 2, 64, 10)
  places = [c.index(v) for c, v in zip(search.CHOICES, best, strict=True)]
  asked = []

  def cost(setting):
    asked.append(setting)
    at = [c.index(v) for c, v in zip(search.CHOICES, setting, strict=True)]
    return 1.0 * sum((i - j) ** 2 for i, j in zip(at, places, strict=True))

  assert search.smallest(cost, search.Setting()) == best
  assert len(asked) == len(set(asked))  # each once
