"""Checksums of the data and the policy with which a run began."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lconv_jax import errors
from lconv_jax.runs import checksums, files

FILE = 'inputs.json'


def of(
  splits: Mapping[str, tuple[np.ndarray, np.ndarray]], policy: Any = None
) -> dict[str, str]:
  """Returns the checksums of images and labels, and of a policy if given.

  Args:
    splits: images and labels of the parts of a data set, by name.
    policy: the augmentation's policy, which JSON can hold.
  """
  found = {}
  for name, (images, labels) in splits.items():
    found[f'{name} images'] = checksums.of_array(images)
    found[f'{name} labels'] = checksums.of_array(labels)
  if policy:
    found['augmentation policy'] = checksums.of_json(policy)
  return found


def check(folder: pathlib.Path, now: Mapping[str, str]) -> None:
  """Raises a UsageError if the run in a folder began with other inputs.

  Args:
    folder: the run folder; an old one does not say with what it began.
    now: from `of`; inputs that it lacks are not compared.
  """
  path = folder / FILE
  if not path.exists():
    return
  before = files.read_json(path)
  if before is None:
    raise errors.UsageError(
      f'{path} is damaged; delete it if data and policy are as they were when '
      'the run began.'
    )
  differ = [
    f'{name} {before.get(name, "missing")}, now {found}'
    for name, found in now.items()
    if before.get(name) != found
  ]
  if differ:
    raise errors.UsageError(
      f'{folder} holds a run that began with other inputs '
      f'({"; ".join(differ)}): put those back, or choose another --workdir.'
    )
