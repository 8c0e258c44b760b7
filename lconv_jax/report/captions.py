"""The text beside a figure: what it shows, of which runs, by what command."""

import types
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lconv_jax import errors, runs
from lconv_jax.report.names import epochs, machine, method

# Names of the data sets, as a reader knows them.
DATA = {
  'cifar10': 'CIFAR-10',
  'cifar100': 'CIFAR-100',
  'svhn_cropped': 'SVHN',
  'nlgp': 'NLGP (drawn on the spot)',
}


# Of runs on images that continue at the opposite border.
TORUS = (
  'Images of NLGP continue at the opposite border, so distances between pixels '
  'are those on the torus.'
)


class Request(NamedTuple):
  """A command line's wishes for figures and tables."""

  command: str | None = None  # None: captions name none
  data: Mapping[str, str] = types.MappingProxyType({})  # names besides `DATA`
  seed: int = 0  # of the random choice among filters


def caption(
  about: Sequence[str], shown: Sequence[runs.Record], request: Request
) -> str:
  """Returns a caption, with a line for each paragraph.

  Args:
    about: paragraphs that say what a reader must know.
    shown: the runs, which are listed with their commands and machines.
    request: what was asked for.
  """
  lines = [*filter(None, about)]
  if shown:
    fields = [run.config.data for run in shown]
    names = [data_title(data.name, request) for data in fields]
    kinds = [data.augment for data in fields]
    lines.append(f'Data: {_each(names)}; augmentation: {_each(kinds)}.')
  if request.command:
    lines += ['Drawn by:', f'  {request.command}']
  if shown:
    lines.append('Runs:')
    lines += [line for run in shown for line in _run(run)]
  return '\n'.join(lines)


def data_title(name: str, request: Request) -> str:
  """Returns a reader's name for the data set that a config calls `name`."""
  return {**DATA, **request.data}.get(name, name)


def _each(names: Sequence[str]) -> str:
  return ', '.join(dict.fromkeys(names))


def _run(run: runs.Record) -> list[str]:
  commit = run.environment.get('commit', 'unknown')
  where = machine(run.environment) or 'machine unknown'
  lines = [
    f'  {run.path}: {method(run.config)}, α = {run.config.model.base_channels}'
    f', epochs: {epochs(run)}, seed {run.config.seed}, commit {commit}, '
    f'{where}',
    f'    {run.environment.get("command", "command unknown")}',
  ]
  return list(map(errors.printable, lines))
