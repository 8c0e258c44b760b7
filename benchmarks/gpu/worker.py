"""Work in a process of its own, on a platform of its own.

The suite itself does not touch a device. So each measurement finds an empty GPU
and a peak memory of zero, `jax.default_backend()` is right on the CPU's side as
well, and a crash, an overfull memory or a hang costs one result.
"""

import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from lconv_jax import errors

_ROOT = str(pathlib.Path(__file__).parents[2])
# One GPU, and no compiled programs of earlier days, since compiling is timed.
_DEFAULTS = {
  'CUDA_VISIBLE_DEVICES': '0',
  'JAX_ENABLE_COMPILATION_CACHE': 'false',
}
_GRACE_S = 60.0  # between SIGTERM, after which a run saves, and SIGKILL


class WorkError(Exception):
  """Failure of the other process, in one line."""


def call(
  fn: Callable[..., Any],
  *args: Any,
  timeout_s: float | None = None,
  **environ: str,
) -> Any:
  """Returns `fn(*args)`, computed by another process.

  Args:
    fn: a module's function; arguments and result can be pickled.
    *args: arguments of `fn`.
    timeout_s: after which the process is told to stop.
    **environ: environment variables, over this process's own and `_DEFAULTS`.

  Raises:
    WorkError: `fn` raised an exception, or the process died.
  """
  path = os.pathsep.join(filter(None, (_ROOT, os.environ.get('PYTHONPATH'))))
  with tempfile.TemporaryDirectory(prefix='lconv_jax_gpu_') as folder:
    result, log = pathlib.Path(folder, 'result'), pathlib.Path(folder, 'log')
    with log.open('wb') as stderr:
      process = subprocess.Popen(
        [sys.executable, '-m', __name__, str(result)],
        env=_DEFAULTS | os.environ | {'PYTHONPATH': path} | environ,
        stdin=subprocess.PIPE,
        stderr=stderr,
      )
      in_time = _wait(process, pickle.dumps((fn, args)), timeout_s)
    if result.exists() and not process.returncode:
      value, error = pickle.loads(result.read_bytes())
    elif in_time:
      lines = log.read_text(errors='replace').split('\n')
      said = next(filter(None, reversed(lines)), 'nothing')
      error = f'The process ended by {process.returncode}; {said}'
    else:
      error = f'It took longer than {timeout_s:g} s.'
  if error:
    raise WorkError(error)
  return value


def _wait(
  process: subprocess.Popen, message: bytes, timeout_s: float | None
) -> bool:
  """Waits for the end of a process; returns whether it came in time."""
  try:
    process.communicate(message, timeout_s)
  except KeyboardInterrupt:  # the terminal has told the process, too
    process.wait()
    raise
  except (subprocess.TimeoutExpired, SystemExit) as e:
    process.terminate()
    try:
      process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()
    if isinstance(e, SystemExit):
      raise
    return False
  return True


def main() -> None:
  """Computes what stdin asks for and writes it where the command line says."""
  fn, args = pickle.load(sys.stdin.buffer)
  value = error = None
  try:
    value = fn(*args)
  except errors.UsageError as e:
    error = str(e)
  except Exception as e:  # whatever it is, the suite goes on
    error = f'{type(e).__name__}: {errors.one_line(e)[:500]}'
  pathlib.Path(sys.argv[1]).write_bytes(pickle.dumps((value, error)))


def stop_on_sigterm() -> None:
  """Lets SIGTERM end this process as Ctrl-C does, and its worker with it."""
  signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


if __name__ == '__main__':
  main()
