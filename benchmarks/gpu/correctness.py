"""Compares what the GPU computes with a CPU's float32.

The difference of two arrays is ‖a - b‖ / ‖b‖, where the denominator is at least
`_LEAST` of the largest ‖b‖ of the same kind: before a batch norm, the gradient
of a scale can be zero up to rounding.

Both compute float32 products in float32 (`HIGHEST`), so only the order of sums
differs. With every sum of S-FC, D-FC and 3-FC taken backwards, logits and
gradients differ by 1e-6 to 6e-6. But a pre-activation that is wrong by ε
standard deviations has the other sign with a probability of about 0.8 ε, and
then its gradient appears or vanishes as a whole: one in 1e6 makes a difference
of 1e-3. In TF32, logits would differ by 5e-4 to 3e-3 and gradients by 7e-3 to
1e-1. `_TOLERANCE` lies between. `_DEEP` does not: if D-CONV's initial weights
are changed by 1e-7 in eight random ways, one of these flips such a sign, on a
CPU as well; after five steps, a batch-norm scale has then moved 2e-2 elsewhere,
and the evaluation differs by 1.3e-3.

In 16 bits, the CPU computes the case in 16 bits as well, and the GPU may be
wrong by `_SLACK` times the CPU's largest error, since it rounds in other places
(cuDNN rounds the result of a convolution once more).

Augmentation and its random choices must be bit-identical.
"""

import concurrent.futures
import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu import cases, nets, pieces, worker

# Of float32, by group and kind, with which an array's name begins.
_TOLERANCE = {
  'nets': {'output': 1e-4, 'gradient': 2e-3},
  'trajectories': {'outcome': 1e-3, 'moved': 1e-2},
  'convolutions': {'value': 1e-5, 'gradient': 1e-5},
}
_DEEP = {'d_conv momentum': {'outcome': 5e-3, 'moved': 5e-2}}  # by case
_LEAST = 0.01
_SLACK = 3.0
_TIMEOUT_S = 300.0
_16_BIT = ('bfloat16', 'float16')


class Group(NamedTuple):
  """Cases that one process computes on the GPU, and others on the CPU."""

  compute: Callable[..., cases.Results]
  tolerance: Mapping[str, float]  # by kind; other kinds are bit-identical
  dtype: str | None


GROUPS = {
  f'{name} {dtype}': Group(compute, _TOLERANCE[name], dtype)
  for name, compute, dtypes in (
    ('nets', nets.first_steps, ('float32', *_16_BIT)),
    ('trajectories', nets.trajectories, ('float32', 'bfloat16')),
    ('convolutions', pieces.convolutions, ('float32', *_16_BIT)),
  )
  for dtype in dtypes
} | {'augmentation': Group(pieces.augmentation, {}, None)}


def check(names: list[str], size: cases.Size) -> Iterator[dict[str, Any]]:
  """Yields a row for each case of some groups, as soon as it is computed."""
  # Half of the cores: each process compiles on several.
  jobs = max(1, (os.cpu_count() or 2) // 2)
  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:

    def start(group: Group, dtype: str | None, **environ: str) -> Any:
      # They share the GPU, so none may take its memory in advance.
      args = (size,) if dtype is None else (dtype, size)
      return pool.submit(
        worker.call, group.compute, *args, timeout_s=_TIMEOUT_S,
        XLA_PYTHON_CLIENT_PREALLOCATE='false', **environ,
      )  # fmt: skip

    chosen = {name: GROUPS[name] for name in names}
    right, pending = {}, {}
    for name, group in chosen.items():
      for dtype in {group.dtype, group.dtype and 'float32'}:
        key = group.compute, dtype
        if key not in right:
          right[key] = start(group, dtype, JAX_PLATFORMS='cpu')
      pending[name] = start(group, group.dtype)
    for name, group in chosen.items():
      try:
        got = pending[name].result()
        expected = right[group.compute, group.dtype and 'float32'].result()
        yardstick = right[group.compute, group.dtype].result()
      except worker.WorkError as e:
        yield {'name': name, 'passed': False, 'error': str(e)}
        continue
      for case in expected:
        row = {'name': f'{name}: {case}'}
        tolerance = _DEEP.get(case, group.tolerance)
        yield row | _compare(
          got[case], expected[case], yardstick[case], tolerance
        )


def _compare(
  got: cases.Result,
  expected: cases.Result,
  yardstick: cases.Result,
  tolerance: Mapping[str, float],
) -> dict[str, Any]:
  for who, (_, error) in (
    ('device', got), ('CPU, float32', expected), ('CPU', yardstick)
  ):  # fmt: skip
    if error:
      return {'passed': False, 'error': f'{who}: {error}'}
  (a, _), (b, _), (c, _) = got, expected, yardstick
  # One array can be right by luck, so the worst of its kind is the yardstick.
  allowed = dict.fromkeys(map(_kind, b), 0.0)
  least = dict(allowed)
  for array in b:
    norm = _LEAST * float(np.linalg.norm(np.float64(b[array])))
    least[_kind(array)] = max(least[_kind(array)], norm)

  def wrong_by(x: cases.Arrays, array: str) -> float:
    return difference(x[array], b[array], least[_kind(array)])

  for array in b:
    kind = _kind(array)
    wrong = tolerance.get(kind, 0.0) + _SLACK * wrong_by(c, array)
    allowed[kind] = max(allowed[kind], wrong)
  found = {array: wrong_by(a, array) for array in b}

  def margin(array: str) -> float:
    excess = found[array] - allowed[_kind(array)]
    return math.inf if math.isnan(excess) else excess

  worst = max(found, key=margin)
  return {
    'passed': margin(worst) <= 0,
    'worst': worst,
    'difference': found[worst],
    'allowed': allowed[_kind(worst)],
  }


def _kind(array: str) -> str:
  return array.partition('/')[0]


def difference(a: np.ndarray, b: np.ndarray, least: float = 0.0) -> float:
  """Returns ‖a - b‖ / max(‖b‖, least)."""
  a, b = np.float64(a), np.float64(b)
  return float(np.linalg.norm(a - b) / (max(np.linalg.norm(b), least) or 1.0))


def line(row: dict[str, Any]) -> str:
  """Returns a row as a person reads it."""
  return (
    f'{row["worst"]} differs by {row["difference"]:.1e}, allowed '
    f'{row["allowed"]:.1e}'
  )
