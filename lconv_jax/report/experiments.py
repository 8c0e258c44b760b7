"""Experiments: runs grouped by what they tune and repeat.

Runs that differ in the seed alone are repetitions, which are averaged. Runs
that differ in what the paper tunes (`selection.TUNED`) compete by validation
accuracy. Runs that differ in anything else are different experiments.
"""

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lconv_jax import errors, models, runs
from lconv_jax.report import axis, names, selection
from lconv_jax.report.find import flat

# A figure or table compares experiments that may differ in these fields.
COMPARED = (
  'model.name',
  'model.base_channels',
  'train.epochs',
  'optim.name',
  'optim.beta',
)
# Fields that change no result.
_FREE = (*runs.FREE, 'train.eval_every_epochs', 'train.log_')


class Experiment(NamedTuple):
  """The winner among runs that differ in what is tuned, and in seeds."""

  fields: Mapping[str, Any]  # of the config, with dots: what defines it
  runs: tuple[runs.Record, ...]  # of the winner, one for each seed
  finished: bool  # whether all of its runs are
  name: str  # of the net, in a config
  net: str  # the paper's name of it
  beta: float | None  # of β-LASSO; None: by another optimiser
  method: str  # 'SGD', 'β-LASSO β=50', or the name of another optimiser
  alpha: int  # base channels
  epochs: int  # to train, finished or not
  data: str  # name of the data set, in a config

  @property
  def label(self) -> str:
    """The name of net and method, with what is not the default."""
    word = '' if self.finished else ' (unfinished)'
    return names.method(self.runs[0].config) + word

  def accuracy(self, part: str) -> tuple[float, float | None]:
    """Returns mean and deviation over seeds, as `selection.accuracy` does."""
    return selection.accuracy(_candidate(self.runs), part)

  def point(self, x: int | float, part: str) -> axis.Point:
    """Returns its accuracy as a point of a figure."""
    return axis.Point(x, *self.accuracy(part), self.finished)


def group(
  members: Iterable[runs.Record],
) -> tuple[list[Experiment], list[str]]:
  """Returns experiments, and a sentence for each run that was left out.

  A run is left out if it has not measured anything yet, if its net is not one
  of this version, or if it competes without a validation accuracy.
  """
  groups, left_out, result = {}, [], []
  for run in members:
    name, fields = run.config.model.name, _defining(run)
    if name not in models.NETS:
      left_out.append(f'{run.path}: {name} is not a net of this version.')
    elif 'test/accuracy' not in run.best:
      left_out.append(f'{run.path} has not measured anything yet.')
    else:
      key = repr(sorted(fields.items()))
      groups.setdefault(key, (fields, []))[1].append(run)
  for fields, found in groups.values():
    try:
      result.append(_experiment(fields, _winner(found)))
    except errors.UsageError as e:
      left_out.append(errors.one_line(e))
  return result, left_out


def from_scratch(chosen: Iterable[Experiment]) -> list[Experiment]:
  """Returns the paper's nets as they are: no warm start, no other kernels."""
  other = 'train.init_from', 'model.kernel_size'
  return [e for e in chosen if not any(e.fields[field] for field in other)]


def on_whole_data(
  chosen: Iterable[Experiment],
) -> tuple[list[Experiment], list[str]]:
  """Leaves out runs on a part of a data set where others are on all of it.

  Returns:
    The experiments to show, and a sentence for each run that is left out.
  """
  chosen = list(chosen)
  whole = {e.data for e in chosen if not e.fields['data.limit']}
  kept, left_out = [], []
  for e in chosen:
    limit = e.fields['data.limit']
    if not limit or e.data not in whole:
      kept.append(e)
      continue
    left_out += [
      f'{run.path} is a run on {limit:,} images, others are on all of '
      f'{e.data}; --only data.limit={limit} shows it.'
      for run in e.runs
    ]
  return kept, left_out


def all_runs(chosen: Iterable[Experiment]) -> list[runs.Record]:
  """Returns the runs of experiments, with all seeds."""
  return [run for e in chosen for run in e.runs]


def agree(chosen: Sequence[Experiment], free: Iterable[str], what: str) -> None:
  """Raises a UsageError if experiments differ in fields that are not free.

  Args:
    chosen: the experiments of one figure, or of one cell of a table.
    free: fields in which they may differ.
    what: name of the figure or cell.
  """
  for field in sorted({field for e in chosen for field in e.fields}):
    # A net or method without the field says nothing about it.
    having = (e.fields for e in chosen if field in e.fields)
    counts = collections.Counter(str(fields[field]) for fields in having)
    if field not in free and len(counts) > 1:
      (most, _), *_ = counts.most_common()
      raise errors.UsageError(
        f'{what}: the runs differ in {field} ({", ".join(sorted(counts))}); '
        f'choose, as by --only {field}={most}.'
      )


def largest(
  chosen: Iterable[Experiment], key: Callable[[Experiment], Any]
) -> list[Experiment]:
  """Returns all experiments whose key is the largest."""
  chosen = list(chosen)
  top = max(map(key, chosen), default=None)
  return [e for e in chosen if key(e) == top]


def _experiment(
  fields: Mapping[str, Any], winner: tuple[runs.Record, ...]
) -> Experiment:
  c = winner[0].config
  lasso = c.optim.name == 'beta_lasso'
  return Experiment(
    fields,
    winner,
    all(run.done for run in winner),
    c.model.name,
    models.NETS[c.model.name].title,
    c.optim.beta if lasso else None,
    f'β-LASSO β={c.optim.beta:g}' if lasso else c.optim.name.upper(),
    c.model.base_channels,
    c.train.epochs,
    c.data.name,
  )


def _winner(members: Sequence[runs.Record]) -> tuple[runs.Record, ...]:
  """Returns the runs of the best setting, one for each seed."""
  settings = {}
  for run in members:
    fields = flat(run)
    tuned = {field: fields[field] for field in selection.TUNED}
    if run.config.optim.name == 'sgd':
      tuned = {k: v for k, v in tuned.items() if '.l1_' not in k}
    seeds = settings.setdefault(repr(tuned), {})
    # A copy of a run is not a repetition; of two, the finished one counts.
    before = seeds.get(run.config.seed)
    if not (before and before.done):
      seeds[run.config.seed] = run
  groups = [
    tuple(seeds[seed] for seed in sorted(seeds)) for seeds in settings.values()
  ]
  finished = [tuple(run for run in g if run.done) for g in groups]
  groups = [g for g in finished if g] or groups
  if len(groups) == 1:  # nothing to choose
    return groups[0]
  scores = [{run.config.seed: _score(run) for run in g} for g in groups]
  return groups[selection.best_setting(scores)]


def _score(run: runs.Record) -> tuple[float, float]:
  shares = [v for k, v in run.best.items() if k.startswith('nonzero/')]
  return selection.accuracy(_candidate([run]), 'validation')[0], sum(shares)


def _candidate(members: Sequence[runs.Record]) -> selection.Candidate:
  best = {str(run.path): run.best for run in members}
  return selection.Candidate({}, best, len(members))


def _defining(run: runs.Record) -> dict[str, Any]:
  """Returns the fields in which runs of one experiment do not differ."""
  c, skip = run.config, ['seed', *_FREE, *selection.TUNED]
  net = models.NETS.get(c.model.name)
  if c.data.name != 'nlgp':
    skip.append('data.nlgp.')
  if c.data.augment != 'fast_autoaugment':
    skip += ['data.policy', 'data.cutout']
  if c.optim.name != 'beta_lasso':
    skip.append('optim.beta')
  if net and net.connectivity != 'local':
    skip.append('model.local_norm')
  return {k: v for k, v in flat(run).items() if not k.startswith(tuple(skip))}
