import signal
import time

import pytest

from lconv_jax.runs import interrupt


@pytest.fixture(autouse=True)
def defaults():
  # A shell that starts the tests in the background lets SIGINT be ignored.
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  hup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
  yield
  signal.signal(signal.SIGINT, before)
  signal.signal(signal.SIGHUP, hup)


def test_a_closed_terminal_is_a_request_unless_it_shall_not_be():
  with interrupt.Watch() as watch:
    signal.raise_signal(signal.SIGHUP)
    assert watch.received == signal.SIGHUP
  signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
  with interrupt.Watch() as watch:
    signal.raise_signal(signal.SIGHUP)
    assert watch.received is None
  assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_signals_that_come_together_are_one_and_a_later_one_acts(monkeypatch):
  with interrupt.Watch() as watch:
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert watch.received == signal.SIGTERM
    later = time.monotonic() + 2
    monkeypatch.setattr(time, 'monotonic', lambda: later)
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)


def test_what_was_there_before_is_put_back():
  before = signal.getsignal(signal.SIGTERM)
  with interrupt.Watch():
    assert signal.getsignal(signal.SIGTERM) != before
  assert signal.getsignal(signal.SIGTERM) == before
