"""What of the tables meets no symbol and no session of the run: sound rows that no image shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

import numpy as np
import pandas as pd

from finnex.config import Config
from finnex.data.names import EVENTS, SERIES
from finnex.data.peers import no_peers
from finnex.data.remarks import rows_by_symbol, some
from finnex.data.tables import Tables
from finnex.errors import nearest, shortened

OTHER_SECURITIES = frozenset(
    ("A", "B", "C", "D", "K", "P", "PR", "PRA", "PRB", "PRC", "PRD", "W", "WS", "WT", "U", "UN", "R", "RT")
)
"""After a company's symbol: another class of its shares, a preferred share, warrant, unit or right. No spelling."""
LEAST_SHARE = 0.1
"""Of a symbol's rows, those under another spelling of it."""
CARRIED = timedelta(days=400)
"""How long figures that come by the month, quarter or year may be older than the first bar."""
SLOW = ("macro", "fundamentals", "competitive")
BY_SYMBOL = ("fundamentals", "sentiment", "competitive", "options", "enhanced", "splits")


def matches_no_symbol(tables: Tables, config: Config) -> list[str]:
    """Say which rows have another spelling of a configured symbol, or concern no company of the run."""
    return [
        *no_peers(config, tables.prices["symbol"].unique(), tables.universe),
        *_spellings(tables, config),
        *_no_splits(tables, config),
        *_no_own_row(tables, config),
    ]


def _spellings(tables: Tables, config: Config) -> Iterator[str]:
    priced = set(tables.prices["symbol"].unique())
    for table in BY_SYMBOL:
        frame = getattr(tables, table)
        if frame is None:
            continue
        rows = rows_by_symbol(frame)
        spelt = _Spellings(str(name) for name in rows if name not in priced)
        for symbol in config.symbols:
            strange = spelt.of(symbol)
            count = sum(rows[name] for name in strange)
            total = count + rows.get(symbol, 0)
            # Without any row of its own, the table has its features not known: that is said, with the nearest symbol.
            if count and count >= LEAST_SHARE * total and (count < total or table == "splits"):
                yield (
                    f"{table} of {symbol}: {count} of {total} rows ({count / total:.0%}) are under {some(strange)}, "
                    f"which nothing reads. If it is the same share, write {symbol}."
                )


class _Spellings:
    """Symbols by the words that they consist of, so that spellings of many are found without comparing all with all."""

    def __init__(self, given: Iterable[str]) -> None:
        self._named: dict[tuple[str, ...], list[str]] = {}
        for name in given:
            market, _, rest = name.upper().rpartition(":")
            words = _words(rest if market else name)
            self._named.setdefault(words, []).append(name)
            if words[:-1] and words[-1] not in OTHER_SECURITIES:  # the market, after the symbol
                self._named.setdefault(words[:-1], []).append(name)

    def of(self, symbol: str) -> list[str]:
        """Return other ways to write a symbol: capitals, a separator, a market before or after it."""
        return self._named.get(_words(symbol), [])


def _words(symbol: str) -> tuple[str, ...]:
    return tuple(re.findall("[A-Z0-9]+", symbol.upper()))


def _no_splits(tables: Tables, config: Config) -> Iterator[str]:
    if tables.splits is None:
        return
    given, priced = list(rows_by_symbol(tables.splits)), set(tables.prices["symbol"].unique())
    spelt = _Spellings(map(str, given))
    if priced.isdisjoint(given) and not any(spelt.of(symbol) for symbol in config.symbols):
        yield (
            f"splits: {some(given)} {'has' if len(given) == 1 else 'have'} no prices, so no split is made use of. "
            f"{nearest(given[0], priced)} Check the symbol's name."
        )


def _no_own_row(tables: Tables, config: Config) -> Iterator[str]:
    if tables.competitive is None:
        return
    peers_of = tables.competitive.groupby("symbol")["peer"].unique()
    for symbol in config.symbols:
        peers = peers_of[symbol].tolist() if symbol in peers_of.index else []
        if peers and symbol not in peers:
            yield (
                f"competitive of {symbol}: the rows are of {some(peers)} and none is the company's own (peer = "
                f"{symbol}), so its rank among them is not known. {nearest(symbol, peers)} Add its rows."
            )


def meets_no_session(tables: Tables, config: Config) -> list[str]:
    """Say of which tables every row became known after the last bar, or long before the first."""
    days = tables.prices.groupby("symbol")["date"].agg(["min", "max"])
    days = days[days.index.isin(config.symbols)]
    if days.empty:
        return []
    run = days["min"].min(), days["max"].max()
    bars = {str(symbol): (first, last) for symbol, first, last in days.itertuples()}
    found = [*_misses(_macro(tables, config), run, "macro: the series", slow=True)]
    for table in ("fundamentals", "sentiment", "competitive", "options", "enhanced"):
        frame = getattr(tables, table)
        if frame is None:
            continue
        column = next(name for name in ("available", "timestamp", "date") if name in frame.columns)
        spans = frame.groupby("symbol")[column].agg(["min", "max"])
        for symbol, first, last in spans[spans.index.isin(list(bars))].itertuples():
            found += _misses({symbol: (first, last)}, bars[symbol], f"{table} of", slow=table in SLOW)
    if tables.events is not None:
        known = tables.events[tables.events["name"].str.upper().isin(EVENTS)]
        names = known.groupby(known["name"].str.upper())
        limits = {str(name): (rows["announced"].min(), rows["date"].max()) for name, rows in names}
        found += _misses(limits, run, "events:", slow=False)
    return found


def _macro(tables: Tables, config: Config) -> dict[str, tuple[pd.Timestamp, pd.Timestamp]]:
    if tables.macro is None:
        return {}
    read = tables.macro[tables.macro["series"].isin([*SERIES, *config.sectors])]
    quote = read["series"].isin(list(config.inputs.quote_delay_minutes))
    known = read["available"].where(~quote, read["date"]).groupby(read["series"])
    return {str(name): (rows.min(), rows.max()) for name, rows in known}


def _misses(
    limits: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]],
    bars: tuple[pd.Timestamp, pd.Timestamp],
    what: str,
    *,
    slow: bool,
) -> Iterator[str]:
    """Yield one sentence for all whose rows (first and last, when they became known) lie outside the bars."""
    first, last = bars[0] - (CARRIED if slow else timedelta()), bars[-1] + timedelta(days=1)
    out = {name: span for name, span in limits.items() if span[1] < first or span[0] >= last}
    if out:
        spans = np.array([[one.to_datetime64() for one in span] for span in out.values()]).astype("datetime64[D]")
        yield (
            f"{what} {some([shortened(name) for name in out])}: the rows became known from {spans.min()} to "
            f"{spans.max()}, and the bars are of {bars[0].date()} to {bars[-1].date()}; no session can use them. "
            "Check the dates."
        )
