r"""Finds λ for a config: a few short runs, then λ in proportion to 1/√steps.

  python -m launch.find_l1 --config=configs/s_fc_small.py --root=runs/find_l1

The short runs train side by side, for a tenth of the epochs of the config, with
its λ times `FACTORS` and times the root of the ratio of lengths. β is divided
by that root, so that weights are cut at the same βλ. Of the λ whose validation
accuracy is within --tolerance of the best, the largest is chosen, since its net
is the sparsest. The same command continues. docs/findings.md has where the rule
comes from, and compares short runs with long ones.
"""

import argparse
import math
import operator
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from launch import local, options, roots, sweep
from lconv_jax import report, runs
from lconv_jax.report import command

FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
# Fields that this command sets itself.
_OWN = ('optim.l1_conv', 'optim.l1_fc', 'train.epochs')


class Tried(NamedTuple):
  """A short run with a λ."""

  factor: float  # of the config's λ
  accuracy: float  # on the validation part, per cent
  row: report.Row


def choose(tried: Sequence[Tried], tolerance: float) -> Tried:
  """Returns the largest λ whose accuracy is within a tolerance of the best."""
  best = max(t.accuracy for t in tried)
  return max(t for t in tried if t.accuracy >= best - tolerance)


def main(argv: Sequence[str] | None = None) -> None:
  """Trains short runs, and prints the command of the long one."""
  parser = options.parser('launch.find_l1', __doc__, of_grid=False)
  parser.add_argument(
    '--epochs', type=command.positive, default=0,
    help="of the short runs; default: a tenth of the config's",
  )  # fmt: skip
  parser.add_argument(
    '--tolerance', type=_at_least_0, default=0.5,
    help='validation accuracy that sparsity may cost, %%; default: %(default)s',
  )  # fmt: skip
  args, whole = options.parse(parser, argv)
  with options.one_sentence():
    config = _checked(args, whole)
    long = config['train.epochs']
    short = args.epochs or max(1, long // 10)
    grid = _write_grid(args.root, config, math.sqrt(long / short), short)
  overrides = [
    f'--config.{k}={v}' for k, v in whole.overrides.items() if k not in _OWN
  ]
  beta = '--config.optim.beta='  # the grid has its own, scaled
  try:
    local.main(
      [str(grid), f'--root={args.root}', f'--config={whole.config}']
      + [word for word in overrides if not word.startswith(beta)]
      + ['--dry_run'] * args.dry_run
    )
  except local.PointsFailed as e:  # a λ that is too large may end its run
    if not _tried(args.root):
      raise
    print(f'{e.code}\nThe finished points are compared.')
  if args.dry_run:
    return
  with options.one_sentence():
    tried = _tried(args.root)
  print(_table(tried, config))
  chosen = choose(tried, args.tolerance)
  if chosen.factor in (FACTORS[0], FACTORS[-1]):
    print(
      'This is the end of what was tried: repeat the command with another '
      '--root, and with these λ as --config.optim.l1_conv and l1_fc.'
    )
  found = [f'--config.{k}={v:g}' for k, v in _l1(config, chosen.factor).items()]
  kept = [f'--config.train.epochs={long}'] * ('train.epochs' in whole.overrides)
  long_run = ['python', 'main.py', f'--config={whole.config}']
  long_run += [*overrides, *kept, *found, '--workdir=DIR']
  print(f'For {long} epochs:\n  {shlex.join(long_run)}')


def _at_least_0(word: str) -> float:
  """Returns an argument that must be a number, 0 or more."""
  try:
    value = float(word)
  except ValueError:
    value = math.nan
  if not 0 <= value < math.inf:
    raise argparse.ArgumentTypeError(f'{word!r} is not a number, 0 or more')
  return value


def _checked(args: argparse.Namespace, whole: sweep.Sweep) -> dict[str, Any]:
  """Returns the fields that matter here; raises where none can be found."""
  (base,) = sweep.configs(whole)
  fields = [*_OWN, 'optim.name', 'optim.beta', 'data.validation']
  config = {field: operator.attrgetter(field)(base) for field in fields}
  for field in config.keys() & whole.overrides.keys():
    kind, word = type(config[field]), whole.overrides[field]
    try:
      config[field] = kind(word)
    except ValueError as e:
      raise ValueError(
        f'--config.{field}={word} must be {kind.__name__}.'
      ) from e
  if config['optim.name'] != 'beta_lasso':
    raise ValueError(
      f'{args.config} trains by {config["optim.name"]}, which has no λ; choose '
      'a config with --config.optim.name=beta_lasso.'
    )
  if not config['data.validation']:
    raise ValueError(
      f'{args.config} holds no images out, and nothing may be chosen by test '
      'accuracy; add --config.data.validation=5000.'
    )
  both = [config[field] for field in _OWN[:2]]
  if not (all(0 <= l1 < math.inf for l1 in both) and any(both)):
    raise ValueError(
      f'λ is {both[0]:g} for convolutions and {both[1]:g} for others, but must '
      'be at least 0, and greater in one; set --config.optim.l1_conv.'
    )
  if config['train.epochs'] < max(1, args.epochs):
    raise ValueError(
      f'The run has {config["train.epochs"]} epochs, which is less than '
      'those of the short runs; set --epochs.'
    )
  return config


def _l1(config: dict[str, Any], factor: float) -> dict[str, float]:
  """Returns both λ of the config times a factor, rounded to three digits."""
  return {k: float(f'{factor * config[k]:.3g}') for k in _OWN[:2]}


def _write_grid(
  root: pathlib.Path, config: dict[str, Any], scale: float, epochs: int
) -> pathlib.Path:
  """Writes the grid of the short runs beside their root; returns its path."""
  points = [
    {
      **_l1(config, factor * scale),
      'optim.beta': config['optim.beta'] / scale,
      'train.epochs': epochs,
    }
    for factor in FACTORS
  ]
  if not root.name:
    raise ValueError(
      f'--root={root} has no name for its grid; give a folder such as '
      'runs/find_l1.'
    )
  if (root / 'grid.json').exists():
    old = roots.read(root).points.values()
    if [{k: p.get(k) for k in points[0]} for p in old] != points:
      raise ValueError(
        f'{root} holds short runs with other λ, β or lengths, or of a version '
        'with another rule; choose another --root.'
      )
  lines = ''.join(f'    {point},\n' for point in points)
  path = root.with_name(f'{root.name}_grid.py')
  text = (
    f"CONFIG = 'configs/s_fc.py'\n\n\ndef sweep():\n  return [\n{lines}  ]\n"
  )
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
  except OSError as e:
    raise ValueError(
      f'--root={root} cannot be written ({e.strerror}); choose another.'
    ) from e
  return path


def _tried(root: pathlib.Path) -> list[Tried]:
  """Returns the short runs that are finished."""
  rows = {
    factor: report.row(runs.read(root / name))
    for factor, name in zip(FACTORS, roots.read(root).points, strict=True)
    if roots.finished(root, name)
  }
  return [Tried(f, row['validation (%)'], row) for f, row in rows.items()]


def _table(tried: Sequence[Tried], config: dict[str, Any]) -> str:
  names = 'validation (%)', 'non-zero (%)', 'first layer (%)'
  lines = [[f'λ for {config["train.epochs"]} epochs', *names]]
  for t in tried:
    l1 = ' / '.join(f'{v:g}' for v in _l1(config, t.factor).values())
    lines.append([l1, *(f'{t.row[name]:.2f}' for name in names)])
  return report.aligned(lines)


if __name__ == '__main__':
  main()
