"""The second clock: a table row enters a session only if it was available at that session's decision time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import SessionCalendar

Floats = npt.NDArray[np.floating[Any]]
"""Usually float64; pandas does not promise which."""
Indexes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Observations:
    """Rows of one series in the order in which they became known.

    Attributes
    ----------
    known
        First session (position on the calendar) whose decision may use the row, ascending.
    observed
        What the row is about: the observation date, `datetime64[D]`, never falling back (a late revision of an
        older observation is left out: the newest observation is what a reader looks at).
    value
        float64, in the series' unit.
    """

    known: Indexes
    observed: npt.NDArray[np.datetime64]
    value: Floats

    def lagged(self, lag: int) -> Floats:
        """Return, for each row, the value of the observation `lag` before it, as it was known at that time."""
        if lag == 0 or len(self.value) == 0:
            return self.value
        rank = np.concatenate([[0], np.cumsum(self.observed[1:] > self.observed[:-1])])
        last_row_of_rank = np.searchsorted(rank, np.arange(rank[-1] + 1), side="right") - 1
        earlier = rank - lag
        return np.where(earlier >= 0, self.value[last_row_of_rank[np.maximum(earlier, 0)]], np.nan)


def known_from(available: pd.Series[pd.Timestamp], only_date: pd.Series[bool], calendar: SessionCalendar) -> Indexes:
    """Return the first session that may use each row; `len(calendar)` where none yet may.

    A moment counts from the first decision not before it; a date without a time from the next session on.
    """
    moments = available.to_numpy().astype("datetime64[ns]")
    return np.where(
        only_date.to_numpy(dtype=bool),
        calendar.first_session_after(moments.astype("datetime64[D]")),
        calendar.first_session_knowing(moments),
    )


def _in_order(known: Indexes, observed: npt.NDArray[np.datetime64], value: Floats, sessions: int) -> Observations:
    order = np.lexsort((observed, known))
    known, observed, value = known[order], observed[order], value[order]
    newest = np.maximum.accumulate(observed.astype("int64"))
    keep = (observed.astype("int64") >= newest) & (known < sessions)
    return Observations(known[keep], observed[keep], value[keep])


def macro_observations(
    macro: pd.DataFrame | None, calendar: SessionCalendar, quote_delay_minutes: Mapping[str, int]
) -> dict[str, Observations]:
    """Return every macro series with the sessions from which its rows are known.

    A series named in `quote_delay_minutes` is a market quote: known that many minutes after its own session's
    close (VIX settles a quarter of an hour after the stocks and so belongs to the next decision). All others
    follow their `available` column.
    """
    found: dict[str, Observations] = {}
    if macro is None:
        return found
    for name, rows in macro.groupby("series", sort=True):
        observed = rows["date"].to_numpy().astype("datetime64[D]")
        if name in quote_delay_minutes:
            position = calendar.index_of(observed)
            close = calendar.decision_time[np.maximum(position, 0)] + np.timedelta64(
                quote_delay_minutes[str(name)], "m"
            )
            known = np.where(
                position >= 0, calendar.first_session_knowing(close), calendar.first_session_after(observed)
            )
        else:
            known = known_from(rows["available"], rows["available_is_date"], calendar)
        found[str(name)] = _in_order(known, observed, rows["value"].to_numpy(dtype="float64"), len(calendar))
    return found


def as_of(known: Indexes, value: Floats, sessions: int, max_age: int | None = None) -> Floats:
    """Return for every session the last row known by then; NaN before the first and past `max_age` sessions.

    Parameters
    ----------
    known
        First session of each row, ascending; among rows of one session the last counts.
    value
        Value of each row, float64.
    sessions
        Number of sessions.
    max_age
        Sessions after which a row is forgotten; None keeps it.

    Returns
    -------
    numpy.ndarray
        (sessions,) float64.
    """
    last = np.full(sessions, -1)
    inside = known < sessions
    last[known[inside]] = np.flatnonzero(inside)
    last = np.maximum.accumulate(last)
    result = np.where(last >= 0, value[np.maximum(last, 0)] if len(value) else np.nan, np.nan)
    if max_age is not None and len(value):
        age = np.arange(sessions) - known[np.maximum(last, 0)]
        result[age > max_age] = np.nan
    return result


def carry_forward(values: Floats, max_age: int) -> Floats:
    """Fill NaN with the last known value, for at most `max_age` sessions; 0 leaves the values as they are.

    `values` is (sessions,) or (sessions, features).
    """
    if max_age <= 0:
        return values
    return np.asarray(pd.DataFrame(values).ffill(limit=max_age).to_numpy()).reshape(values.shape)
