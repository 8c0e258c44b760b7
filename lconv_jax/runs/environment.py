"""Command, commit, machine and versions, which accompany every result."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jax

_PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')
# What rounding depends on; XLA on CPU divides sums among cores.
_ROUNDING = ('device', 'devices', 'cpu', 'cpus', 'jax', 'jaxlib')


def environment() -> dict[str, Any]:
  """Returns the command, commit, machine and versions of this process."""
  return {
    'command': shlex.join(['python', *sys.argv]),
    'commit': _commit(),
    'device': jax.devices()[0].device_kind,
    'devices': jax.device_count(),
    'cpu': _cpu(),
    'cpus': _cpus(),
    'python': platform.python_version(),
    **{name: importlib.metadata.version(name) for name in _PACKAGES},
  }


def changed_environment(
  before: Mapping[str, Any],
) -> dict[str, tuple[Any, Any]]:
  """Returns what rounding depends on and is not as it was, before and now.

  Args:
    before: an `environment`; of what it lacks nothing is said.
  """
  now = environment()
  return {
    name: (before[name], now[name])
    for name in _ROUNDING
    if before.get(name, now[name]) != now[name]
  }


def _commit() -> str:
  """Returns the commit of the code, marked if files were changed.

  A copy without git's folder has the commit that $LCONV_JAX_COMMIT names.
  """
  try:
    return subprocess.run(
      ['git', 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'],
      cwd=pathlib.Path(__file__).parent,
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return os.environ.get('LCONV_JAX_COMMIT') or 'unknown'


def _cpu() -> str:
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()


def _cpus() -> int | None:
  """Returns the number of cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):  # taskset and schedulers set it
    return len(os.sched_getaffinity(0))
  return os.cpu_count()
