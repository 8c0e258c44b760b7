import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.peers import pillow_augment
from lconv_jax import augment, errors
from lconv_jax.augment import policy, switch
from lconv_jax.augment.apply import BRANCHES, Settings
from lconv_jax.augment.pipeline import apply_policy
from tests.pictures import count_differing, images

pytestmark = pytest.mark.usefixtures('optimised')

RGB = (32, 32, 3)


@pytest.mark.parametrize('name', policy.NAMES)
def test_the_published_policies(name):
  p = policy.load(name)
  assert len(p) == {'fa_reduced_cifar10': 493, 'fa_reduced_svhn': 497}[name]
  assert {len(sub) for sub in p} == {2}
  assert {step.op for sub in p for step in sub} == set(augment.OPS)


@pytest.mark.parametrize('name', policy.NAMES)
def test_ten_thousand_sub_policies_equal_pillow(name):
  p = policy.load(name)
  pipeline = augment.Pipeline(p)
  x = images(10_240, 32, 32)
  draw = jax.jit(lambda key, i: pipeline.draw(key, i, RGB[:2]))
  apply = jax.jit(lambda x, c: apply_policy(p, x, c))
  for start in range(0, len(x), 2048):
    batch = x[start : start + 2048]
    choices = draw(jax.random.key(start), jnp.arange(2048))
    ours = apply(jnp.asarray(batch), choices)
    theirs = pillow_augment.replay_policy(batch, p, choices)
    assert count_differing(ours, theirs) == 0


def assert_every_step_equals_pillow(p, size):
  """Each step of a policy by itself, with either sign."""
  height, width = size
  where = [(i, j) for i, sub in enumerate(p) for j in range(len(sub))] * 2
  n, steps = len(where), max(len(sub) for sub in p)
  rs = np.random.RandomState(0)
  sub_policy, step = np.int32(where).T
  pipeline = augment.Pipeline(p)
  drawn = pipeline.draw(jax.random.key(0), jnp.arange(n), size)
  choices = drawn._replace(
    sub_policy=sub_policy,
    use=np.arange(steps) == step[:, None],
    mirror=np.repeat(np.arange(n)[:, None] >= n // 2, steps, axis=1),
    centre=np.int32(rs.rand(n, steps, 2) * [width, height] * 65536),
  )
  x = images(n, *size)
  ours = jax.jit(lambda x, c: apply_policy(p, x, c))(
    jnp.asarray(x), jax.tree.map(jnp.asarray, choices)
  )
  theirs = pillow_augment.replay_policy(x, p, choices)
  assert count_differing(ours, theirs) == 0


@pytest.mark.parametrize(
  ('name', 'size'),
  [('fa_reduced_cifar10', (32, 32)), ('fa_reduced_svhn', (20, 33))],
)
def test_every_level_of_a_policy_equals_pillow(name, size):
  assert_every_step_equals_pillow(policy.load(name), size)


@pytest.mark.parametrize('size', [(50, 50), (125, 100), (250, 32)], ids=str)
def test_levels_that_fall_between_pixels(size):
  """Where float64 itself decides on the last pixel or bit."""
  levels = [0.0, 0.7499999999, 0.75 + 1e-12, 1.0, *(np.arange(101) / 100)]
  ops = 'Cutout', 'TranslateX', 'TranslateY', 'Posterize', 'Solarize'
  p = tuple((policy.Step(op, 1.0, float(v)),) for op in ops for v in levels)
  assert_every_step_equals_pillow(p, size)


@pytest.fixture
def args():
  rs = np.random.RandomState(0)
  count = 37
  return jax.tree.map(
    jnp.asarray,
    (
      images(count, 12, 9),
      np.int32(rs.randint(0, len(BRANCHES), count)),
      Settings(
        np.int32(rs.randint(-70_000, 70_000, (count, 6))),
        np.float32(rs.uniform(1, 2, count)),
        np.int32(rs.randint(0, 9, (count, 4))),
      ),
    ),
  )


def test_both_methods_agree(args):
  fn = jax.jit(switch.switch, static_argnames='method')
  loop, select = (fn(*args, method=m) for m in switch.METHODS)
  np.testing.assert_array_equal(loop, select)
  assert count_differing(loop, np.asarray(args[0])) > 20


@pytest.mark.parametrize('method', switch.METHODS)
def test_a_batch_of_batches(args, method):
  several = jax.tree.map(lambda a: jnp.stack([a, a[::-1]]), args)
  fn = jax.jit(jax.vmap(lambda *a: switch.switch(*a, method=method)))
  out = fn(*several)
  np.testing.assert_array_equal(out[0], switch.switch(*args))
  np.testing.assert_array_equal(out[0], out[1, ::-1])


def test_a_policy_of_ones_own(tmp_path):
  path = tmp_path / 'mine.json'
  subs = [
    [['Invert', 1.0, 0.0]],
    [['Rotate', 1, 1], ['Cutout', 1.0, 1.0], ['Posterize', 1.0, 0.2]],
  ]
  path.write_text(json.dumps(subs), encoding='utf-8')
  p = policy.load(str(path))
  assert p[0] == (('Invert', 1.0, 0.0),)
  pipeline, x = augment.Pipeline(p), images(64, 32, 32)
  choices = pipeline.draw(jax.random.key(0), jnp.arange(64), RGB[:2])
  assert set(np.asarray(choices.sub_policy)) == {0, 1}
  ours = jax.jit(lambda x: apply_policy(p, x, choices))(jnp.asarray(x))
  # What fills up the shorter sub-policy is never used.
  np.testing.assert_array_equal(
    choices.use, np.array([[1, 0, 0], [1, 1, 1]])[choices.sub_policy]
  )
  theirs = pillow_augment.replay_policy(x, p, choices)
  assert count_differing(ours, theirs) == 0


@pytest.mark.parametrize(
  ('text', 'hint'),
  [
    ('[[["Rotat", 0.5, 0.5]]]', 'Did you mean Rotate'),
    ('[[["Rotate", 1.5, 0.5]]]', r'probability 1.5 of Rotate .* \[0, 1\]'),
    ('[[["Rotate", 0.5, NaN]]]', 'level nan'),
    ('[[["Rotate", "0.5", 0.5]]]', "probability '0.5' of Rotate"),
    ('[[["Rotate", 0.5]]]', 'is not a policy'),
    ('[["Rotate", 0.5, 0.5]]', 'is not a policy'),
    ('[[[["Rotate"], 0.5, 0.5]]]', 'does not exist'),
    ('{"Rotate": 0.5}', 'is not a policy'),
    ('[[["Rotate", 0.5, 0.5]], []]', 'empty'),
    ('[]', 'empty'),
    ('[[[', 'is not a policy'),
    ('3', 'is not a policy'),
  ],
)
def test_a_file_that_is_no_policy_is_named(text, hint, tmp_path):
  path = tmp_path / 'bad.json'
  path.write_text(text, encoding='utf-8')
  with pytest.raises(errors.UsageError, match=f'(?s)bad.json.*{hint}'):
    policy.load(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
  path = tmp_path / 'deep.json'
  path.write_text('[' * 100_000, encoding='utf-8')
  for bad in (str(path), str(tmp_path)):
    with pytest.raises(errors.UsageError, match='is not a policy'):
      policy.load(bad)
  with pytest.raises(errors.UsageError, match='does not exist'):
    policy.load('x' * 5000)


def test_a_policy_that_is_not_there_is_named():
  with pytest.raises(errors.UsageError, match='Did you mean fa_reduced_cifar1'):
    policy.load('fa_reduced_cifar100')
  with pytest.raises(errors.UsageError, match=r'file .*/not.json does not'):
    policy.load('/not.json')
