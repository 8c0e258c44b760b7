"""Lock that keeps a second process out of a folder."""

import contextlib
import errno
import fcntl
import functools
import os
import pathlib
import platform
from collections.abc import Iterator

from absl import logging

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # Lustre, some NFS


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
  """Holds a lock file, which meanwhile names this process.

  If the file system has no locks, a warning is logged instead.

  Raises:
    BlockingIOError: another process holds the lock.
    OSError: the file cannot be written.
  """
  with path.open('a') as f:
    try:
      fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
      if e.errno not in _NO_LOCKS:
        raise
      _warn(path.parent, e.strerror)
    f.truncate(0)
    f.write(f'{platform.node()} {os.getpid()}')
    f.flush()
    try:
      yield
    finally:
      with contextlib.suppress(OSError):
        f.truncate(0)


def held(path: pathlib.Path) -> bool:
  """Returns whether the process that a lock file names is alive.

  A process that was killed on another machine counts as alive.
  """
  try:
    host, pid = path.read_text(encoding='utf-8').split()
    if host == platform.node():
      os.kill(int(pid), 0)  # asks only
  except PermissionError:  # alive, of another user
    return True
  except (OSError, ValueError):
    return False
  return True


@functools.cache  # once for each folder
def _warn(folder: pathlib.Path, reason: str) -> None:
  logging.warning(
    '%s is on a file system without locks (%s): make sure yourself that only '
    'one process writes there.',
    folder,
    reason,
  )
