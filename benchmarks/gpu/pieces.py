"""Convolutions and augmentation by themselves, by each of their methods."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import pictures
from benchmarks.gpu import cases
from lconv_jax import augment
from lconv_jax.augment import apply, policy, switch
from lconv_jax.conv import batch_minor, windows

_KINDS = ('conv', 'local_conv', 'local_conv filters_last')


def convolutions(dtype: str, size: cases.Size) -> cases.Results:
  """Returns value and gradients of `batch_minor`'s convolutions."""
  ways = itertools.product(_KINDS, batch_minor.METHODS)
  found = {f'{kind}, {way}': (kind, way, dtype, size) for kind, way in ways}
  return cases.attempt(_convolution, found)


def augmentation(size: cases.Size) -> cases.Results:
  """Returns random choices and augmented images, without normalisation."""
  images = pictures.dataset(16 * size.batch).train.images
  pipelines = {f'pipeline {name}': (name, images) for name in policy.NAMES}
  switches = {f'switch by {way}': (way, images) for way in switch.METHODS}
  return (
    cases.attempt(_pipeline, pipelines)
    | cases.attempt(_switch, switches)
    | cases.attempt(_apply_op, {'apply_op': (images,)})
  )


def _convolution(
  kind: str, method: str, dtype: str, size: cases.Size
) -> cases.Arrays:
  channels, filters, k = 5, size.alpha, (3, 2)
  w = windows.window((9, 8), k, (2, 1), 'SAME')
  positions = () if kind == 'conv' else w.positions
  last = kind.endswith('filters_last')
  shape = (*k, channels, filters) if last else (filters, *k, channels)
  rng = np.random.default_rng(0)
  x, kernel, dy = (
    rng.standard_normal(shape, np.float32)
    for shape in (
      (9, 8, channels, size.batch),
      (*positions, *shape),
      (*w.positions, filters, size.batch),
    )
  )
  convolve = batch_minor.conv if kind == 'conv' else batch_minor.local_conv
  options = {'filters_last': True} if last else {}

  @jax.jit
  def run(x: jax.Array, kernel: jax.Array, dy: jax.Array) -> cases.Arrays:
    def fn(x: jax.Array, kernel: jax.Array) -> jax.Array:
      return convolve(
        x, kernel, w.strides, w.padding, jnp.float32, method, **options
      )

    y, vjp = jax.vjp(fn, x.astype(dtype), kernel)
    dx, dkernel = vjp(dy)
    return {'value': y, 'gradient/x': dx, 'gradient/kernel': dkernel}

  found = jax.device_get(run(x, kernel, dy))
  return {name: np.float32(a) for name, a in found.items()}


def _pipeline(name: str, images: np.ndarray) -> cases.Arrays:
  pipeline = augment.Pipeline(augment.load_policy(name), 4, True, 16)

  @jax.jit
  def run(images: jax.Array) -> cases.Arrays:
    index = jnp.arange(len(images))
    choices = pipeline.draw(jax.random.key(0), index, images.shape[1:3])
    x = pipeline.apply(images, choices, lambda x: x.astype(jnp.float32))
    return {'images': x, **choices._asdict()}

  return jax.device_get(run(images))


def _switch(method: str, images: np.ndarray) -> cases.Arrays:
  """Returns images by the policies' operations, mirrored ones included."""
  found = []
  for name in policy.NAMES:
    t = policy.table(policy.load(name), *images.shape[1:3])
    for sign in (0, 1):
      matrix = t.matrix[:, :, sign].reshape(-1, 6)
      box = np.zeros((len(matrix), 4), np.int32)
      box[:, 2:] = 9
      settings = apply.Settings(matrix, t.amount.ravel(), box)
      found.append((t.branch.ravel(), settings))
  every, count = sum(len(branch) for branch, _ in found), 4 * len(images)
  chosen = np.linspace(0, every - 1, count).astype(int)
  branch, settings = jax.tree.map(lambda *a: np.concatenate(a)[chosen], *found)
  repeated = np.resize(images, (count, *images.shape[1:]))
  run = jax.jit(switch.switch, static_argnames='method')
  return {'images': jax.device_get(run(repeated, branch, settings, method))}


def _apply_op(images: np.ndarray) -> cases.Arrays:
  rng = np.random.default_rng(0)
  found = {}
  for op in augment.OPS:
    low, high = (policy.magnitude(op, v, 32, 32) for v in (0.0, 1.0))
    magnitude = rng.uniform(low, high, len(images))
    centre = rng.uniform(0, 32, (len(images), 2))
    args = images, np.float32(magnitude), np.float32(centre)
    found[op] = jax.device_get(augment.apply_op(op, *map(jnp.asarray, args)))
  return found
