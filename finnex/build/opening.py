"""The store of a run, opened for writing: inputs that were cut short must not take images away."""

from __future__ import annotations

from datetime import date

import numpy as np

from finnex.build.run import Run
from finnex.data.calendar import Days
from finnex.data.features import symbol_bars, symbol_calendar
from finnex.errors import InputError, Problem
from finnex.store import QUARANTINED, READY, ImageStore, StoreWriter


def open_for_writing(run: Run, *, force: bool = False) -> StoreWriter:
    """Open the run's store for writing, making it where there is none. Call under `finnex.store.writing`.

    Raises
    ------
    InputError
        The prices lack bars of sessions that have an image, and not `force`; with a line for each symbol. All
        configured symbols are looked at, whichever are drawn: the others are their peers.
    StoreError
        The store was made for other images, or cannot be written.
    """
    store = StoreWriter.prepare(run.config.store.path, run.template)
    if not force:
        _refuse_lost_bars(run, store)
    return store


def _refuse_lost_bars(run: Run, store: ImageStore) -> None:
    problems = []
    for symbol in run.config.symbols:
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
    """Make the sessions of a range whose bar is gone sessions without a bar: their images are no longer shown."""
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
