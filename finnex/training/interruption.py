"""Ctrl-C and SIGTERM while a network trains: deferred to the end of a batch, for a consistent saved state."""

from __future__ import annotations

import signal
import threading
from time import monotonic
from types import FrameType, TracebackType

HELD_BACK = (signal.SIGINT, signal.SIGTERM)
SAME_SECONDS = 2.0


class Interruption:
    """Holds a signal back until `deliver`; one that comes more than two seconds after it is delivered immediately.

    A launcher of several processes forwards a Ctrl-C that they have already received: it is not a second one.

    The handlers that were there before get the signal: a terminal's Ctrl-C is a `KeyboardInterrupt`, and a flow
    that is stopped ends as it always does. A signal that is ignored stays ignored, and outside the main thread,
    where no handler can be set, nothing is held back.
    """

    def __init__(self) -> None:
        self.requested = False
        self._number, self._since = signal.SIGINT, 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in HELD_BACK:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._hold)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._number, self._since = True, signal.Signals(number), monotonic()
        elif monotonic() - self._since > SAME_SECONDS:
            self.deliver()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}

    def deliver(self) -> None:
        """Deliver the signal to the previous handler. If that handler returns, training continues."""
        self._restore()
        signal.raise_signal(self._number)
        self.requested = False
