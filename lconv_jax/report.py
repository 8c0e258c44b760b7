"""Tables and figures from run folders.

  python -m lconv_jax.report runs/sgd runs/beta_lasso --out figures
  python -m lconv_jax.report runs/* --csv results/s_fc.csv --markdown s_fc.md

As in the paper, the model with the best validation accuracy is reported. A
run that is not finished is shown with what its last epoch measured.
"""

import argparse
import csv
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lconv_jax import (
  checkpoint,
  embed,
  errors,
  figures,
  locality,
  metrics,
  models,
  windows,
)
from lconv_jax import run as run_folder

# What a cell of the table may hold; None: not known.
Cell = str | int | float | None
Row = dict[str, Cell]

_DENSE = ('s_fc', 'd_fc', 'fc3')

# The terminal shows these columns, files show all of them.
_SHOWN = (
  'method',
  'α',
  'epochs',
  'test (%)',
  'validation (%)',
  'non-zero',
  'non-zero (%)',
  'first layer (%)',
  'local (%)',
  'spread (px)',
)
_NOTE = (
  'test: of the model with the best validation accuracy. first layer: its '
  'non-zero weights.\nlocal: its filters that are more compact than 95 % of '
  'their own shuffles, and by more than a tenth. spread: median r.m.s.\n'
  'distance of the weight from its centre, over filters with at least 20 '
  'non-zero values;\npython -m lconv_jax.locality has more.'
)


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run folder holds."""

  path: pathlib.Path
  config: Mapping[str, Any]
  metrics: Sequence[Mapping[str, Any]]  # one line for each evaluated epoch
  done: Mapping[str, Any] | None  # None: not finished

  @property
  def best(self) -> Mapping[str, Any]:
    """The metrics to report: of the best model, or the last ones so far."""
    if self.done:
      return self.done['best']
    return self.metrics[-1] if self.metrics else {}

  @property
  def epochs(self) -> int | str:
    """How many epochs it trained; '12 of 400, unfinished' before its end."""
    epochs = self.config['train']['epochs']
    if self.done:
      return epochs
    last = self.metrics[-1]['epoch'] if self.metrics else 0
    return f'{last:g} of {epochs}, unfinished'

  @property
  def environment(self) -> Mapping[str, Any]:
    """Command, commit, machine and versions, as far as known."""
    # The config's was written when the run began, on maybe another machine.
    ended = (self.done or {}).get('environment')
    return ended or self.config.get('environment', {})

  @property
  def filters(self) -> np.ndarray | None:
    """The best model's first layer, [units, h, w, C] float32.

    Filters of dense layers are of the image's size; those of LOCAL layers too,
    each at its place, zero outside of its window. A CONV layer's are its
    kernels. None where there are none.
    """
    return self._first_layer[0]

  @property
  def why_no_filters(self) -> str:
    """Why `filters` is None, else ''."""
    return self._first_layer[1]

  @functools.cached_property
  def _first_layer(self) -> tuple[np.ndarray | None, str]:
    return _filters(self)  # as large as the net: read only where asked for


def read(path: str | pathlib.Path) -> Run:
  """Reads a run folder.

  Args:
    path: what was given to main.py as --workdir.

  Returns:
    The run; what is not there yet is left empty.

  Raises:
    UsageError: there is no run in the folder.
  """
  path = pathlib.Path(path)
  config = run_folder.read_json(path / 'config.json')
  if not isinstance(config, dict) or not {'model', 'optim'} <= config.keys():
    raise errors.UsageError(
      f'{path} is no run folder: it has no config.json that can be read; give '
      'a folder that main.py got as --workdir.'
    )
  return Run(path, config, metrics.read(path), run_folder.done(path))


def method(config: Mapping[str, Any]) -> str:
  """Returns the name of a config's method: 'S-FC β-LASSO β=50 λ=1e-5'.

  Args:
    config: as in config.json; only what differs from the defaults of plain
      SGD is named.
  """
  model, o = config['model'], config['optim']
  words = [models.TITLES.get(model['name'], model['name'])]
  if o['name'] == 'beta_lasso':
    words += ['β-LASSO', f'β={_short(o["beta"])}', f'λ={_short(o["l1_conv"])}']
    if o['l1_fc'] != o['l1_conv']:
      words[-1] += f'/{_short(o["l1_fc"])}'  # convolutional / fc layers
  else:
    words += [o['name'].upper()]
  # Fields that are younger than the oldest runs.
  if model.get('kernel_size'):
    words[0] += f' k={model["kernel_size"]}'
  if model.get('local_norm') == 'unit':
    words[0] += ' bn=unit'
  if source := config.get('train', {}).get('init_from'):
    words[0] += f' from {pathlib.Path(source).name}'
  for name, value, default in (
    ('lr', o['lr'], 0.1),
    ('momentum', o['momentum'], 0),
    ('wd', o['weight_decay'], 0),
    ('dropout', model['dropout'], 0),
  ):
    if value != default:
      words.append(f'{name}={_short(value)}')
  return ' '.join(words)


def row(run: Run) -> Row:
  """Returns a run's line of the table: raw numbers by column."""
  best, done = run.best, run.done or {}
  shares = {
    key.removeprefix('nonzero/'): value
    for key, value in best.items()
    if key.startswith('nonzero/')
  }
  weights = done.get('weights', {})
  nonzero = sum(round(shares[k] * n) for k, n in weights.items())
  total = sum(weights.values())
  local = spread = None
  # How local filters of the others are is how they are built.
  if run.config['model']['name'] in _DENSE and run.filters is not None:
    summary = locality.summary(locality.measure(run.filters))
    local, spread = summary.local_of_all, summary.spread.value
  last = run.metrics[-1] if run.metrics else {}
  environment = run.environment
  return {
    'method': method(run.config),
    'α': run.config['model']['base_channels'],
    'epochs': run.epochs,
    'test (%)': _percent(best.get('test/accuracy')),
    'validation (%)': _percent(best.get('validation/accuracy')),
    # Over its epoch, on augmented images.
    'train (%)': _percent(best.get('train/accuracy')),
    'weights': total or None,
    'non-zero': nonzero if total else None,
    'non-zero (%)': _percent(nonzero / total) if total else None,
    # Layers are written in the order of depth.
    'first layer (%)': _percent(next(iter(shares.values()), None)),
    'local (%)': _percent(local),
    'spread (px)': spread,
    'data': run.config['data']['name'],
    'augment': run.config['data'].get('augment'),
    'seed': run.config['seed'],
    'seconds': last.get('seconds'),  # since the run began
    'machine': machine(environment),
    'jax': environment.get('jax'),
    'commit': environment.get('commit'),
    'command': environment.get('command'),
  }


def labels(runs: Sequence[Run]) -> list[str]:
  """Returns a name for each run: its method, and its folder where it must."""
  names = [method(run.config) for run in runs]
  if len(set(names)) == len(names):
    return names
  return [
    f'{name} ({run.path.resolve().name})'
    for name, run in zip(names, runs, strict=True)
  ]


def text(rows: Sequence[Row], columns: Sequence[str] = _SHOWN) -> str:
  """Returns some columns of rows as an aligned table for a terminal."""
  cells = [columns, *([_show(r[c]) for c in columns] for r in rows)]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  return '\n'.join(
    '  '.join(
      c.rjust(width) if i else c.ljust(width)  # names left, numbers right
      for i, (c, width) in enumerate(zip(line, widths, strict=True))
    )
    for line in cells
  )


def markdown(rows: Sequence[Row]) -> str:
  """Returns rows as a Markdown table with all columns."""
  lines = [
    list(rows[0]),
    ['---' if i == 0 else '--:' for i in range(len(rows[0]))],
    *([_show(v).replace('|', r'\|') for v in r.values()] for r in rows),
  ]
  return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def write_csv(rows: Sequence[Row], path: str | pathlib.Path) -> None:
  """Writes rows with all columns; unknown cells are empty."""
  with open(path, 'w', encoding='utf-8', newline='') as f:
    writer = csv.DictWriter(f, fieldnames=rows[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows(
      {k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()}
      for r in rows
    )


def draw(runs: Sequence[Run], out: str | pathlib.Path) -> list[str]:
  """Writes filters and curves of runs to a folder.

  Args:
    runs: filters of those whose images have another shape than the first
      one's are left out.
    out: the folder.

  Returns:
    A line for each figure written and for each run left out of one.
  """
  out = pathlib.Path(out)
  names = labels(runs)
  lines, columns, image = [], [], None
  for label, run in zip(names, runs, strict=True):
    why = run.why_no_filters
    if run.filters is not None:
      shape = tuple(run.done['image_shape'])
      image = image or shape
      if shape != image:
        why = f'its images are {shape}, others {image}'
    if why:
      lines.append(f'no filters of {run.path}: {why}')
    else:
      columns.append((label, run.filters))
  written = []
  if columns:
    written += figures.first_layer_filters(columns, image, out / 'filters.png')
  curves = zip(names, (run.metrics for run in runs), strict=True)
  written += figures.curves(list(curves), out / 'curves.png')
  return lines + [f'wrote {path}' for path in written]


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line and returns its exit status."""
  parser = argparse.ArgumentParser(
    prog='python -m lconv_jax.report', description=__doc__.splitlines()[0]
  )
  parser.add_argument('runs', nargs='+', metavar='RUN', help='a run folder')
  parser.add_argument('--out', help="figures' folder; default: the first run")
  parser.add_argument('--csv', help='write the table with all columns')
  parser.add_argument('--markdown', help='write the table with all columns')
  parser.add_argument('--data', help='what to call the data set in its column')
  args = parser.parse_args(argv)
  try:
    _report(args)
  except (errors.UsageError, OSError) as e:
    print(f'error: {errors.one_line(e)}', file=sys.stderr)
    return 2
  return 0


def _report(args: argparse.Namespace) -> None:
  runs = [read(path) for path in args.runs]
  rows = [row(run) for run in runs]
  if args.data:
    rows = [{**r, 'data': args.data} for r in rows]
  print(text(rows), _NOTE, sep='\n\n', end='\n\n')
  for path in filter(None, (args.csv, args.markdown)):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
  if args.csv:
    write_csv(rows, args.csv)
    print(f'wrote {args.csv}')
  if args.markdown:
    pathlib.Path(args.markdown).write_text(markdown(rows), encoding='utf-8')
    print(f'wrote {args.markdown}')
  print(*draw(runs, args.out or runs[0].path), sep='\n')


def _filters(run: Run) -> tuple[np.ndarray | None, str]:
  """Returns what `Run.filters` and `Run.why_no_filters` say."""
  if run.done is None:
    return None, 'the run is not finished'
  try:
    params = checkpoint.load_params(run.path, which='best')
  except (OSError, errors.UsageError) as e:
    return None, str(e)
  layer, kernel = next(iter(models.kernels(params).items()))
  kernel, image = np.asarray(kernel), tuple(run.done['image_shape'])
  if kernel.ndim == 4:  # CONV
    return kernel, ''
  if kernel.ndim == 6:  # LOCAL
    family = run.config['model']['name'].split('_')[0]
    stride = models.FAMILIES[family].stages[0].stride
    w = windows.window(image[:2], kernel.shape[3:5], stride)
    kernel = embed.dense(kernel, w, image[:2])
  try:
    return locality.from_kernel(kernel, image), ''
  except ValueError as e:
    return None, f'{layer}: {e}'


def machine(environment: Mapping[str, Any]) -> str | None:
  """Returns 'NVIDIA H200, AMD EPYC 9654, 16 CPUs', as far as known."""
  parts = [environment.get('device'), environment.get('cpu')]
  if 'cpus' in environment:
    parts.append(f'{environment["cpus"]} CPUs')
  return ', '.join(part for part in parts if part) or None


def _percent(share: float | None) -> float | None:
  return None if share is None else 100.0 * share


def _short(value: float) -> str:
  """Returns 1e-5 for 0.00001, 0.1 for 0.1."""
  if 0 < value < 1e-2:
    digits, exponent = f'{value:.6e}'.split('e')
    return f'{float(digits):g}e{int(exponent)}'
  return f'{value:g}'


def _show(cell: Cell) -> str:
  match cell:
    case None:
      return '–'
    case float():
      # Two decimals, or two digits where those would be zeros.
      return f'{cell:.2g}' if 0 < cell < 0.1 else f'{cell:.2f}'
    case int():
      return f'{cell:,}'
  return cell


if __name__ == '__main__':
  sys.exit(main())
