"""Training of all points of a grid in one process, for main.py --grid."""

import contextlib
import pathlib
from collections.abc import Mapping, Sequence

import ml_collections

from launch import roots, sweep
from lconv_jax import errors, runs, train

LOCK = '.lock'  # in the root: held while points train
FAILED = 'failed.json'  # in the root: why points failed, by name


def why(failed: Mapping[str, str]) -> list[str]:
  """Returns a line for each reason, with the points that it stopped.

  Args:
    failed: the reasons, by the names of the points.
  """
  by_reason = {}
  for name, reason in failed.items():
    by_reason.setdefault(reason, []).append(name)
  return [
    f'{names[0]}{f" and {len(names) - 1} more" if names[1:] else ""}: {reason}'
    for reason, names in by_reason.items()
  ]


def train_grid(
  config: ml_collections.ConfigDict,
  spec: str,
  config_file: str,
  overrides: Mapping[str, str],
  seeds: Sequence[str] | None,
  root: pathlib.Path,
  at_once: int = 0,
) -> None:
  """Trains, or continues, every point of a grid in ROOT/POINT.

  Args:
    config: the config, with overrides, that the points change.
    spec: the grid, as `configs.grids.load` takes it.
    config_file: the file from which `config` was made.
    overrides: those of `config`, as on the command line.
    seeds: seeds, each of which every point is run with; None: the config's own.
    root: the folder of all run folders.
    at_once: how many points train side by side; 0: as many as fit into memory.

  Raises:
    UsageError: something that the user can mend; or some points have failed,
      and the others are finished.
  """
  try:
    numbers = None if seeds is None else [int(seed) for seed in seeds]
  except ValueError as e:
    raise errors.UsageError(
      f'--seeds={",".join(seeds)} is not a list such as 0,1,2.'
    ) from e
  with contextlib.ExitStack() as stack:
    try:
      whole = sweep.expand(spec, config_file, overrides, numbers)
      roots.merge(root, whole, runs.FREE)
      stack.enter_context(roots.only(root, LOCK))
      roots.claim(root, whole, runs.FREE)
    except ValueError as e:
      raise errors.UsageError(str(e)) from e
    configs = {}
    for name, point in whole.points.items():
      configs[name] = config.copy_and_resolve_references()
      configs[name].update_from_flattened_dict(point)
    (root / FAILED).unlink(missing_ok=True)
    failed = train.train_all(configs, root, at_once)
    reasons = {name: str(e) for name, e in failed.items()}
    runs.write_json(root / FAILED, reasons)
  if failed:
    others = ', the others are finished' if len(failed) < len(configs) else ''
    lines = ''.join(f'\n  {line}' for line in why(reasons))
    raise errors.UsageError(
      f'{len(failed)} of {len(configs)} points failed{others}:{lines}'
    )
  print(
    f'All {len(configs)} points are finished; python -m launch.select {root} '
    'names the winner.'
  )
