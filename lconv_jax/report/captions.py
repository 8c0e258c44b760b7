"""What stands beside a figure: what it shows, of which runs, by what."""

from collections.abc import Mapping, Sequence

from lconv_jax import errors, runs
from lconv_jax.report.names import epochs, machine, method

# What the data sets are called.
DATA = {
  'cifar10': 'CIFAR-10',
  'cifar100': 'CIFAR-100',
  'svhn_cropped': 'SVHN',
  'nlgp': 'NLGP (drawn on the spot)',
}


def caption(
  about: Sequence[str],
  shown: Sequence[runs.Record],
  command: str | None = None,
  data: Mapping[str, str] = DATA,
) -> str:
  """Returns a caption, of a line for each paragraph.

  Args:
    about: what a reader must know, a sentence or more each.
    shown: the runs, which are listed with where they come from.
    command: what drew it; None: the runs' own.
    data: what to call data sets, where that is not in `DATA`.
  """
  lines = [*filter(None, about)]
  if shown:
    fields = [run.config.data for run in shown]
    names = [data_title(f.name, data) for f in fields]
    kinds = [f.augment for f in fields]
    lines.append(f'Data: {_each(names)}; augmentation: {_each(kinds)}.')
  if command:
    lines += ['Drawn by:', f'  {command}']
  if shown:
    lines.append('Runs:')
    lines += [line for run in shown for line in _run(run)]
  return '\n'.join(lines)


def data_title(name: str, data: Mapping[str, str] = DATA) -> str:
  """Returns what to call a data set.

  Args:
    name: of the config.
    data: what to call some, where that is not in `DATA`.
  """
  return {**DATA, **data}.get(name, name)


def data_titles(words: Sequence[str]) -> dict[str, str]:
  """Returns what a command line wants to call data sets.

  Args:
    words: cifar10='CIFAR-10 (JPEG copy)' and the like.

  Raises:
    UsageError: a word is none.
  """
  for word in words:
    if '=' not in word:
      raise errors.UsageError(
        f'--data={word} must be NAME=TEXT, such as cifar10="{word}".'
      )
  return dict(word.split('=', 1) for word in words)


def _each(names: Sequence[str]) -> str:
  return ', '.join(dict.fromkeys(names))


def _run(run: runs.Record) -> list[str]:
  alpha = run.config.model.base_channels
  commit = run.environment.get('commit', 'unknown')
  where = machine(run.environment) or 'machine unknown'
  return [
    f'  {run.path}: {method(run.config)}, α = {alpha}, epochs: '
    f'{epochs(run)}, seed {run.config.seed}, commit {commit}, {where}',
    f'    {run.environment.get("command", "command unknown")}',
  ]
