"""What the tables of a run do not give to features: tables, series, sources, columns and sessions that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from finnex.config.inputs import REFERENCE_FUNDS
from finnex.data.names import EVENTS, METRICS, SERIES
from finnex.data.readers import SENTIMENT_SOURCES
from finnex.data.remarks import some
from finnex.data.tables import Tables
from finnex.pipeline.run_inputs import Run

MARKET_FUND = REFERENCE_FUNDS[0]
"""What a company's moves are compared with."""
LONG_HISTORY = 504
"""Sessions after which no feature waits for more of them: none looks further back (CONTRIBUTING.md)."""

MOST_NAMED = 12
"""Names of one kind that are listed."""


def lacking(run: Run, symbols: Sequence[str], *, every: bool = False) -> dict[str, str]:
    """Return what is missing in each table of the catalogue: why features of it may have no value.

    Parameters
    ----------
    run
        Inputs that were read and checked.
    symbols
        Symbols whose rows are looked for.
    every
        Name all that is missing; else, of more than `MOST_NAMED`, the first three and the number of others.

    Returns
    -------
    dict
        Table to a clause without a full stop, such as `the table is not given`; '' where nothing is missing.
    """
    tables = dict.fromkeys(entry.table for entry in run.layout.catalogue.entries)
    return {name: "; ".join(_of_table(run, name, symbols, every=every)) for name in tables}


def _of_table(run: Run, name: str, symbols: Sequence[str], *, every: bool) -> Iterator[str]:
    tables = run.tables

    def listed(words: Iterable[str]) -> str:
        found = list(words)
        return ", ".join(found) if every or len(found) <= MOST_NAMED else some(found)

    last = tables.prices.loc[tables.prices["symbol"].isin(symbols), "date"].max()
    if name == "prices":
        yield from _of_prices(
            tables, run, symbols, listed([one for one in (MARKET_FUND, *run.config.sectors) if not _has(tables, one)])
        )
        return
    if name == "calendar":
        return
    frame = getattr(tables, name)
    if frame is None:
        yield "the table is not given"
    elif name == "macro":
        if absent := [one for one in SERIES if not _has(tables, one)]:
            yield f"no rows of {listed(absent)}"
    elif name == "sentiment":
        own = set(frame.loc[frame["symbol"].isin(symbols) & (frame["timestamp"] < _after(last)), "source"])
        if absent := [one for one in SENTIMENT_SOURCES if one not in own]:
            yield f"no rows with the source {listed(absent)} up to the last bar"
    elif name == "events":
        if absent := [one for one in EVENTS if one not in set(frame["name"].str.upper())]:
            yield f"no rows of {listed(absent)}"
    elif name == "fundamentals":
        own = frame[frame["symbol"].isin(symbols)]
        known = own[own["available"] < _after(last)]
        if absent := [one for one in METRICS if one not in known or known[one].isna().all()]:
            yield f"no value of {listed([_since(own, one) for one in absent])} up to the last bar"
    elif not frame["symbol"].isin(symbols).any():
        yield f"no rows of {listed(symbols)}"


def _of_prices(tables: Tables, run: Run, symbols: Sequence[str], funds: str) -> Iterator[str]:
    if funds:
        yield f"no bars of {funds}"
    bars = tables.prices[tables.prices["symbol"].isin(symbols)].groupby("symbol").size()
    if len(bars) and bars.max() < LONG_HISTORY:
        yield f"{bars.max()} sessions, and some features look back over up to {LONG_HISTORY}"


def _has(tables: Tables, name: str) -> bool:
    """Return whether a series or fund has rows."""
    macro = tables.macro is not None and bool((tables.macro["series"] == name).any())
    return macro or bool((tables.prices["symbol"] == name).any())


def _after(day: pd.Timestamp) -> np.datetime64:
    return (day + pd.Timedelta("1D")).to_datetime64()


def _since(own: pd.DataFrame, name: str) -> str:
    """Return a metric, with the day from which it would be known where that is after the last bar."""
    given = own.loc[own[name].notna(), "available"] if name in own else own["available"][:0]
    return name if given.empty else f"{name} (the first is known on {given.min().date()})"
