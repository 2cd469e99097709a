"""The journal: the change that a writer is about to make. After a crash the next writer replays it or rolls it back.

One entry at a time. It is on the disk before the first step, and is removed when the last step is on the disk; every
step is idempotent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from finnex.errors import StoreCorrupt
from finnex.store.keys import JOURNAL
from finnex.store.place import Place
from finnex.store.sealed import seal, unseal

LAY_OUT, EXTEND, PUBLISH, SET_STATUS, PREDICT, REMOVE, CHECK, INPUTS, LABELS, COMPACT, TAKE_OUT = (
    "lay_out", "extend", "publish", "set_status", "predict", "remove", "check", "inputs", "labels", "compact",
    "take_out",
)  # fmt: skip


@dataclass(frozen=True)
class Intent:
    """One change of a store: what is done, to which company, and all that the steps need."""

    action: str
    symbol: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def write_intent(place: Place, intent: Intent) -> None:
    """Write the entry; it survives a power cut when this returns."""
    place.put(JOURNAL, seal(asdict(intent)))
    place.sync()


def read_intent(place: Place, *, claim: bool = False) -> Intent | None:
    """Return the entry of a change that was begun and not finished, None where there is none.

    Parameters
    ----------
    claim
        Keep an earlier writer from writing another one; a new writer does.

    Raises
    ------
    StoreCorrupt
        The entry is damaged.
    """
    found = place.claim(JOURNAL) if claim else place.get(JOURNAL)
    if found is None:
        return None
    try:
        return Intent(**unseal(found))
    except (ValueError, TypeError):
        raise StoreCorrupt(
            f"{place.address}/{JOURNAL} is damaged. `finnex repair` removes it and checks every image."
        ) from None


def clear_intent(place: Place) -> None:
    """Make the steps survive a power cut, then remove the entry."""
    place.sync()
    place.delete(JOURNAL)
