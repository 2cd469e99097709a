"""The states of a session in a store, and what may lead from one to another."""

from __future__ import annotations

from typing import NamedTuple

from finnex.errors import StoreError

EMPTY, READY, FAILED, NO_BAR, QUARANTINED, DRAFTED = 0, 1, 2, 3, 4, 5
STORED_STATES = {EMPTY: "empty", READY: "ready", FAILED: "failed", NO_BAR: "no_bar", QUARANTINED: "quarantined"}
"""What the array `status` may hold."""
STATUS_WORDS = STORED_STATES | {DRAFTED: "drafted"}
"""`drafted` is not stored: a session is drafted while the journal names its draft and it has no earlier image."""


class Transition(NamedTuple):
    """One way from a state to another."""

    source: int
    event: str
    target: int


TRANSITIONS = (
    Transition(EMPTY, "a draft is checked", DRAFTED),
    Transition(FAILED, "a draft is checked", DRAFTED),
    Transition(NO_BAR, "a draft is checked", DRAFTED),
    Transition(DRAFTED, "published", READY),
    Transition(EMPTY, "published", READY),
    Transition(FAILED, "published", READY),
    Transition(NO_BAR, "published", READY),
    Transition(READY, "published", READY),
    Transition(QUARANTINED, "published", READY),  # its inputs have changed
    Transition(QUARANTINED, "drawn again from the same inputs", QUARANTINED),
    Transition(EMPTY, "drawing failed", FAILED),
    Transition(NO_BAR, "drawing failed", FAILED),
    Transition(FAILED, "drawing failed", FAILED),
    Transition(EMPTY, "has no bar", NO_BAR),
    Transition(FAILED, "has no bar", NO_BAR),
    Transition(READY, "has no bar", NO_BAR),
    Transition(QUARANTINED, "has no bar", NO_BAR),
    Transition(READY, "quarantined", QUARANTINED),
    Transition(QUARANTINED, "released", READY),
    Transition(READY, "found damaged", EMPTY),
    Transition(QUARANTINED, "found damaged", EMPTY),
)
"""Every transition. Where drawing fails for a session that is ready or quarantined, its image stays as it was."""


def check_transition(symbol: str, source: int, event: str, target: int) -> None:
    """Make sure that an event may lead from one state to another.

    Parameters
    ----------
    symbol
        Symbol of the session, for the message.
    source
        Code of the state that it is in.
    event
        What happens to it.
    target
        Code of the state that it would be in.

    Raises
    ------
    StoreError
        `TRANSITIONS` has no such line.
    """
    if Transition(source, event, target) not in TRANSITIONS:
        raise StoreError(
            f"a session of {symbol} that is {STATUS_WORDS.get(source, source)} cannot become "
            f"{STATUS_WORDS.get(target, target)} by '{event}'. `finnex info` lists the states of its sessions."
        )
