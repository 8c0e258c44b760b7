"""Agreement between the processes that train one run.

All processes call the same functions in the same order, or they would wait for
each other forever. A single process waits for nobody.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from lconv_jax import errors

_HEARTBEAT_S = 30  # after which a silent process counts as dead
# Words of the transports of CPUs and GPUs, and of JAX, about a dead process.
_LOST = re.compile(
  'gloo .* failed|connection closed|connection reset|socket closed|'
  'coordination service|heartbeat|remote process exited',
  re.IGNORECASE,
)


def start(
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Joins the other processes, before anything asks JAX for devices.

  Args:
    coordinator_address: HOST:PORT of the first process. Without it, what
      SLURM, Open MPI, GKE or a TPU's metadata say about the job is used.
    num_processes: number of processes.
    process_id: number of this process, from 0.

  Raises:
    UsageError: there is no such job, or the other processes are not found.
  """
  # Else SIGTERM is caught by JAX's service, until `interrupt.Watch` begins.
  jax.config.update('jax_enable_preemption_service', False)
  try:
    jax.distributed.initialize(
      coordinator_address,
      num_processes,
      process_id,
      heartbeat_timeout_seconds=_HEARTBEAT_S,
      shutdown_timeout_seconds=_HEARTBEAT_S,
    )
    jax.devices()  # joins the transport, which may fail as well
  except (ValueError, RuntimeError) as e:
    raise errors.UsageError(
      f'--distributed cannot join the other processes '
      f'({errors.one_line(e)[:300]}); outside of SLURM, GKE and TPUs give '
      '--coordinator_address=HOST:PORT --num_processes=N --process_id=I.'
    ) from e


def leave(error: BaseException, workdir: str | pathlib.Path) -> NoReturn:
  """Ends this process, which is one of several, after an unexpected error.

  Says that another process has probably died, if the error suggests it. A
  regular exit would wait for the dead process.

  Args:
    error: the error.
    workdir: the run folder.
  """
  text = errors.one_line(error)
  if _LOST.search(text):
    text = f'another process of this run has died, probably ({text[:300]})'
  else:
    traceback.print_exception(error)
  print(
    f'error: {text}; start all processes again: they continue from what '
    f'{workdir} holds.',
    file=sys.stderr,
    flush=True,
  )
  sys.stdout.flush()
  os._exit(1)


def alone() -> bool:
  """Returns whether there is no other process."""
  return jax.process_count() == 1


def is_first() -> bool:
  """Returns whether this process is the one that writes the run folder."""
  return jax.process_index() == 0


def say(text: str, end: str = '\n') -> None:
  """Prints a text in the first process."""
  if is_first():
    # A terminal that was closed, or a full disk, costs words but never a run.
    with contextlib.suppress(OSError):
      print(text, end=end, flush=True)


def only_first(
  context: contextlib.AbstractContextManager,
) -> contextlib.AbstractContextManager:
  """Returns a context that only the first process enters."""
  return context if is_first() else contextlib.nullcontext()


@contextlib.contextmanager
def fail_together() -> Iterator[None]:
  """Lets an error in one process stop all processes.

  Nothing inside the context may wait for other processes.

  Raises:
    UsageError: another process has failed.
    Exception: this process's own error.
  """
  own = None
  try:
    yield
  except Exception as e:
    own = e
  failed = np.flatnonzero(gather([own is not None]))
  if own is not None:
    raise own
  if len(failed):
    raise errors.UsageError(
      f'Process {failed[0]} of this run has stopped; it says why.'
    )


def in_first(fn: Callable) -> Callable:
  """Decorates a function so that only the first process runs it.

  All processes call it and get its result, which JSON can hold. If it raises an
  error, all processes stop.
  """

  @functools.wraps(fn)
  def call(*args: Any) -> Any:
    result = None
    with fail_together():
      if is_first():
        result = fn(*args)
    if alone():
      return result
    data = np.frombuffer(json.dumps(result).encode(), np.uint8)
    size = gather([len(data)])[0, 0]
    data = data if is_first() else np.zeros(size, np.uint8)
    return json.loads(multihost_utils.broadcast_one_to_all(data).tobytes())

  return call


def arrays_in_first(fn: Callable[[], PyTree], like: PyTree) -> PyTree:
  """Calls `fn` in the first process, and returns its arrays in all processes.

  Args:
    fn: returns arrays on the host. If it raises an error, all processes stop.
    like: the arrays' shapes and dtypes.
  """
  with fail_together():
    if is_first():
      arrays = fn()
    else:
      arrays = zeros(like)
  if alone():
    return arrays
  return multihost_utils.broadcast_one_to_all(arrays)


def zeros(like: PyTree) -> PyTree:
  """Returns arrays of zeros with the shapes and dtypes of `like`."""
  return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)


def gather(values: Sequence[int]) -> np.ndarray:
  """Returns each process's integers, [processes, n]."""
  values = np.asarray(values, np.int32)
  if alone():
    return values[None]
  return np.asarray(multihost_utils.process_allgather(values))


def check_same(what: str, *contents: bytes | np.ndarray) -> None:
  """Raises a UsageError if the processes have different contents."""
  if alone():
    return
  digest = 0
  for content in contents:
    digest = zlib.crc32(content, digest)
  digests = gather([digest >> 1])
  if (digests != digests[0]).any():
    raise errors.UsageError(
      f'{what} differ between the {len(digests)} processes of this run; start '
      'all of them with the same.'
    )
