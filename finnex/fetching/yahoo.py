"""Bars, splits and dividends from Yahoo Finance, read by yfinance."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from finnex.errors import FetchError, first_line
from finnex.fetching.asking import NotKept

if TYPE_CHECKING:
    from finnex.fetching.yahoo_session import ArchivedSession

BAR: Final = ("open", "high", "low", "close")
SIGNIFICANT = ".9g"
"""Yahoo's prices are 32-bit floats, which nine digits hold exactly."""


@dataclass(frozen=True)
class History:
    """One symbol's tables.

    Attributes
    ----------
    prices
        symbol, date, open, high, low, close, volume: adjusted for splits, not for dividends; prices as text.
    splits
        symbol, date, ratio (new shares for an old one): all up to the last closed session, which prices of any date
        are adjusted for.
    dividends
        symbol, date, amount: of a share of today.
    """

    prices: pd.DataFrame
    splits: pd.DataFrame
    dividends: pd.DataFrame


@contextmanager
def yfinance_apart() -> Iterator[None]:
    """Let yfinance raise what it would log, keep no caches and warn of nothing, for a while."""
    with warnings.catch_warnings():
        from yfinance.cache import set_cache_location  # noqa: PLC0415  of the extra
        from yfinance.config import YfConfig  # noqa: PLC0415
        from yfinance.data import YfData  # noqa: PLC0415

        # Its import asks Python to print its own deprecation warnings, which a user can do nothing about.
        warnings.simplefilter("ignore", DeprecationWarning)
        settings = YfConfig.debug
        hidden = settings.hide_exceptions
        # Where no folder can be made, yfinance goes without its databases, which else lie in the home.
        set_cache_location(f"{os.devnull}/none")
        settings.hide_exceptions = False
        try:
            yield
        finally:
            settings.hide_exceptions = hidden
            YfData.cache_get.cache_clear()


def fetch_history(symbol: str, start: date, end: date, closed: date, session: ArchivedSession) -> History:
    """Return a symbol's tables, from kept answers where all of them are kept.

    Parameters
    ----------
    symbol
        As Yahoo spells it, such as BRK-B.
    start, end
        First and last date of bars.
    closed
        The last session that has closed: splits up to it are taken, and no bar after it.
    session
        Asks Yahoo.

    Returns
    -------
    History
        Bars without a price are left out; there may be none until `end`.

    Raises
    ------
    FetchError
        Yahoo has no bars of the symbol, or its answer cannot be read.
    Unreachable
        Yahoo cannot be asked.
    """
    from yfinance.utils import is_isin  # noqa: PLC0415  of the extra

    if is_isin(symbol):
        raise FetchError(f"{symbol} is an ISIN, which Yahoo Finance has no bars under. Write its symbol, such as AAPL.")
    try:
        with session.replaying():
            frame = _history(symbol, start, closed, session)
    except NotKept:
        if session.asker.offline:
            raise
        frame = _history(symbol, start, closed, session)
    return _tables(symbol, frame, min(end, closed))


def _history(symbol: str, start: date, closed: date, session: ArchivedSession) -> pd.DataFrame:
    import yfinance  # noqa: PLC0415  of the extra

    try:
        frame: pd.DataFrame = yfinance.Ticker(symbol, session=session).history(
            start=start.isoformat(), end=(closed + timedelta(days=1)).isoformat(), auto_adjust=False, actions=True
        )
    except FetchError:
        raise
    except Exception as error:  # a library's errors over a server's answer: KeyError, ValueError, its own
        raise FetchError(
            f"Yahoo Finance gives no bars of {symbol} from {start} to {closed} ({_reason(error, symbol)}). Check "
            "the spelling (Yahoo writes BRK-B, ^GSPC) and the dates."
        ) from None
    return frame


def _reason(error: Exception, symbol: str) -> str:
    said = first_line(error).removeprefix(f"${symbol}: ").removeprefix(f"{symbol}: ").rstrip(".")
    return f"{type(error).__name__}: {said}"[:200]


def _tables(symbol: str, frame: pd.DataFrame, end: date) -> History:
    frame = frame.rename(columns=str.lower)
    table = pd.DataFrame({"symbol": symbol, "date": [day.date() for day in frame.index]})
    for name in (*BAR, "volume", "stock splits", "dividends"):
        table[name] = frame[name].to_numpy()
    splits = table.loc[table["stock splits"] > 0, ["symbol", "date", "stock splits"]]
    table = table[table["date"] <= end]
    dividends = table.loc[table["dividends"] > 0, ["symbol", "date", "dividends"]]
    bars = table[(table[list(BAR)] > 0).all(axis=1)].copy()
    for name in BAR:
        bars[name] = [format(value, SIGNIFICANT) for value in bars[name]]
    bars["volume"] = bars["volume"].astype("int64")
    return History(
        bars[["symbol", "date", *BAR, "volume"]],
        splits.rename(columns={"stock splits": "ratio"}),
        dividends.rename(columns={"dividends": "amount"}),
    )
