"""The augmentation of Lim et al.'s published code, in Pillow and NumPy.

It augments one image at a time on the host, as their data loader does. It is
written from their description, without torchvision, whose wrappers only add to
its time. All random choices are arguments, so it also serves as the reference
that ours is tested against.
"""

import random
from collections.abc import Sequence

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from lconv_jax import augment
from lconv_jax.augment import policy

SIGNED = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate')
_LINEAR = {  # a, b, d, e of Pillow's matrix; None stands for the magnitude
  'ShearX': (1, None, 0, 1),
  'ShearY': (1, 0, None, 1),
  'TranslateX': (1, 0, 0, 1),
  'TranslateY': (1, 0, 0, 1),
}


def apply_op(
  image: Image.Image,
  op: str,
  v: float,
  centre: tuple[float, float] | None = None,
) -> Image.Image:
  """Applies an operation with magnitude `v` in Pillow's terms.

  Args:
    image: RGB.
    op: the operation's name in the policies.
    v: shear, pixels, degrees, threshold, bits or factor.
    centre: x and y of Cutout.
  """
  if op in _LINEAR:
    a, b, d, e = (v if x is None else x for x in _LINEAR[op])
    c, f = v * (op == 'TranslateX'), v * (op == 'TranslateY')
    matrix = a, b, c, d, e, f
    return image.transform(image.size, Image.Transform.AFFINE, matrix)
  if op == 'Rotate':
    return image.rotate(v)
  if op == 'Solarize':
    return ImageOps.solarize(image, v)
  if op == 'Posterize':
    return ImageOps.posterize(image, int(v))
  if op in ('AutoContrast', 'Invert', 'Equalize'):
    return getattr(ImageOps, op.lower())(image)
  if op == 'Cutout':
    return _cutout(image, v, centre)
  return getattr(ImageEnhance, op)(image).enhance(v)


def _cutout(
  image: Image.Image, v: float, centre: tuple[float, float]
) -> Image.Image:
  if v <= 0:
    return image
  width, height = image.size
  x0, y0 = (int(max(0, c - v / 2)) for c in centre)
  box = x0, y0, min(width, x0 + v), min(height, y0 + v)
  image = image.copy()
  ImageDraw.Draw(image).rectangle(box, (125, 123, 114))
  return image


def apply_sub_policy(
  image: Image.Image,
  steps: Sequence[policy.Step],
  use: Sequence[bool],
  mirror: Sequence[bool],
  centre: Sequence[tuple[float, float]],
) -> Image.Image:
  """Applies those steps of a sub-policy that `use` names."""
  width, height = image.size
  for i, (op, _, level) in enumerate(steps):
    if use[i]:
      v = policy.magnitude(op, level, height, width)
      v = -v if mirror[i] and op in SIGNED else v
      image = apply_op(image, op, v, centre[i])
  return image


def crop_flip(
  image: Image.Image, corner: tuple[int, int], padding: int, flip: bool
) -> Image.Image:
  """Pads with black, crops at (x, y) and mirrors.

  Args:
    image: RGB.
    corner: x and y in the padded image.
    padding: pixels on every side.
    flip: whether to mirror left to right.
  """
  width, height = image.size
  x, y = (c - padding for c in corner)
  image = image.crop((x, y, x + width, y + height))  # black outside
  return ImageOps.mirror(image) if flip else image


def to_float(
  image: Image.Image,
  mean: np.ndarray,
  std: np.ndarray,
  centre: tuple[int, int],
  cutout: int,
) -> np.ndarray:
  """Returns the normalised image with a square of zeros, float32 [h, w, 3].

  Args:
    image: RGB.
    mean: float32 [3], of pixels in [0, 1].
    std: float32 [3], of the same pixels.
    centre: row and column of the square.
    cutout: side of the square, pixels.
  """
  x = (np.asarray(image, np.float32) / np.float32(255) - mean) / std
  row, column = centre
  half = cutout // 2
  rows = slice(max(0, row - half), row + half)
  x[rows, max(0, column - half) : column + half] = 0
  return x


def replay_policy(
  images: np.ndarray, sub_policies: policy.Policy, choices: augment.Choices
) -> np.ndarray:
  """Applies sub-policies to uint8 [b, h, w, 3] by the choices of ours."""
  c = jax.tree.map(np.asarray, choices)
  results = [
    apply_sub_policy(
      Image.fromarray(image),
      sub_policies[c.sub_policy[i]],
      c.use[i],
      c.mirror[i],
      c.centre[i] / 65536,
    )
    for i, image in enumerate(images)
  ]
  return np.stack(results)


def replay(
  images: np.ndarray,
  sub_policies: policy.Policy,
  choices: augment.Choices,
  mean: np.ndarray,
  std: np.ndarray,
  padding: int = 4,
  cutout: int = 16,
) -> np.ndarray:
  """Augments uint8 [b, h, w, 3] by the choices of ours; returns float32."""
  c, result = jax.tree.map(np.asarray, choices), []
  for i, image in enumerate(replay_policy(images, sub_policies, choices)):
    y, x = c.corner[i].tolist()
    done = crop_flip(Image.fromarray(image), (x, y), padding, bool(c.flip[i]))
    result.append(to_float(done, mean, std, c.erase[i].tolist(), cutout))
  return np.stack(result)


def at_random(
  image: np.ndarray,
  rng: random.Random,
  sub_policies: policy.Policy,
  mean: np.ndarray,
  std: np.ndarray,
  padding: int = 4,
  cutout: int = 16,
) -> np.ndarray:
  """Augments uint8 [h, w, 3] at random, as the published pipeline does."""
  height, width, _ = image.shape
  steps = rng.choice(sub_policies)
  use = [rng.random() < step.probability for step in steps]
  mirror = [rng.random() < 0.5 for _ in steps]
  centre = [(rng.random() * width, rng.random() * height) for _ in steps]
  done = apply_sub_policy(Image.fromarray(image), steps, use, mirror, centre)
  corner = rng.randrange(2 * padding + 1), rng.randrange(2 * padding + 1)
  done = crop_flip(done, corner, padding, rng.random() < 0.5)
  hole = rng.randrange(height), rng.randrange(width)
  return to_float(done, mean, std, hole, cutout)
