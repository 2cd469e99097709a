"""Quotes of other markets against the session's decision: the close of a market that closes later is not known yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.declarations import Declared
from finnex.config.inputs import AMERICAN_QUOTES_MINUTES
from finnex.data.calendar import SessionCalendar, session_calendar
from finnex.data.names import SERIES_ALIASES

AMERICAN_QUOTES: Final = frozenset(
    (
        *("VIX", "VIXCLS", "VXN", "VVIX", "SKEW", "OVX", "GVZ", "SP500", "NASDAQCOM", "DJIA"),
        *("DGS1MO", "DGS3MO", "DGS2", "DGS5", "DGS10", "DGS30", "DTB3", "T10Y2Y", "T10Y3M"),
        *("DCOILWTICO", "BAMLH0A0HYM2"),
    )
)
"""Daily series made from New York's (or Chicago's) close of their date, as their sources name them: Cboe, the H.15
release, FRED."""
AMERICAN_FUNDS: Final = frozenset(
    (
        *("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"),
        *("SPY", "QQQ", "IWM", "DIA", "VTI", "VOO", "IVV", "TLT", "GLD", "HYG", "LQD", "EEM", "EFA"),
    )
)
"""Funds that trade in New York."""
AMERICAN_SERIES: Final = (
    AMERICAN_QUOTES
    | {SERIES_ALIASES[name] for name in AMERICAN_QUOTES if name in SERIES_ALIASES}
    | AMERICAN_FUNDS
    | AMERICAN_QUOTES_MINUTES.keys()
)
"""The same as the macro table names them, and the funds that it may hold."""
HOME: Final = "XNYS"
LEAST_HOLIDAYS = 4
"""Sessions of the calendar on which New York is closed, from which a symbol's missing bars say where it trades."""
EARLY_SHARE = 0.05


def quotes_of_other_markets(
    macro: pd.DataFrame | None,
    prices: pd.DataFrame,
    calendar: SessionCalendar,
    quote_delay_minutes: Mapping[str, int],
    others: Collection[str],
) -> list[Declared]:
    """Find American quotes that enter a session which is decided before New York closes.

    Parameters
    ----------
    macro
        Macro table; None where there is none.
    prices
        Prices table: symbol, date and bars.
    calendar
        Sessions of the exchange and their decision times.
    quote_delay_minutes
        Macro series to the minutes after the close of its date from which its quote is known.
    others
        Symbols of the prices table that features read, in addition to the symbol itself.

    Returns
    -------
    list of Declared
        Findings of the kind `quotes_from_the_future`, each with the rows it is about.
    """
    first, last = calendar.days[0].item(), calendar.days[-1].item()
    home = session_calendar(HOME, first, last)
    found: list[Declared] = []
    if macro is not None:
        found += _quotes(macro, calendar, home, quote_delay_minutes)
        found += _before_their_close(macro, home, quote_delay_minutes)
    listed = american_listings(prices, calendar, home, others)
    rows = prices["symbol"].isin(listed).to_numpy()
    if listed and rows.any():
        days = prices.loc[rows, "date"].to_numpy().astype("datetime64[D]")
        early, example, hours = _early(days, calendar, home, 0)
        if early:
            text = (
                f"{', '.join(listed[:4])}{' and others' if len(listed) > 4 else ''} trade in New York, and {early} of "
                f"their bars enter the session of their own date, decided {hours:.1f} hours before New York closes, "
                f"such as that of {example}."
            )
            remedy = (
                "Name sectors and peers of the exchange's own market, or none, and take these symbols out of the "
                "prices table: without named peers every symbol of it that is no sector fund is one."
            )
            found.append(Declared(Finding("quotes_from_the_future", "prices", (), text, remedy), rows))
    return found


def american_listings(
    prices: pd.DataFrame, calendar: SessionCalendar, home: SessionCalendar, others: Collection[str]
) -> list[str]:
    """Return the symbols that trade in New York: its known funds, and those without a bar on all of its holidays.

    Parameters
    ----------
    prices
        Prices table: symbol and date.
    calendar
        Sessions of the exchange.
    home
        New York's sessions over the same days.
    others
        Symbols that are looked at.

    Returns
    -------
    list of str
        Symbols, sorted.
    """
    found = set(others) & AMERICAN_FUNDS
    holidays = np.setdiff1d(calendar.days, home.days)
    for symbol, own in prices[prices["symbol"].isin(list(others))].groupby("symbol", sort=True):
        days = own["date"].to_numpy().astype("datetime64[D]")
        asked = holidays[(holidays > days.min()) & (holidays < days.max())]
        if len(asked) >= LEAST_HOLIDAYS and not np.isin(asked, days).any():
            found.add(str(symbol))
    return sorted(found)


def _quotes(
    macro: pd.DataFrame, calendar: SessionCalendar, home: SessionCalendar, delays: Mapping[str, int]
) -> list[Declared]:
    """Find declared quotes that enter a session which is decided before New York closes."""
    found = []
    for series, delay in delays.items():
        rows = (macro["series"] == series).to_numpy()
        if series.upper() not in AMERICAN_SERIES or not rows.any():
            continue
        days = macro.loc[rows, "date"].to_numpy().astype("datetime64[D]")
        early, example, hours = _early(days, calendar, home, int(delay))
        if early:
            text = (
                f"series '{series}': {early} quotes enter the session of their own date, decided {hours:.1f} hours "
                f"before New York closes, such as that of {example}."
            )
            minutes = 60 * (int(hours) + 1) + int(delay)
            remedy = f"Set quote_delay_minutes of '{series}' to {minutes} or more: then the next session knows it."
            found.append(Declared(Finding("quotes_from_the_future", "macro", (), text, remedy), rows))
    return found


def _before_their_close(macro: pd.DataFrame, home: SessionCalendar, delays: Mapping[str, int]) -> list[Declared]:
    """Find quotes of New York that are said to be available before it closes on their date."""
    found = []
    timed = ~macro["available_is_date"].to_numpy(dtype=bool)
    position = home.index_of(macro["date"].to_numpy().astype("datetime64[D]"))
    close = home.decision_time[np.maximum(position, 0)]
    early = timed & (position >= 0) & (macro["available"].to_numpy() < close)
    for series, own in macro.groupby("series", sort=True):
        if str(series).upper() not in AMERICAN_SERIES or str(series) in delays:
            continue
        rows = (macro["series"] == series).to_numpy() & early
        if rows.sum() <= EARLY_SHARE * len(own):
            continue
        example = macro[rows].iloc[0]
        text = (
            f"series '{series}': {int(rows.sum())} of {len(own)} quotes are available before New York closes on their "
            f"date, such as {example['date'].date()}, available {example['available']:%Y-%m-%d %H:%M} UTC."
        )
        remedy = "Give as available_date the moment of publication, or the date alone: then the next session knows it."
        found.append(Declared(Finding("quotes_from_the_future", "macro", (), text, remedy), rows))
    return found


def _early(
    days: np.ndarray[tuple[int], np.dtype[np.datetime64]], calendar: SessionCalendar, home: SessionCalendar, delay: int
) -> tuple[int, str, float]:
    """Return how many dated quotes enter a session decided before their market closes, an example, and by how much."""
    own, abroad = calendar.index_of(days), home.index_of(days)
    both = (own >= 0) & (abroad >= 0)
    days, own, abroad = days[both], own[both], abroad[both]
    if len(days) == 0:
        return 0, "", 0.0
    claimed = calendar.decision_time[own] + np.timedelta64(delay, "m")
    known = np.searchsorted(calendar.decision_time, claimed, side="left")
    decided = calendar.decision_time[np.minimum(known, len(calendar) - 1)]
    gap = (home.decision_time[abroad] - decided) / np.timedelta64(1, "h")
    early = (known < len(calendar)) & (gap > 0)
    if not early.any():
        return 0, "", 0.0
    return int(early.sum()), str(days[early][0]), float(np.median(gap[early]))
