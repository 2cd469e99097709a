"""The scrub: every build reads a share of the published images and compares them with their checksums.

The images that were read the longest time ago come first: a cursor goes round all companies and sessions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from finnex.store.place import Place, place_of
from finnex.store.sealed import seal, unseal
from finnex.store.states import QUARANTINED, READY
from finnex.store.writer import StoreWriter

SCRUB = ".finnex/scrub.json"
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Scrub:
    """The latest scrub of a store.

    Attributes
    ----------
    at
        When it ended: ISO 8601, UTC.
    symbol, day
        The image that was read last; the next scrub begins after it.
    images
        How many were read.
    damaged
        Days of the images whose bytes are not those that were published, by symbol.
    finished
    Companies whose last image was read, or which have none: their turn is over.
    """

    at: str
    symbol: str
    day: date
    images: int
    damaged: dict[str, list[date]] = field(default_factory=dict)
    finished: tuple[str, ...] = ()


_parsed: TypeAdapter[Scrub] = TypeAdapter(Scrub)


def last_scrub(place: Place) -> Scrub | None:
    """Return the latest scrub, None where there was none; a file that is damaged counts as none."""
    found = place.get(SCRUB)
    try:
        return None if found is None else _parsed.validate_python(unseal(found))
    except (ValueError, ValidationError):
        return None


def scrub(store: StoreWriter, share: float, but: Collection[str] = ()) -> Scrub | None:
    """Read a share of the published and quarantined images; call under `finnex.store.writing`.

    A store is scrubbed once a day (UTC), however many builds there are.

    An image that is damaged loses its `image_tag`, so that `StoreWriter.lost` reads it: a build that covers it draws it
    again.

    Parameters
    ----------
    store
        The store.
    share
        Which part of the images is read, from 0 (none) to 1 (all); rounded up to whole images.
    but
        Companies whose small arrays are damaged: their images cannot be checked.

    Returns
    -------
    Scrub or None
        What was read and found; None where nothing was read.
    """
    place = place_of(str(store.path))
    before = last_scrub(place)
    if share == 0:
        return None
    if before is not None and before.at[:10] == str(datetime.now(UTC).date()):
        return None
    drawn = {symbol: _drawn(store, symbol) for symbol in store.symbols if symbol not in but}
    wanted = math.ceil(share * sum(map(len, drawn.values())))
    damaged: dict[str, list[date]] = {}
    finished: list[str] = []
    read, last, day = 0, "", date.min
    for symbol, rows in _in_turn(store, drawn, before):
        if read == wanted:
            break
        if not len(rows):
            finished.append(symbol)
            continue
        taken = rows[: wanted - read]
        days = store.values(symbol, "date").astype("datetime64[D]")
        read, last, day = read + len(taken), symbol, days[taken[-1]].item()
        if taken[-1] == drawn[symbol][-1]:
            finished.append(symbol)
        if len(found := store.damaged(symbol, taken)):
            store.forget_tags(symbol, found)
            damaged.setdefault(symbol, []).extend(days[found].tolist())
    if not read:
        return None
    done = Scrub(datetime.now(UTC).isoformat(timespec="seconds"), last, day, read, damaged, tuple(finished))
    place.put(SCRUB, seal(_parsed.dump_python(done, mode="json")))
    place.sync()
    return done


def _drawn(store: StoreWriter, symbol: str) -> Rows:
    return np.flatnonzero(np.isin(store.values(symbol, "status"), (READY, QUARANTINED)))


def _in_turn(store: StoreWriter, drawn: dict[str, Rows], before: Scrub | None) -> Iterator[tuple[str, Rows]]:
    """Yield companies with the rows of their images, from the one after the latest scrub's last image on, and round."""
    ordered = sorted(drawn)
    if before is None:
        yield from ((symbol, drawn[symbol]) for symbol in ordered)
        return
    later = [symbol for symbol in ordered if symbol > before.symbol]
    earlier = [symbol for symbol in ordered if symbol < before.symbol]
    split: list[Rows] = []
    if before.symbol in drawn:
        days = store.values(before.symbol, "date").astype("datetime64[D]")[drawn[before.symbol]]
        cut = int(np.searchsorted(days, np.datetime64(before.day, "D"), side="right"))
        split = [drawn[before.symbol][cut:], drawn[before.symbol][:cut]]
    if split and len(split[0]):
        yield before.symbol, split[0]
    yield from ((symbol, drawn[symbol]) for symbol in (*later, *earlier))
    if split and len(split[1]):
        yield before.symbol, split[1]
