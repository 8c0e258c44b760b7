"""Names of runs for tables, legends and captions."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from lconv_jax import errors, models, runs


def method(config: ml_collections.ConfigDict) -> str:
  """Returns a config's net and method: 'S-FC β-LASSO β=50 λ=1e-5'.

  Only what differs from the defaults of plain SGD is named.
  """
  model, o = config.model, config.optim
  net = models.NETS.get(model.name)
  words = [net.title if net else model.name]
  if o.name == 'beta_lasso':
    words += ['β-LASSO', f'β={_short(o.beta)}', f'λ={_short(o.l1_conv)}']
    if o.l1_fc != o.l1_conv:
      words[-1] += f'/{_short(o.l1_fc)}'  # convolutional / fc layers
  else:
    words += [o.name.upper()]
  if model.kernel_size:
    words[0] += f' k={model.kernel_size}'
  if model.local_norm == 'unit':
    words[0] += ' bn=unit'
  if source := config.train.init_from:
    words[0] += f' from {pathlib.Path(source).name}'
  if layout := config.data.layout:
    words.append(f'on the grid of {pathlib.Path(layout).parent.name}')
  elif config.data.permute >= 0:
    words.append('on scrambled pixels')
  for name, value, default in (
    ('lr', o.lr, 0.1),
    ('momentum', o.momentum, 0),
    ('wd', o.weight_decay, 0),
    ('dropout', model.dropout, 0),
  ):
    if value != default:
      words.append(f'{name}={_short(value)}')
  return errors.printable(' '.join(words))


def labels(shown: Sequence[runs.Record]) -> list[str]:
  """Returns a name for each run: its method, with its folder if need be."""
  names = [method(run.config) for run in shown]
  if len(set(names)) == len(names):
    return names
  return [
    errors.printable(f'{name} ({run.path.resolve().name})')
    for name, run in zip(names, shown, strict=True)
  ]


def epochs(run: runs.Record) -> int | str:
  """Returns the number of epochs of a run, or '12 of 400, unfinished'."""
  count = run.config.train.epochs
  if run.done:
    return count
  last = run.metrics[-1]['epoch'] if run.metrics else 0
  return f'{last:g} of {count}, unfinished'


def machine(environment: Mapping[str, Any]) -> str | None:
  """Returns the known parts of 'NVIDIA H200, AMD EPYC 9654, 16 CPUs'."""
  parts = [environment.get('device'), environment.get('cpu')]
  if 'cpus' in environment:
    parts.append(f'{environment["cpus"]} CPUs')
  return ', '.join(str(part) for part in parts if part) or None


def _short(value: float) -> str:
  """Returns 1e-5 for 0.00001, 0.1 for 0.1."""
  if 0 < value < 1e-2:
    digits, exponent = f'{value:.6e}'.split('e')
    return f'{float(digits):g}e{int(exponent)}'
  return f'{value:g}'
