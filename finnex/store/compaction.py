"""Compaction of a store: the closed years of its companies, one after the other, each a change of its own.

One process writes each shard whole: of two that write parts of one shard, Zarr loses one's without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from finnex.errors import StoreCorrupt, StoreError
from finnex.store.image_store import ImageStore
from finnex.store.verified import still_verified
from finnex.store.writer import StoreWriter
from finnex.store.year_changes import to_compact


@dataclass(frozen=True)
class CompactedYear:
    """A closed year of a company.

    Attributes
    ----------
    year
        The year; '' for all years of a company that cannot be read.
    images
        How many its shard holds, or would hold.
    left
        Why it was left as it is; '' where it was not.
    """

    symbol: str
    year: str
    images: int
    left: str = ""


def check_closed(before: int) -> None:
    """Make sure that all years before one are over.

    Raises
    ------
    StoreError
        They are not.
    """
    now = datetime.now(UTC).year
    if before > now:
        raise StoreError(
            f"--before {before} would compact {now}, which is not over: its sessions are still drawn. "
            f"The latest that can be given is --before {now}."
        )


def compaction_plan(store: ImageStore, before: int, symbols: Sequence[str]) -> list[CompactedYear]:
    """Return the years that a compaction would write; nothing is changed.

    Parameters
    ----------
    store
        The store.
    before
        The first year that is not compacted.
    symbols
        The companies.

    Returns
    -------
    list of CompactedYear
        By company, then year.

    Raises
    ------
    StoreError
        A year before it is not over.
    """
    check_closed(before)
    found = []
    for symbol in symbols:
        try:
            years = to_compact(store, symbol, before)
        except StoreCorrupt as error:
            found.append(CompactedYear(symbol, "", 0, str(error)))
        else:
            found += [CompactedYear(symbol, number, images) for number, images in years.items()]
    return found


def compact(
    store: StoreWriter,
    before: int,
    symbols: Sequence[str],
    on_year: Callable[[CompactedYear], None] = lambda _: None,
) -> list[CompactedYear]:
    """Compact the closed years of companies; call under `finnex.store.writing`.

    A year of which an image is damaged, and a company that cannot be read, are left as they are, and the others are
    compacted. What is interrupted is taken up by the next writer; the years that were not reached, by the next
    compaction.

    Parameters
    ----------
    store
        The store.
    before
        The first year that is not compacted.
    symbols
        The companies.
    on_year
        Called with each year when it is done.

    Returns
    -------
    list of CompactedYear
        Years that were compacted or left, by company, then year.

    Raises
    ------
    StoreError
        A year before it is not over, or a shard cannot be written.
    """
    done = []
    with still_verified(store, symbols):
        for planned in compaction_plan(store, before, symbols):
            found = planned
            if not planned.left:
                try:
                    found = replace(planned, images=store.compact(planned.symbol, planned.year))
                except StoreCorrupt as error:
                    found = replace(planned, images=0, left=str(error))
            done.append(found)
            on_year(found)
    return done
