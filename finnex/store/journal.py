"""The journal: the change that a writer is about to make. After a crash the next writer replays it or rolls it back.

One entry at a time. It is on the disk before the first step, and is removed when the last step is on the disk; every
step is idempotent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from finnex.errors import StoreCorrupt
from finnex.store.keys import JOURNAL
from finnex.store.place import Place
from finnex.store.sealed import seal, unseal

ENSURE, PUBLISH, SET_STATUS, PREDICT, REMOVE, CHECK, INPUTS, COMPACT, TAKE_OUT = (
    "ensure", "publish", "set_status", "predict", "remove", "check", "inputs", "compact", "take_out",
)  # fmt: skip

OF_COMPANIES = ("new", "days", "kinds")
"""Details of `ENSURE`: companies that are laid out, longer axes by company, kinds of labels that are added."""


@dataclass(frozen=True)
class Intent:
    """One change of a store: what is done, to which company, and all that the steps need.

    An entry of several companies has no symbol; `ENSURE` has them in its details.
    """

    action: str
    symbol: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def symbols(self) -> set[str]:
        """The companies that it names."""
        named = {self.symbol} - {""}
        return named.union(*(self.details[part] for part in OF_COMPANIES)) if self.action == ENSURE else named

    def without(self, symbol: str) -> Intent | None:
        """Return the entry without a company, None where it has no other."""
        if self.symbols == {symbol}:
            return None
        if symbol not in self.symbols:
            return self
        kept = {
            part: [one for one in known if one != symbol]
            if isinstance(known := self.details[part], list)
            else {name: one for name, one in known.items() if name != symbol}
            for part in OF_COMPANIES
        }
        return replace(self, details=self.details | kept)


def write_intent(place: Place, intent: Intent) -> None:
    """Write the entry; it survives a power cut when this returns."""
    place.put(JOURNAL, seal(vars(intent)))
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
        return _as_written_now(Intent(**unseal(found)))
    except (ValueError, TypeError, KeyError):
        raise StoreCorrupt(
            f"{place.address}/{JOURNAL} is damaged. `finnex repair` removes it and checks every image."
        ) from None


def _as_written_now(intent: Intent) -> Intent:
    """Return an entry that an earlier version wrote, one for each company, as this version writes it."""
    symbol, details = intent.symbol, intent.details
    found: dict[str, Any] = {"new": [], "days": {}, "kinds": {}, "generation": details.get("generation", 0)}
    match intent.action:
        case "lay_out":
            found["new"] = [symbol]
        case "extend":
            found["days"] = {symbol: details["days"]}
        case "labels":
            found["kinds"] = {symbol: details["kinds"]}
        case _:
            return intent
    return Intent(ENSURE, details=found)


def clear_intent(place: Place) -> None:
    """Make the steps survive a power cut, then remove the entry."""
    place.sync()
    place.delete(JOURNAL)
