"""What stands beside a figure: what it shows, of which runs, by what."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lconv_jax import report
from lconv_jax.paper import experiments


class Request(NamedTuple):
  """What was asked for."""

  command: str
  data: str | None = None  # what to call the data set
  seed: int = 0  # of random choices among filters


def caption(
  about: Sequence[str],
  shown: Sequence[experiments.Experiment],
  request: Request,
) -> str:
  """Returns a caption, of a line for each paragraph.

  Args:
    about: what a reader must know, a sentence or more each.
    shown: the experiments, whose runs are listed.
    request: what was asked for.
  """
  lines = [*filter(None, about)]
  if shown:
    lines.append(f'Data: {_data(shown, request)}.')
  lines += ['Drawn by:', f'  {request.command}']
  if shown:
    lines.append('Runs:')
    lines += [line for e in shown for run in e.runs for line in _run(run)]
  return '\n'.join(lines)


def data(name: str, request: Request) -> str:
  """Returns what to call a data set."""
  return request.data or experiments.DATA.get(name, name)


def _data(shown: Iterable[experiments.Experiment], request: Request) -> str:
  names = dict.fromkeys(data(e.data, request) for e in shown)
  kinds = dict.fromkeys(e.fields['data.augment'] for e in shown)
  return f'{", ".join(names)}; augmentation: {", ".join(kinds)}'


def _run(run: report.Run) -> list[str]:
  alpha = run.config['model']['base_channels']
  commit = run.environment.get('commit', 'unknown')
  machine = report.machine(run.environment) or 'machine unknown'
  return [
    f'  {run.path}: {report.method(run.config)}, α = {alpha}, epochs: '
    f'{run.epochs}, seed {run.config["seed"]}, commit {commit}, {machine}',
    f'    {run.environment.get("command", "command unknown")}',
  ]
