"""Quotes of other markets against the session's decision: the close of a market that closes later is not known yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd

from finnex.audit.declarations import Declared
from finnex.audit.report import Finding
from finnex.data.calendar import SessionCalendar, session_calendar

AMERICAN_QUOTES: Final = frozenset(
    (
        *("VIX", "VIXCLS", "VXN", "VVIX", "SKEW", "OVX", "GVZ", "SP500", "NASDAQCOM", "DJIA"),
        *("DGS1MO", "DGS3MO", "DGS2", "DGS5", "DGS10", "DGS30", "DTB3", "T10Y2Y", "T10Y3M"),
        *("DCOILWTICO", "BAMLH0A0HYM2"),
    )
)
"""Daily series made from New York's (or Chicago's) close of their date; sources: Cboe, the H.15 release, FRED."""
AMERICAN_FUNDS: Final = frozenset(
    (
        *("XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"),
        *("SPY", "QQQ", "IWM", "DIA", "VTI", "VOO", "IVV", "TLT", "GLD", "HYG", "LQD", "EEM", "EFA"),
    )
)
"""Funds that trade in New York."""
HOME: Final = "XNYS"


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
    others
        Symbols of the prices table that features read, in addition to the symbol itself.
    """
    first, last = calendar.days[0].item(), calendar.days[-1].item()
    home = session_calendar(HOME, first, last)
    found: list[Declared] = []
    if macro is not None:
        for series, delay in quote_delay_minutes.items():
            rows = (macro["series"] == series).to_numpy()
            if series.upper() not in AMERICAN_QUOTES or not rows.any():
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
    funds = sorted(set(others) & AMERICAN_FUNDS)
    rows = prices["symbol"].isin(funds).to_numpy()
    if funds and rows.any():
        days = prices.loc[rows, "date"].to_numpy().astype("datetime64[D]")
        early, example, hours = _early(days, calendar, home, 0)
        if early:
            text = (
                f"{', '.join(funds[:4])}{' and others' if len(funds) > 4 else ''} trade in New York, and {early} of "
                f"their bars enter the session of their own date, decided {hours:.1f} hours before New York closes, "
                f"such as that of {example}."
            )
            remedy = "Give funds of the exchange's own market as sectors, or date these bars by the next session."
            found.append(Declared(Finding("quotes_from_the_future", "prices", (), text, remedy), rows))
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
