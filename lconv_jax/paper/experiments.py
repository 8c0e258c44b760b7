"""Runs as experiments: what was tuned is chosen, what was repeated is averaged.

Runs that differ in the seed alone are repetitions. Those that differ in what
the paper tunes (`selection.TUNED`) compete by validation accuracy. Those that
differ in anything else are different experiments.
"""

import collections
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flax import traverse_util

from lconv_jax import errors, models, report, runs
from lconv_jax.figures import axis
from lconv_jax.report import selection
from lconv_jax.runs import folder as run_folder

# What one figure or table compares: experiments may differ in these.
COMPARED = (
  'model.name',
  'model.base_channels',
  'train.epochs',
  'optim.name',
  'optim.beta',
)
# Fields that change no result.
_FREE = (*run_folder.FREE, 'train.eval_every_epochs', 'train.log_')


class Experiment(NamedTuple):
  """The winner of runs that differ in what is tuned, and in seeds."""

  fields: Mapping[str, Any]  # of the config, with dots: what defines it
  runs: tuple[runs.Record, ...]  # of the winner, one for each seed
  finished: bool  # whether all of them are

  @property
  def net(self) -> str:
    """Returns the paper's name of the net."""
    return models.NETS[self.fields['model.name']].title

  @property
  def method(self) -> str:
    """Returns 'SGD', 'β-LASSO β=50', or what an optimiser is called."""
    if self.fields['optim.name'] == 'beta_lasso':
      return f'β-LASSO β={self.fields["optim.beta"]:g}'
    return self.fields['optim.name'].upper()

  @property
  def label(self) -> str:
    """Returns the name of net and method, with what is not the default."""
    word = '' if self.finished else ' (unfinished)'
    return report.method(self.runs[0].config) + word

  @property
  def alpha(self) -> int:
    """Returns the base channels."""
    return self.fields['model.base_channels']

  @property
  def epochs(self) -> int:
    """Returns how many epochs it trains, finished or not."""
    return self.fields['train.epochs']

  @property
  def data(self) -> str:
    """Returns the data set's name in the config."""
    return self.fields['data.name']

  def accuracy(self, part: str) -> tuple[float, float | None]:
    """Returns mean and deviation over seeds, as `selection.accuracy` does."""
    return selection.accuracy(_candidate(self.runs), part)

  def point(self, x: int | float, part: str) -> axis.Point:
    """Returns its accuracy as a point of a figure."""
    return axis.Point(x, *self.accuracy(part), self.finished)


# One sentence for each run, or runs, that cannot be shown.
LeftOut = list[str]


def find(
  paths: Iterable[str | pathlib.Path],
) -> tuple[list[runs.Record], LeftOut]:
  """Reads run folders, and those that are somewhere below a folder.

  Args:
    paths: run folders, or folders that hold some.

  Returns:
    The runs in the order of `paths`, each once, below a folder by name; and
    what could not be read.

  Raises:
    UsageError: a path holds none.
  """
  found = {}
  for path in map(pathlib.Path, paths):
    below = list(_below(path))
    if not below:
      raise errors.UsageError(
        f'{path} is not a run folder and holds none; give what main.py got as '
        '--workdir, or the --root of a launcher.'
      )
    found |= {folder.resolve(): folder for folder in below}
  read, left_out = [], []
  for folder in found.values():
    try:
      read.append(runs.read(folder))
    except errors.UsageError as e:
      left_out.append(errors.one_line(e))
  return read, left_out


def _below(path: pathlib.Path) -> Iterable[pathlib.Path]:
  for folder, names, files in os.walk(path):
    if 'config.json' in files:
      names.clear()  # nothing of a run is a run
      yield pathlib.Path(folder)
    names.sort()


def only(
  runs: Sequence[runs.Record], conditions: Mapping[str, str]
) -> list[runs.Record]:
  """Returns the runs whose config has given values.

  Args:
    runs: to choose from.
    conditions: values, as in a command line, by field: data.name, cifar10.

  Raises:
    UsageError: no run has such a field, or such a value.
  """
  for field, value in conditions.items() if runs else ():
    values = {str(_flat(run).get(field)) for run in runs}
    if values == {'None'}:
      fields = {field for run in runs for field in _flat(run)}
      raise errors.unknown('--only', field, sorted(fields))
    if value not in values:
      raise errors.UsageError(
        f'No run has {field}={value}; there is {", ".join(sorted(values))}.'
      )
    runs = [run for run in runs if str(_flat(run).get(field)) == value]
  return list(runs)


def group(
  runs: Iterable[runs.Record],
) -> tuple[list[Experiment], LeftOut]:
  """Returns the experiments that runs make, and what cannot be shown of them.

  Left out are runs that have not measured anything yet, or whose net is none of
  this version, and those that compete without a validation accuracy.
  """
  groups, left_out, result = {}, [], []
  for run in runs:
    fields = _defining(run)
    if fields['model.name'] not in models.NETS:
      name = fields['model.name']
      left_out.append(f'{run.path}: {name} is no net of this version.')
    elif 'test/accuracy' not in run.best:
      left_out.append(f'{run.path} has not measured anything yet.')
    else:
      key = repr(sorted(fields.items()))
      groups.setdefault(key, (fields, []))[1].append(run)
  for fields, members in groups.values():
    try:
      result.append(Experiment(fields, *_winner(members)))
    except errors.UsageError as e:
      left_out.append(errors.one_line(e))
  return result, left_out


def from_scratch(chosen: Iterable[Experiment]) -> list[Experiment]:
  """Returns the paper's nets as they are: no warm start, no other kernels."""
  return [
    e
    for e in chosen
    if not (e.fields['train.init_from'] or e.fields['model.kernel_size'])
  ]


def all_runs(chosen: Iterable[Experiment]) -> list[runs.Record]:
  """Returns the runs of experiments, all seeds."""
  return [run for e in chosen for run in e.runs]


def agree(chosen: Sequence[Experiment], free: Iterable[str], what: str) -> None:
  """Raises a UsageError where experiments differ in more than they may.

  Args:
    chosen: what one figure, or one cell of a table, is to be made of.
    free: fields in which they may differ.
    what: to be made of them.
  """
  for field in sorted({field for e in chosen for field in e.fields}):
    # Of nets or methods that have no such field, it says nothing.
    having = (e.fields for e in chosen if field in e.fields)
    counts = collections.Counter(str(fields[field]) for fields in having)
    if field not in free and len(counts) > 1:
      (most, _), *_ = counts.most_common()
      raise errors.UsageError(
        f'{what}: the runs differ in {field} ({", ".join(sorted(counts))}); '
        f'choose, as by --only {field}={most}.'
      )


def largest(
  chosen: Iterable[Experiment], *keys: Callable[[Experiment], Any]
) -> list[Experiment]:
  """Returns those with the largest value of a key, then of the next key."""
  chosen = list(chosen)
  for key in keys:
    top = max(map(key, chosen), default=None)
    chosen = [e for e in chosen if key(e) == top]
  return chosen


def _winner(
  runs: Sequence[runs.Record],
) -> tuple[tuple[runs.Record, ...], bool]:
  settings = {}
  for run in runs:
    flat = _flat(run)
    tuned = {field: flat.get(field) for field in selection.TUNED}
    if flat['optim.name'] == 'sgd':
      tuned = {k: v for k, v in tuned.items() if '.l1_' not in k}
    seeds = settings.setdefault(repr(tuned), {})
    # A copy of a run is no repetition; of two, the finished one counts.
    if not (seeds.get(flat['seed']) and seeds[flat['seed']].done):
      seeds[flat['seed']] = run
  groups = [
    tuple(seeds[seed] for seed in sorted(seeds)) for seeds in settings.values()
  ]
  complete = [g for g in groups if all(run.done for run in g)]
  groups = complete or groups
  if len(groups) == 1:  # nothing to choose
    return groups[0], bool(complete)
  candidates = [_candidate(g) for g in groups]
  won = selection.winner(candidates)
  (best,) = (g for g, c in zip(groups, candidates, strict=True) if c is won)
  return best, bool(complete)


def _candidate(runs: Sequence[runs.Record]) -> selection.Candidate:
  return selection.Candidate(
    {}, {str(run.path): run.best for run in runs}, len(runs)
  )


def _flat(run: runs.Record) -> dict[str, Any]:
  return traverse_util.flatten_dict(run.config.to_dict(), sep='.')


def _defining(run: runs.Record) -> dict[str, Any]:
  """Returns the fields that make a run another experiment."""
  fields = _flat(run)
  skip = ['seed', *_FREE, *selection.TUNED]
  if fields['data.name'] != 'nlgp':
    skip.append('data.nlgp.')
  if fields['data.augment'] != 'fast_autoaugment':
    skip += ['data.policy', 'data.cutout']
  if fields['optim.name'] != 'beta_lasso':
    skip.append('optim.beta')
  net = models.NETS.get(fields['model.name'])
  if net and net.connectivity != 'local':
    skip.append('model.local_norm')
  return {
    field: value
    for field, value in fields.items()
    if not field.startswith(tuple(skip))
  }
