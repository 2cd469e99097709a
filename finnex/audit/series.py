"""The columns of the tables themselves, each as it was known at every session by the audit's own clock.

A feature may hide what its table knows (a series that no feature reads, a column that is averaged away), so the tables
are asked too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.clock import known_session
from finnex.data.calendar import SessionCalendar

Floats = npt.NDArray[np.float64]
KEYS: dict[str, tuple[str, ...]] = {
    "prices": ("symbol",),
    "macro": ("series",),
    "fundamentals": ("origin",),
    "sentiment": ("source", "provider"),
    "competitive": ("peer",),
    "options": (),
    "enhanced": (),
}
"""Table name to the columns that name a series in it."""
OF_A_SESSION = ("prices", "sentiment", "competitive", "options", "enhanced")
"""Tables whose rows speak of one session; a row of the others holds until the next one."""
WEIGHTS = ("confidence", "documents", "engagement")
"""Columns of the sentiment table that weigh a score: they are asked for returns and activity, not for filings."""
COLUMNS = {"prices": ("close",), "sentiment": ("score", *WEIGHTS)}
"""Columns that are asked for, where not all numbers are."""
OBSERVED_AT_THE_CLOSE = ("options", "competitive")
"""Tables whose rows describe the close of their date, even where they become known later."""
SOON_MINUTES = 60
"""Delay of a market quote up to which it is made at the close of its own session."""


def table_series(
    frames: Mapping[str, pd.DataFrame],
    calendar: SessionCalendar,
    symbol: str,
    others: Collection[str],
    quote_delay_minutes: Mapping[str, int],
) -> dict[str, tuple[str, Floats]]:
    """Return every column of every table as known at each session: 'macro VIX' to ('macro', (sessions,) float64).

    Parameters
    ----------
    frames
        Table name to its rows.
    calendar
        Sessions and their decision times.
    symbol
        Whose rows count, in a table with a symbol column other than the prices.
    others
        Symbols of the prices table that features read, in addition to the symbol itself.
    quote_delay_minutes
        Macro series to the minutes after the close of its date from which its quote is known.

    Returns
    -------
    dict
        Name to its table and (sessions,) float64; prices as natural logarithms, all else in the table's units.

    Notes
    -----
    A row that describes the close of its date is assigned to that session. This is stricter than the date on which it
    becomes known: the row must not depend on the session after, even if it is published only then. Several rows of one
    session are averaged. NaN before the first row; in tables whose rows describe one session each, also where a session
    has none.
    """
    found = {}
    for table, frame in frames.items():
        if table not in KEYS:
            continue
        known = _placed(table, frame, calendar, quote_delay_minutes)
        mine = np.isin(frame["symbol"], list(others)) if table == "prices" else _own(frame, symbol)
        for key, rows in _groups(frame, mine & (known < len(calendar)), KEYS[table]):
            for column in COLUMNS.get(table, _numbers(frame)):
                values = _on_sessions(known[rows], frame[column].to_numpy(dtype=np.float64)[rows], len(calendar))
                if table not in OF_A_SESSION:
                    values = np.asarray(pd.Series(values).ffill(), dtype=np.float64)
                if table == "prices":
                    values = np.log(values)
                label = " ".join(
                    part for part in (table, key, column if column not in ("value", "close") else "") if part
                )
                found[label] = (table, values)
    return found


def _placed(
    table: str, frame: pd.DataFrame, calendar: SessionCalendar, quote_delay_minutes: Mapping[str, int]
) -> npt.NDArray[np.intp]:
    """Return the session of each row: that of its date where it was made on that date, else the first to use it."""
    known = known_session(table, frame, calendar, quote_delay_minutes)
    if table == "macro":
        soon = [series for series, delay in quote_delay_minutes.items() if delay <= SOON_MINUTES]
        made = frame["series"].isin(soon).to_numpy()
    elif table in OBSERVED_AT_THE_CLOSE:
        made = np.ones(len(frame), dtype=bool)
    else:
        return known
    session = calendar.index_of(frame["date"].to_numpy().astype("datetime64[D]"))
    return np.where(made & (session >= 0), session, known)


def _own(frame: pd.DataFrame, symbol: str) -> npt.NDArray[np.bool_]:
    if "symbol" not in frame.columns:
        return np.ones(len(frame), dtype=bool)
    return (frame["symbol"] == symbol).to_numpy()


def _groups(
    frame: pd.DataFrame, rows: npt.NDArray[np.bool_], keys: tuple[str, ...]
) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    chosen = np.flatnonzero(rows)
    if not keys:
        yield "", chosen
        return
    part = frame.iloc[chosen]
    for key, where in part.groupby(list(keys), sort=True).indices.items():
        name = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
        yield name, chosen[where]


def _numbers(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(name) for name in frame.select_dtypes("number").columns)


def _on_sessions(known: npt.NDArray[np.intp], values: Floats, sessions: int) -> Floats:
    """Return the mean of the values that become known at each session."""
    given = ~np.isnan(values)
    count = np.bincount(known[given], minlength=sessions)
    total = np.bincount(known[given], weights=values[given], minlength=sessions)
    return np.asarray(np.divide(total, count, out=np.full(sessions, np.nan), where=count > 0))
