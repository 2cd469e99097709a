"""Signals that end a process which supervises servers: each unwinds it, so that no server is left.

Ctrl-C already raises `KeyboardInterrupt`. SIGTERM (systemd, cron, `timeout`) and SIGHUP (a terminal that closes) would
end the process immediately, and its servers, which have sessions of their own, would continue.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from time import monotonic

ENDING = (signal.SIGTERM, signal.SIGHUP)
SAME_SECONDS = 2.0
"""`timeout` sends its signal twice: the second one must not interrupt what the first one makes the process do."""


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `KeyboardInterrupt`, so that they unwind like Ctrl-C.

    A signal that is ignored (`nohup`) or has a handler keeps it, and outside the main thread, where no handler can be
    set, nothing changes.
    """
    last = -SAME_SECONDS

    def interrupt(number: int, frame: object) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= SAME_SECONDS:
            last = now
            raise KeyboardInterrupt

    changed = [one for one in ENDING if _in_main_thread() and signal.getsignal(one) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def no_interruption() -> Iterator[None]:
    """Ignore the signals that end a process, so that a second Ctrl-C does not leave half a stack behind."""
    if not _in_main_thread():
        yield
        return
    earlier = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *ENDING)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let a signal that has a handler wait until the block has ended.

    The block starts a process and notes it: an exception between the two would leave a process that is not known.
    """
    arrived: list[int] = []
    earlier = {}
    if _in_main_thread():
        earlier = {one: signal.getsignal(one) for one in (signal.SIGINT, *ENDING) if callable(signal.getsignal(one))}
        for number in earlier:
            signal.signal(number, lambda one, frame: arrived.append(one))
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    for late in dict.fromkeys(arrived):
        signal.raise_signal(late)
