"""SIGTERM, SIGHUP and Ctrl-C as requests, which the training loop asks for."""

import signal
import threading
import time
from types import FrameType, TracebackType

from lconv_jax.runs import hosts

# A terminal that is closed sends SIGHUP.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SAME_S = 1.0  # SLURM sends SIGTERM twice within milliseconds


class Interrupted(Exception):
  """A signal has stopped a run, which is saved and can be continued."""

  def __init__(self, received: signal.Signals, message: str) -> None:
    """Keeps the signal, as the exit status is 128 + its number."""
    super().__init__(message)
    self.received = received


class Watch:
  """Context in which the first signal is noted; a later one acts as usual."""

  def __init__(self) -> None:
    """Has received nothing yet."""
    self.received: signal.Signals | None = None
    self._when = 0.0
    self._previous = {}

  def __enter__(self) -> 'Watch':
    """Installs the handlers, which only the main thread can do."""
    if threading.current_thread() is threading.main_thread():
      for s in SIGNALS:
        self._previous[s] = signal.signal(s, self._note)
      if self._previous[signal.SIGHUP] is signal.SIG_IGN:  # under nohup
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return self

  def __exit__(
    self,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    """Puts the previous handlers back."""
    self._restore()

  def asked(self) -> signal.Signals | None:
    """Returns the signal that any process of the run has received."""
    number = hosts.gather([self.received or 0]).max()
    return signal.Signals(number) if number else None

  def _note(self, number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if self.received is None:
      self.received, self._when = signal.Signals(number), now
    elif now - self._when > _SAME_S:
      self._restore()
      signal.raise_signal(number)

  def _restore(self) -> None:
    for s, handler in self._previous.items():
      signal.signal(s, handler)
    self._previous = {}
