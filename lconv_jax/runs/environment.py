"""Command, commit, machine and versions, which accompany every result."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

import jax

_PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')


def environment() -> dict[str, Any]:
  """Returns the command, commit, machine and versions of this process."""
  return {
    'command': shlex.join(['python', *sys.argv]),
    'commit': _commit(),
    'device': jax.devices()[0].device_kind,
    'devices': jax.device_count(),
    'cpu': _cpu(),
    'cpus': os.cpu_count(),
    'python': platform.python_version(),
    **{name: importlib.metadata.version(name) for name in _PACKAGES},
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
