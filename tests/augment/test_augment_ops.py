"""Every operation against Pillow: no pixel of 20,000 images may differ."""

import functools
import importlib.util
import inspect
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from benchmarks.peers import pillow_augment
from lconv_jax import augment, errors
from lconv_jax.augment import affine, apply, ops, policy
from tests import pictures

pytestmark = pytest.mark.usefixtures('optimised')

COUNT = 20_000
BATCH = 4_000
POLICIES = [policy.load(name) for name in policy.NAMES]


def magnitudes(op, count, height, width):
  """Levels of both policies, half of them mirrored, then random ones."""
  rs = np.random.RandomState(1)
  known = [
    step.level for p in POLICIES for sub in p for step in sub if step.op == op
  ]
  levels = np.concatenate([known, rs.rand(max(0, count - len(known)))])[:count]
  v = [policy.magnitude(op, level, height, width) for level in levels]
  sign = rs.choice([-1, 1], count) if op in pillow_augment.SIGNED else 1
  return np.float32(v * sign)


def centres(count, height, width):
  rs = np.random.RandomState(2)
  return np.float32(rs.rand(count, 2) * [width, height])


def pillow(x, op, v, centre):
  return np.stack(
    [
      pillow_augment.apply_op(
        Image.fromarray(image), op, float(m), c.astype(float)
      )
      for image, m, c in zip(x, v, centre, strict=True)
    ]
  )


def apply_op(op, *args):
  return augment.apply_op(op, *map(jnp.asarray, args))


def compare(op, x, v, centre):
  for start in range(0, len(x), BATCH):
    s = slice(start, start + BATCH)
    ours = apply_op(op, x[s], v[s], centre[s])
    assert ours.dtype == jnp.uint8
    assert (
      pictures.count_differing(ours, pillow(x[s], op, v[s], centre[s])) == 0
    )


@pytest.mark.parametrize('op', augment.OPS)
def test_no_pixel_differs_from_pillow(op):
  v, c = magnitudes(op, COUNT, 32, 32), centres(COUNT, 32, 32)
  compare(op, pictures.images(COUNT, 32, 32), v, c)


SIZES = [(1, 1), (2, 5), (3, 3), (33, 17), (9, 64), (256, 255)]


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('op', augment.OPS)
def test_images_of_other_sizes(op, size):
  count = 40
  compare(
    op, pictures.images(count, *size), magnitudes(op, count, *size)[::-1],
    centres(count, *size),
  )  # fmt: skip


FACTORS = (-2.5, -1, -0.0, 0, 1e-30, 0.5, 1, 1 + 2**-23, 1.999, 7, 300)
EXTREMES = {
  'ShearX': (0, 1, -1, 0.5, -2.25, 1e-20, 2**-17, 3 * 2**-17, 60),
  'TranslateX': (0, 0.5, -0.5, 1.5, -0.49999997, 31.5, -1e-20, 40, -1e9),
  'Rotate': (0, 90, -90, 180, 270, 360, 450, -720, 45, 60, 1e-7, 89.99999),
  'Solarize': (-1, 0, 0.5, 127.99999, 128, 255, 255.5, 256, 300),
  'Posterize': (1, 1.99, 2, 3, 4.5, 5, 6, 7, 7.99, 8),
  'Contrast': FACTORS,
  'Color': FACTORS,
  'Brightness': FACTORS,
  'Sharpness': FACTORS,
  'Cutout': (-1, 0, 1e-20, 0.5, 1, 2, 6.4, 31.99, 32, 1000),
}
EXTREMES['ShearY'] = EXTREMES['ShearX']
EXTREMES['TranslateY'] = EXTREMES['TranslateX']


@pytest.mark.parametrize('op', EXTREMES)
@pytest.mark.parametrize('size', [(32, 32), (8, 13)], ids=str)
def test_extreme_magnitudes(op, size):
  v = np.repeat(np.float32(EXTREMES[op]), 20)
  c = centres(len(v), *size)
  edge = np.nextafter(np.float32(size[::-1]), np.float32(0))
  c[::4], c[1::4], c[2::4] = 0, edge, np.round(c[2::4])
  compare(op, pictures.images(len(v), *size), v, c)


@pytest.mark.parametrize('op', augment.OPS)
def test_jit_vmap_and_scan_change_nothing(op):
  x, v, c = (
    pictures.images(60, 9, 7),
    magnitudes(op, 60, 9, 7),
    centres(60, 9, 7),
  )
  x, v, c = (jnp.reshape(a, (4, 15, *a.shape[1:])) for a in (x, v, c))
  whole = [apply_op(op, *args) for args in zip(x, v, c, strict=True)]
  fn = functools.partial(augment.apply_op, op)
  _, scanned = jax.lax.scan(lambda _, args: (None, fn(*args)), None, (x, v, c))
  with jax.enable_x64(True):
    wide = jax.vmap(fn)(x, v, c)
  others = scanned, jax.vmap(fn)(x, v, c), jax.jit(jax.vmap(fn))(x, v, c), wide
  for other in others:
    np.testing.assert_array_equal(whole, other)
  empty = apply_op(op, x[0, :0], v[0, :0], c[0, :0])
  assert empty.shape == (0, 9, 7, 3)


def test_a_number_serves_for_all_images():
  x = pictures.images(6, 9, 7)
  a, b = (apply_op('Rotate', x, v) for v in (30.0, np.full(6, 30.0)))
  np.testing.assert_array_equal(a, b)


def test_matrices_on_the_device_are_the_hosts():
  angle = np.random.RandomState(0).uniform(-400, 400, 200_000)
  angle = np.float32(angle).astype(np.float64)
  host = affine.matrix('Rotate', angle, 32, 32)
  with jax.enable_x64(True):
    device = affine.matrix('Rotate', angle, 32, 32, jnp)
  np.testing.assert_array_equal(host, device)


# (module, operation, what it says, what it might have said); the images must
# be able to tell them apart.
WRONG = [
  ('affine', 'ShearX', '65536 + 0.5', '65536'),
  ('affine', 'ShearY', '65536 + 0.5', '65536'),
  ('affine', 'Rotate', '65536 + 0.5', '65536'),
  ('affine', 'Rotate', 'xp.float64)', 'xp.float32)'),
  ('affine', 'TranslateX', 'np.floor(np.cumsum', 'np.trunc(np.cumsum'),
  ('affine', 'TranslateY', '= v + 0.5', '= np.round(v)'),
  ('affine', 'ShearX', 'c + a * 0.5 + b * 0.5', 'c + a * 0.5'),
  ('ops', 'ShearX', '+ c) >> 16', '+ c) // 65537'),
  ('ops', 'Solarize', 'image < threshold', 'image <= threshold'),
  ('ops', 'Posterize', 'bits.astype', 'jnp.round(bits).astype'),
  ('ops', 'AutoContrast', 'exact - below', 'exact'),
  ('ops', 'AutoContrast', 'lax.div((i - lo) * 255, jnp.maximum(hi - lo, 1))',
   'jnp.round((i - lo) * 255 / jnp.maximum(hi - lo, 1)).astype(int)'),
  ('ops', 'Equalize', 'step // 2', '0'),
  ('ops', 'Equalize', 'jnp.minimum(table, 255)', 'table'),
  ('ops', 'Equalize', '- brightest', ''),
  ('ops', 'Color', '0x8000', '0'),
  ('ops', 'Color', '0x8000', '0x8001'),
  ('ops', 'Color', '.astype(jnp.float32) + zero', '.astype(jnp.float32)'),
  ('ops', 'Contrast', '.astype(jnp.float32) + zero', '.astype(jnp.float32)'),
  ('ops', 'Contrast', '.sum() + count)', '.sum())'),
  ('ops', 'Brightness', '0, 255).astype', '0, 255).round().astype'),
  ('ops', 'Sharpness', '2 * total + 13', '2 * total'),
  ('ops', 'Sharpness', '4 * centre', '3 * centre'),
]  # fmt: skip


def mutant(module, old, new):
  source = pathlib.Path(module.__file__).read_text(encoding='utf-8')
  assert old in source
  spec = importlib.util.spec_from_loader('mutant', loader=None)
  made = importlib.util.module_from_spec(spec)
  exec(source.replace(old, new, 1), made.__dict__)
  return made


@pytest.mark.parametrize(('module', 'op', 'old', 'new'), WRONG)
def test_a_changed_rounding_would_be_seen(module, op, old, new):
  x, v = pictures.images(COUNT, 32, 32), magnitudes(op, COUNT, 32, 32)
  v[: COUNT // 2] = np.resize(np.float32(EXTREMES.get(op, 0)), COUNT // 2)
  made = {'affine': affine, 'ops': ops}
  made[module] = mutant(made[module], old, new)
  if op in affine.NAMES:
    matrix = made['affine'].matrix(op, v.astype(np.float64), 32, 32)
    wrong = jax.jit(jax.vmap(made['ops'].transform))(x, matrix)
  else:
    name = {'AutoContrast': 'auto_contrast'}.get(op, op.lower())
    fn = getattr(made['ops'], name)
    takes = len(inspect.signature(fn).parameters)
    wrong = jax.jit(jax.vmap(lambda *args: fn(*args[:takes])))(x, v)
  assert pictures.count_differing(wrong, np.asarray(apply_op(op, x, v)))


def test_bad_arguments_are_named():
  x, v = pictures.images(5, 4, 4), np.float32([0.5] * 5)
  with pytest.raises(errors.UsageError, match='Did you mean Posterize'):
    apply_op('Posterise', x, v)
  with pytest.raises(ValueError, match='centre'):
    apply_op('Cutout', x, v)
  for bad in (x.astype(np.float32), x[..., :1], x[0], np.int32(x)):
    with pytest.raises(ValueError, match='must be uint8'):
      apply.check_images(jnp.asarray(bad))
  with pytest.raises(ValueError, match='257 x 4'):
    apply_op('Invert', np.zeros((1, 257, 4, 3), np.uint8), v[:1])
