"""Policies of (Fast) AutoAugment: data, and the tables that a program reads.

A policy is a list of sub-policies, and a sub-policy a list of operations, each
with the probability that it is applied and a level in [0, 1]. This is the JSON
form in which Lim et al., Fast AutoAugment (NeurIPS 2019) publish their
policies. Levels map to magnitudes linearly, over the ranges of their code.
"""

import functools
import json
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np

from lconv_jax import errors
from lconv_jax.augment import affine
from lconv_jax.augment.apply import BRANCHES, OPS, branch

FOLDER = pathlib.Path(__file__).parent / 'policies'
NAMES = tuple(sorted(path.stem for path in FOLDER.glob('*.json')))

# Magnitude at level 0 and at level 1. Translate and Cutout are in widths of the
# image (TranslateY in heights), shears in pixels per pixel, Rotate in degrees.
RANGES = {
  'ShearX': (-0.3, 0.3),
  'ShearY': (-0.3, 0.3),
  'TranslateX': (-0.45, 0.45),
  'TranslateY': (-0.45, 0.45),
  'Rotate': (-30, 30),
  'AutoContrast': (0, 1),  # without effect, as for Invert and Equalize
  'Invert': (0, 1),
  'Equalize': (0, 1),
  'Solarize': (0, 256),
  'Posterize': (4, 8),
  'Contrast': (0.1, 1.9),
  'Color': (0.1, 1.9),
  'Brightness': (0.1, 1.9),
  'Sharpness': (0.1, 1.9),
  'Cutout': (0, 0.2),
}


class Step(NamedTuple):
  """Operation of a sub-policy."""

  op: str  # one of OPS
  probability: float
  level: float  # in [0, 1]


Policy = tuple[tuple[Step, ...], ...]


class Table(NamedTuple):
  """Policy for images of one size, as arrays of P sub-policies of T steps."""

  branch: np.ndarray  # int32 [P, T], index into apply.BRANCHES
  probability: np.ndarray  # float32 [P, T]
  matrix: np.ndarray  # int32 [P, T, 2, 6]: as the level says, and mirrored
  amount: np.ndarray  # float32 [P, T]
  half: (
    np.ndarray
  )  # int32 [P, T], half the side of Cutout, 2^-16 px, rounded up
  last: np.ndarray  # int32 [P, T, max(H, W)], its last pixel, by the first


def published(data_set: str) -> tuple[str, int]:
  """Returns Lim et al.'s policy and size of the last cutout for a data set.

  Their policy for CIFAR-100 is the one that they found for CIFAR-10.
  """
  if data_set == 'svhn_cropped':
    return 'fa_reduced_svhn', 20
  return 'fa_reduced_cifar10', 16


def load(name: str) -> Policy:
  """Reads a policy.

  Args:
    name: one of `NAMES`, or the path of a JSON file,
      [[["ShearX", 0.5, 0.3], ["Invert", 0.2, 0.0]], ...].

  Raises:
    UsageError: the policy does not exist, or is not a valid policy.
  """
  own = pathlib.Path(name).expanduser()
  path = FOLDER / f'{name}.json' if name in NAMES else own
  if not _exists(path):
    if path.suffix == '.json':
      raise errors.UsageError(f'The policy file {name} does not exist.')
    raise errors.unknown(
      'data.policy', name, (*NAMES, 'a path to a .json file')
    )
  try:
    sub_policies = json.loads(path.read_text(encoding='utf-8'))
    policy = tuple(tuple(_step(*s) for s in sub) for sub in sub_policies)
    if not policy or not all(policy):
      raise errors.UsageError('a policy or sub-policy is empty.')
  except errors.UsageError as e:
    raise errors.UsageError(f'{path}: {e}') from e
  except (ValueError, TypeError, OSError, RecursionError) as e:
    raise errors.UsageError(
      f'{path} is not a policy, which is a list of lists of [operation, '
      f'probability, level]: {errors.one_line(e)}'
    ) from e
  return policy


def magnitude(op: str, level: float, height: int, width: int) -> float:
  """Returns the magnitude of an operation in Pillow's terms."""
  low, high = RANGES[op]
  v = level * (high - low) + low
  if op in ('TranslateX', 'Cutout'):
    v *= width
  elif op == 'TranslateY':
    v *= height
  return v


@functools.cache
def table(policy: Policy, height: int, width: int) -> Table:
  """Returns a policy as a program reads it, computed in float64.

  Sub-policies are padded to the length of the longest with steps that change
  nothing.
  """
  steps = max(len(sub) for sub in policy)
  shape = len(policy), steps
  t = Table(
    branch=np.zeros(shape, np.int32),
    probability=np.zeros(shape, np.float32),
    matrix=np.zeros((*shape, 2, 6), np.int32),
    amount=np.zeros(shape, np.float32),
    half=np.zeros(shape, np.int32),
    last=np.full((*shape, max(height, width)), -1, np.int32),
  )
  for i, sub in enumerate(policy):
    for j, (op, probability, level) in enumerate(sub):
      v = magnitude(op, level, height, width)
      t.branch[i, j] = list(BRANCHES).index(branch(op))
      t.probability[i, j] = probability
      if op in affine.NAMES:
        t.matrix[i, j] = affine.matrix(op, [v, -v], height, width)
      elif op == 'Cutout':
        t.half[i, j] = np.ceil(v / 2 * 65536)
        if v > 0:
          t.last[i, j] = np.arange(max(height, width)) + v  # rounded as Pillow
      else:
        # Whole numbers survive float32: the same integers lie below a threshold
        # and below its ceiling; bits are truncated.
        whole = {'Solarize': math.ceil, 'Posterize': int}.get(op, float)
        t.amount[i, j] = whole(v)
  return t


def _exists(path: pathlib.Path) -> bool:
  try:
    return path.exists()
  except OSError:  # such as for a name that is too long
    return False


def _step(op: Any, probability: Any, level: Any) -> Step:
  if op not in OPS:
    raise errors.unknown('operation', str(op), OPS)
  for field, value in (('probability', probability), ('level', level)):
    if not isinstance(value, int | float) or not 0 <= value <= 1:
      raise errors.UsageError(
        f'{field} {value!r} of {op} must be a number in [0, 1].'
      )
  return Step(op, float(probability), float(level))
