"""Augmentation of a batch: policy, crop, flip, normalisation, cutout.

Order and probabilities are those of Lim et al.'s code. The choices for an image
depend on the key and on its index in the data set alone, if keys are of
`threefry2x32`, JAX's default.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Key, Shaped, UInt8

from lconv_jax import errors
from lconv_jax.augment import affine, apply, standard
from lconv_jax.augment import policy as policies
from lconv_jax.augment.switch import switch

NAMES = ('none', 'flip_crop', 'fast_autoaugment')  # of config.data.augment
# Operations of policies that look at, or move, a pixel's neighbours.
_GRID_OPS = (*affine.NAMES, 'Sharpness', 'Cutout')


class Choices(NamedTuple):
  """Random choices for each image."""

  sub_policy: Integer[Array, ' b']
  use: Bool[Array, 'b t']  # whether a step of the sub-policy is applied
  mirror: Bool[Array, 'b t']  # whether its magnitude has the opposite sign
  centre: Integer[Array, 'b t 2']  # x, y of the policy's Cutout, 2^-16 pixel
  corner: Integer[Array, 'b 2']  # row and column of the crop when padded
  flip: Bool[Array, ' b']
  erase: Integer[Array, 'b 2']  # row and column of the last cutout's centre


@dataclasses.dataclass(frozen=True)
class Pipeline:
  """Augmentation of batches; without arguments, nothing is done."""

  policy: policies.Policy | None = None
  padding: int = 0  # pixels on every side before the random crop
  flip: bool = False
  cutout: int = 0  # side of the square of zeros, pixels; even
  # Where the pixels of the images belong while they are augmented; they go back
  # afterwards. (): where they are.
  origin: tuple[int, ...] = ()

  def __call__(
    self,
    key: Key[Array, ''],
    images: UInt8[Array, 'b h w c'],
    index: Integer[Array, ' b'],
    normalise: Callable[[UInt8[Array, 'b h w c']], Float[Array, 'b h w c']],
  ) -> Float[Array, 'b h w c']:
    """Augments a batch.

    Args:
      key: of the step.
      images: the batch; RGB if there is a policy.
      index: of each image in the data set.
      normalise: comes between flip and cutout.
    """
    choices = self.draw(key, index, images.shape[1:3])
    return self.apply(images, choices, normalise)

  def before_moving(self, origin: Int[np.ndarray, ' pixels']) -> 'Pipeline':
    """Returns the same augmentation of images whose pixels have been moved.

    Args:
      origin: where each pixel was when the image was whole, in the order of
        rows.
    """
    return dataclasses.replace(self, origin=tuple(origin.tolist()))

  def draw(
    self,
    key: Key[Array, ''],
    index: Integer[Array, ' b'],
    size: tuple[int, int],
  ) -> Choices:
    """Draws for each image, from the key and the image's index.

    Args:
      key: of the step.
      index: of each image in the data set.
      size: height and width of the images.
    """
    height, width = size
    steps = max(len(sub) for sub in self.policy) if self.policy else 0
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    bits = jax.vmap(lambda k: jax.random.bits(k, (6 + 4 * steps,), jnp.uint32))(
      keys
    )
    corner, flip = bits[:, :2], bits[:, 2]
    erase, choice = bits[:, 3:5], bits[:, 5]
    each = bits[:, 6:].reshape(len(index), steps, 4)
    use, mirror, centre = each[..., 0], each[..., 1], each[..., 2:]

    if self.policy:
      probability = policies.table(self.policy, *size).probability
      sub_policy = _below(choice, len(self.policy))
      use = _uniform(use) < jnp.asarray(probability)[sub_policy]
    else:
      sub_policy, use = jnp.zeros(len(index), jnp.int32), use.astype(bool)
    # 16 random bits of a pixel's fraction: enough, and exact in int32.
    centre = (centre >> 16) * jnp.array([width, height], jnp.uint32)
    return Choices(
      sub_policy=sub_policy,
      use=use,
      mirror=_coin(mirror),
      centre=centre.astype(jnp.int32),
      corner=_below(corner, 2 * self.padding + 1),
      flip=_coin(flip) & self.flip,
      erase=_below(erase, jnp.array(size, jnp.uint32)),
    )

  def apply(
    self,
    images: UInt8[Array, 'b h w c'],
    choices: Choices,
    normalise: Callable[[UInt8[Array, 'b h w c']], Float[Array, 'b h w c']],
  ) -> Float[Array, 'b h w c']:
    """Applies the choices that were drawn."""
    if self.origin:
      images = _move(images, np.argsort(self.origin))
    if self.policy:
      apply.check_images(images)
      images = apply_policy(self.policy, images, choices)
    if self.padding or self.flip:
      images = standard.crop_flip(
        images, choices.corner, choices.flip, self.padding
      )
    x = normalise(images)
    if self.cutout:
      x = standard.erase(x, choices.erase, self.cutout)
    return _move(x, np.array(self.origin)) if self.origin else x


def apply_policy(
  policy: policies.Policy, images: UInt8[Array, 'b h w 3'], choices: Choices
) -> UInt8[Array, 'b h w 3']:
  """Applies to each image the sub-policy that was drawn for it."""
  t = policies.table(policy, *images.shape[1:3])
  t = jax.tree.map(
    lambda x: jnp.asarray(x)[choices.sub_policy], t
  )  # [B, T ...]
  branch = jnp.where(choices.use, t.branch, 0)
  mirror = choices.mirror[..., None, None].astype(jnp.int32)
  matrix = jnp.take_along_axis(t.matrix, mirror, axis=2)[:, :, 0]
  first = jnp.maximum(choices.centre - t.half[..., None], 0) >> 16
  last = jnp.take_along_axis(t.last, first, axis=2)
  box = jnp.concatenate([first, last], axis=-1)
  settings = apply.Settings(matrix, t.amount, box)

  for step in range(branch.shape[1]):
    mine = jax.tree.map(lambda s, step=step: s[:, step], settings)
    images = switch(images, branch[:, step], mine)
  return images


def from_config(data: Any, image_shape: tuple[int, int, int]) -> Pipeline:
  """Returns the augmentation that a config asks for.

  Args:
    data: the field `data` of configs/base.py.
    image_shape: height, width, channels.

  Raises:
    UsageError: the policy does not exist, or policy or crop do not suit the
      images.
  """
  if data.augment == 'none':
    return Pipeline()
  height, width, channels = image_shape
  signals = height == 1
  if data.crop >= (width if signals else min(height, width)):
    raise errors.UsageError(
      f'config.data.crop={data.crop} leaves black images of '
      f'{height} x {width} pixels; make it smaller.'
    )
  name, cutout = policies.published(data.name)
  name = data.policy or name
  cutout = cutout if data.cutout < 0 else data.cutout
  if data.augment == 'flip_crop':
    name, cutout = 'none', 0
  if name != 'none' and (signals or channels != 3):
    kind = 'are signals' if signals else f'have {channels} channel(s)'
    raise errors.UsageError(
      f'config.data.augment=fast_autoaugment is for RGB images, and those of '
      f'{data.name} {kind}; choose flip_crop or none.'
    )
  if data.flip and signals:
    raise errors.UsageError(
      f'config.data.flip=True would reverse the signals of {data.name}; set '
      'config.data.flip=False.'
    )
  if name == 'none':
    return Pipeline(None, data.crop, data.flip, cutout)
  return Pipeline(policies.load(name), data.crop, data.flip, cutout)


def grid_operations(data: Any) -> list[str]:
  """Returns those parts of an augmentation that depend on the pixels' places.

  Args:
    data: the field `data` of configs/base.py.
  """
  if data.augment == 'none':
    return []
  found = ['crop'] * (data.crop > 0) + ['flip'] * data.flip
  if data.augment == 'fast_autoaugment':
    name, cutout = policies.published(data.name)
    found += ['cutout'] * ((cutout if data.cutout < 0 else data.cutout) > 0)
    if (data.policy or name) != 'none':
      steps = itertools.chain.from_iterable(policies.load(data.policy or name))
      ops = {step.op for step in steps}
      found += [op for op in _GRID_OPS if op in ops]
  return found


def _move(
  images: Shaped[Array, 'b h w c'], order: Int[np.ndarray, ' pixels']
) -> Shaped[Array, 'b h w c']:
  """Returns images whose pixel p is the pixel order[p] of the given images."""
  flat = images.reshape(len(images), -1, images.shape[-1])
  return flat[:, order].reshape(images.shape)


def _below(bits: Array, count: int | Array) -> Array:
  """Returns uniform integers below a small count, from 32 random bits."""
  return (bits % jnp.asarray(count, jnp.uint32)).astype(jnp.int32)


def _uniform(bits: Array) -> Array:
  """Returns uniform float32 in [0, 1)."""
  return (bits >> 8).astype(jnp.float32) * 2.0**-24


def _coin(bits: Array) -> Array:
  return (bits >> 31).astype(bool)
