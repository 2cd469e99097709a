"""The store of a run, opened for writing: damage is repaired, and no image is removed because inputs are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from finnex.data.calendar import Days
from finnex.data.features import symbol_bars, symbol_calendar
from finnex.errors import InputError, Problem, StoreCorrupt
from finnex.pipeline.inputs import Run
from finnex.store import QUARANTINED, READY, Finding, ImageStore, StoreWriter, holds_a_store, restore
from finnex.store_path import StorePath

NAMED = 6
"""Most repairs that are named."""


@dataclass(frozen=True)
class Opened:
    """A store that is open for writing.

    Attributes
    ----------
    mended
        What was damaged and is mended, in one sentence; '' where nothing was.
    blocked
        Why a company cannot be written to before an operator has agreed to a loss, by its symbol.
    """

    store: StoreWriter
    mended: str = ""
    blocked: Mapping[str, str] = field(default_factory=dict)

    def refuse(self, symbols: Iterable[str]) -> None:
        """Report the companies of which nothing was drawn; call when the others are drawn.

        Raises
        ------
        StoreCorrupt
            One of the symbols is blocked.
        """
        if said := [self.blocked[symbol] for symbol in symbols if symbol in self.blocked]:
            raise StoreCorrupt("\n".join([*said, "What was asked for of other companies is drawn."]))


def open_for_writing(run: Run, *, force: bool = False) -> Opened:
    """Open the run's store for writing, making it where there is none. Call under `finnex.store.writing`.

    Damage that can be repaired without loss is repaired. A company where something would be lost is blocked and left
    as it is; the others are drawn.

    Raises
    ------
    InputError
        The prices lack bars of sessions that have an image, and not `force`; with a line for each symbol. All
        configured symbols are looked at, whichever are drawn: the others are their peers.
    StoreError
        The store was made for other images, or cannot be written.
    StoreCorrupt
        What all companies need is damaged, and only `finnex repair` can make it again.
    """
    path, found = run.config.store.path, []
    if holds_a_store(path):
        ImageStore.open(path)  # what the store itself is made for is never taken from the run
        found = restore(path, run.template)
    if common := [finding for finding in found if finding.lost and not finding.symbol]:
        raise StoreCorrupt(f"{path}/{common[0].where} is damaged. `finnex repair` asks before it makes it anew.")
    lost = [finding for finding in found if finding.lost]
    blocked = {finding.symbol: _why_blocked(path, finding) for finding in lost}
    opened = Opened(StoreWriter.prepare(path, run.template), _mended([one for one in found if not one.lost]), blocked)
    if not force:
        _refuse_lost_bars(run, opened.store, [symbol for symbol in run.config.symbols if symbol not in blocked])
    return opened


def _why_blocked(path: StorePath, finding: Finding) -> str:
    return (
        f"{path}: {finding.where} is damaged, and nothing of {finding.symbol} is drawn. To be lost: {finding.lost}. "
        "Put the files back, or run: finnex repair, which asks before it gives that up."
    )


def _mended(found: Sequence[Finding]) -> str:
    if not found:
        return ""
    shown = "; ".join(f"{finding.where} ({finding.what})" for finding in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"The store was damaged and is mended: {shown}{more}."


def _refuse_lost_bars(run: Run, store: ImageStore, symbols: Iterable[str]) -> None:
    problems = []
    for symbol in symbols:
        days = _lost_bars(run, store, symbol)
        if len(days):
            problems.append(
                Problem(
                    str(run.config.inputs.prices or run.config.inputs.enhanced),
                    f"has no bar of {symbol} on {len(days)} sessions that have an image in {run.config.store.path}, "
                    f"from {days[0]} to {days[-1]}",
                    "Give the rows back; or, if they were wrong, draw this range again by force, which takes these "
                    "images out.",
                )
            )
    if problems:
        raise InputError(problems)


def take_out_lost_bars(run: Run, store: StoreWriter, symbol: str, start: date | None, end: date | None) -> None:
    """Mark sessions of a range that have lost their bar as without a bar: their images are no longer shown."""
    days = _lost_bars(run, store, symbol)
    if start is not None:
        days = days[days >= np.datetime64(start, "D")]
    if end is not None:
        days = days[days <= np.datetime64(end, "D")]
    if len(days):
        store.mark_no_bar(symbol, np.searchsorted(store.state(symbol).days, days))


def _lost_bars(run: Run, store: ImageStore, symbol: str) -> Days:
    """Return the sessions of a symbol that have an image and, in the inputs of now, no bar."""
    if symbol not in store.symbols:
        return np.array([], dtype="datetime64[D]")
    calendar = symbol_calendar(run.tables, run.config, symbol)
    traded = calendar.days[symbol_bars(run.tables, symbol, calendar).index.to_numpy(dtype=np.intp)]
    state = store.state(symbol)
    published = state.days[np.isin(state.status, (READY, QUARANTINED))]
    lost: Days = published[~np.isin(published, traded)]
    return lost
