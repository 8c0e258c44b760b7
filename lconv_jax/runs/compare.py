"""Comparison of the configs of what should be one run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flax import traverse_util

from lconv_jax.runs import record

# Fields that may change when a run is continued: its results do not.
FREE = (
  'data.dir',
  'train.checkpoint_every_epochs',
  'train.log_locality',
  'train.profile',
)
# Fields that may also change when the run is only evaluated.
FREE_IN_EVALUATION = (
  *FREE,
  'train.',
  'precision',
  'seed',
  'data.augment',
  'data.policy',
  'data.crop',
  'data.flip',
  'data.cutout',
  'optim.lr',
  'optim.weight_decay',
  'optim.beta',
  'optim.l1_',
)
_SHOWN = 5


def differences(
  before: Mapping[str, Any],
  now: Mapping[str, Any],
  free: Sequence[str] = FREE,
) -> str:
  """Returns in which fields two configs differ, '' if they are of one run.

  Args:
    before: the config with which the run began. Fields of `record.YOUNGER` may
      be missing.
    now: the other config.
    free: the beginnings of the names of fields that may differ.
  """
  before, now = (
    traverse_util.flatten_dict(json.loads(json.dumps(c)), sep='.')
    for c in (before, now)
  )
  younger = {k: v for k, v in record.YOUNGER.items() if k in now}
  before = {**younger, **before}
  missing = object()
  differ = [
    f'{k}={_show(before, k)}, now {_show(now, k)}'
    for k in sorted(before.keys() | now.keys())
    if before.get(k, missing) != now.get(k, missing)
    and not k.startswith(('environment.', *free))
  ]
  more = f'; and {len(differ) - _SHOWN} more' if differ[_SHOWN:] else ''
  return '; '.join(differ[:_SHOWN]) + more


def _show(config: Mapping[str, Any], field: str) -> str:
  return repr(config[field]) if field in config else 'missing'
