"""The contents of a run folder, of this version or of an older one."""

import dataclasses
import functools
import operator
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from lconv_jax import errors
from lconv_jax.runs import checksums, content, metrics
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
  'data.nlgp.length': 0,
  'data.permute': -1,
  'data.layout': '',
  'data.leak_geometry': False,
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
    UsageError: the folder is not a run folder, or a file cannot be read.
  """
  path = errors.local_path('RUN', path)
  try:
    return _read(path)
  except OSError as e:
    raise errors.UsageError(
      f'{e.filename or path} cannot be read ({e.strerror}).'
    ) from e
  # Not UTF-8, or nested too deeply.
  except (ValueError, TypeError, RecursionError) as e:
    raise errors.UsageError(
      f'{path} cannot be read ({errors.one_line(e)[:100]}).'
    ) from e


def _read(path: pathlib.Path) -> Record:
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
  began = content.environment(config.pop('environment', {}))
  finished, file = done(path), path / 'done.json'
  if file.exists() and read_json(file) is None:
    raise errors.UsageError(
      f'{file} is damaged: it is not JSON; the command that trained there '
      'writes it again.'
    )
  rows = metrics.read(path)
  for row in rows:
    if wrong := content.wrong_row(row):
      raise errors.UsageError(f'{path / metrics.FILE} is damaged: {wrong}.')
  return Record(
    path,
    ml_collections.ConfigDict(config),
    content.environment((finished or {}).get('environment')) or began,
    rows,
    finished,
  )


def done(folder: pathlib.Path) -> dict[str, Any] | None:
  """Returns the final numbers of a finished run, None before it is one.

  Raises:
    UsageError: the numbers are not what a run writes, or cannot be read.
  """
  try:
    found = read_json(folder / 'done.json') or {}
  except OSError as e:
    raise errors.UsageError(
      f'{folder}/done.json cannot be read ({e.strerror}); mend that and repeat '
      'the command.'
    ) from e
  if not found.get('best'):
    return None
  checksum = found.pop('checksum', None)
  if checksum not in (None, checksums.of_json(found)):
    raise errors.UsageError(
      f'{folder}/done.json is damaged: its checksum differs; delete it, and '
      'the command that trained there writes it again.'
    )
  found.pop(metrics.CHECKSUM, None)
  if wrong := content.wrong_done(found):
    raise errors.UsageError(
      f'{folder}/done.json is damaged: {wrong}; put back the one that the run '
      'wrote.'
    )
  return found


def _complete(config: dict[str, Any] | None) -> str:
  """Adds younger fields to a config; returns what is wrong with it, or ''."""
  if config is None:
    return 'it is not JSON'
  for kind, fields in _OLDEST.items():
    for field in fields.split():
      if wrong := _wrong(config, field, kind):
        return wrong
  for field, before in YOUNGER.items():
    *sections, name = field.split('.')
    section = functools.reduce(operator.getitem, sections, config)
    section.setdefault(name, before)
    if wrong := _wrong(config, field, type(before)):
      return wrong
  return ''


def _wrong(config: dict[str, Any], field: str, kind: Any) -> str:
  value = config
  for name in field.split('.'):
    if not isinstance(value, dict) or name not in value:
      return f'{field} is missing'
    value = value[name]
  fits = isinstance(value, kind) and (
    not isinstance(value, int) or abs(value) < 2**32 or field.endswith('seed')
  )
  return '' if fits else f'{field} is {value!r:.40}'
