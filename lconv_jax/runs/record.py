"""The contents of a run folder, of this version or of an older one."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from lconv_jax import errors
from lconv_jax.runs import metrics
from lconv_jax.runs.files import read_json

# Fields that every run has had, by type: a config without one is damaged.
_OLDEST = {
  str: 'precision model.name data.name data.dir data.augment optim.name',
  int: (
    'seed model.base_channels data.validation data.limit data.nlgp.channels '
    'data.nlgp.train data.nlgp.test data.nlgp.seed train.epochs '
    'train.batch_size train.eval_every_epochs train.checkpoint_every_epochs'
  ),
  (int, float): (
    'model.dropout data.nlgp.gain optim.lr optim.momentum optim.weight_decay '
    'optim.beta optim.l1_conv optim.l1_fc'
  ),
  list: 'data.nlgp.xi',
}
# Younger fields, with what runs did before they had them.
YOUNGER = {
  'model.kernel_size': 0,
  'model.local_norm': 'channel',
  'data.policy': '',
  'data.crop': 4,
  'data.flip': True,
  'data.cutout': -1,
  'data.normalise': True,
  'train.sync_batch_norm': True,
  'train.init_from': '',
  'train.log_locality': False,
  'train.profile': 0,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
  """The contents of a run folder at the time of reading."""

  path: pathlib.Path
  config: ml_collections.ConfigDict  # has all fields of configs/base.py
  # Command, commit, machine and versions, as far as known, at the end of the
  # run, else at its beginning, which may have been on another machine.
  environment: Mapping[str, Any]
  metrics: Sequence[Mapping[str, Any]]  # a row for each evaluation
  done: Mapping[str, Any] | None  # final numbers; None: not finished

  @property
  def best(self) -> Mapping[str, Any]:
    """Metrics to report: of the best epoch, or the last metrics so far."""
    if self.done:
      return self.done['best']
    return self.metrics[-1] if self.metrics else {}


def read(path: str | pathlib.Path) -> Record:
  """Reads a run folder, of this version or of an older one.

  Args:
    path: the folder that main.py was given as --workdir.

  Returns:
    The run. Fields of its config that are younger than the run say what it did.

  Raises:
    UsageError: the folder is not a run folder, or its config is damaged.
  """
  path = pathlib.Path(path)
  if not (path / 'config.json').is_file():
    raise errors.UsageError(
      f'{path} is not a run folder: it has no config.json; give a folder that '
      'main.py got as --workdir.'
    )
  config = read_json(path / 'config.json')
  if wrong := _complete(config):
    raise errors.UsageError(
      f'{path}/config.json is damaged: {wrong}; put back the one that the run '
      'wrote.'
    )
  began = config.pop('environment', {})
  finished = done(path)
  return Record(
    path,
    ml_collections.ConfigDict(config),
    (finished or {}).get('environment') or began,
    metrics.read(path),
    finished,
  )


def done(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns the final numbers of a finished run, None before it is one."""
  content = read_json(folder / 'done.json') or {}
  return content if content.get('best') else None


def _complete(config: dict[str, Any] | None) -> str:
  """Adds younger fields to a config; returns what is wrong with it, or ''."""
  if config is None:
    return 'it is not JSON'
  for kind, fields in _OLDEST.items():
    for field in fields.split():
      if wrong := _wrong(config, field, kind):
        return wrong
  for field, before in YOUNGER.items():
    section, name = field.split('.')
    config[section].setdefault(name, before)
    if wrong := _wrong(config, field, type(before)):
      return wrong
  return ''


def _wrong(config: dict[str, Any], field: str, kind: Any) -> str:
  value = config
  for name in field.split('.'):
    if not isinstance(value, dict) or name not in value:
      return f'{field} is missing'
    value = value[name]
  return '' if isinstance(value, kind) else f'{field} is {value!r}'
