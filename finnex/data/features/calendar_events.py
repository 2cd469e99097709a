"""Calendar features: sessions to and since scheduled events.

A schedule is knowledge of the future that is public today: the distance to an event counts from the day on
which the event was announced, never earlier.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from finnex.data.align import known_from
from finnex.data.calendar import Days, SessionCalendar, session_calendar
from finnex.data.features.context import Context, Features

HORIZON = 120
"""Sessions beyond which an event is too far away to tell."""
TABLE_EVENTS = {"fomc": "FOMC", "cpi": "CPI"}


def calendar_events(context: Context) -> Features:
    """Return sessions to and since each kind of event, capped at `HORIZON`, NaN where no schedule is known.

    Option expiry is the third Friday of a month, payrolls its first Friday, month and quarter ends the last
    session; these follow from the calendar and need no announcement. FOMC and CPI come from the events table,
    reports of the company from its own filings (only those already made).
    """
    wide, offset = _wide(context.calendar)
    found: Features = {}
    for name, days in (
        ("option_expiry", _fridays(wide, nth=3)),
        ("payrolls", _fridays(wide, nth=1)),
        ("month_end", _period_ends(wide, "M")),
        ("quarter_end", _period_ends(wide, "Q")),
    ):
        positions = np.flatnonzero(np.isin(wide.days, days))
        found |= _distances(name, positions, np.full(len(positions), -1), offset, context.sessions)
    events = context.tables.events
    for name, word in TABLE_EVENTS.items():
        rows = None if events is None else events[events["name"].str.upper() == word].sort_values("date")
        if rows is None or rows.empty:
            found |= {f"{side}_{name}": np.full(context.sessions, np.nan) for side in ("sessions_to", "sessions_since")}
            continue
        # An event on a day without a session moves the next one.
        positions = np.searchsorted(wide.days, rows["date"].to_numpy().astype("datetime64[D]"), side="left")
        public = wide.first_session_after(rows["announced"].to_numpy().astype("datetime64[D]"))
        found |= _distances(name, positions, public, offset, context.sessions)
    found["sessions_since_earnings"] = _since_filing(context)
    return found


@lru_cache(maxsize=16)
def _wide(calendar: SessionCalendar) -> tuple[SessionCalendar, int]:
    """Return a calendar that reaches half a year past both ends, and where the given one starts in it."""
    margin = np.timedelta64(200, "D")
    first, last = calendar.days[0] - margin, calendar.days[-1] + margin
    wide = session_calendar(calendar.exchange, first.item(), last.item())
    return wide, int(np.searchsorted(wide.days, calendar.days[0]))


def _fridays(calendar: SessionCalendar, nth: int) -> Days:
    """Return the nth Friday of every month, or the session before it where that Friday is a holiday."""
    months = np.arange(calendar.days[0].astype("datetime64[M]"), calendar.days[-1].astype("datetime64[M]") + 1)
    first = months.astype("datetime64[D]")
    weekday = (first.astype("int64") - 4 + 7) % 7  # 1970-01-01 was a Thursday: 0 is Monday
    fridays = first + (4 - weekday) % 7 + 7 * (nth - 1)
    position = np.searchsorted(calendar.days, fridays, side="right") - 1
    found: Days = calendar.days[position[(position >= 0) & (fridays <= calendar.days[-1])]]
    return found


def _period_ends(calendar: SessionCalendar, period: str) -> Days:
    """Return the last session of every whole month (M) or quarter (Q)."""
    month = calendar.days.astype("datetime64[M]").astype("int64")
    key = month if period == "M" else month // 3
    ends: Days = calendar.days[:-1][key[1:] != key[:-1]]
    return ends


def _distances(
    name: str, positions: npt.NDArray[np.intp], public: npt.NDArray[np.intp], offset: int, sessions: int
) -> Features:
    """Return sessions to the next and since the last event, for sessions `offset ... offset + sessions - 1`.

    Only events already public at a session count; `positions` ascend.
    """
    here = np.arange(offset, offset + sessions)
    ahead = np.searchsorted(positions, here, side="left")
    to_next = np.full(sessions, np.nan)
    inside = ahead < len(positions)
    following = positions[ahead[inside]]
    to_next[inside] = np.where(public[ahead[inside]] <= here[inside], following - here[inside], np.nan)
    behind = np.searchsorted(positions, here, side="right") - 1
    since = np.where(behind >= 0, here - positions[np.maximum(behind, 0)], np.nan)
    return {
        f"sessions_to_{name}": np.minimum(to_next, HORIZON),
        f"sessions_since_{name}": np.minimum(since, HORIZON),
    }


def _since_filing(context: Context) -> npt.NDArray[np.float64]:
    filings = context.tables.fundamentals
    nothing = np.full(context.sessions, np.nan)
    if filings is None:
        return nothing
    own = filings[filings["symbol"] == context.symbol]
    known = np.unique(known_from(own["available"], own["available_is_date"], context.calendar))
    known = known[known < context.sessions]
    here = np.arange(context.sessions)
    behind = np.searchsorted(known, here, side="right") - 1
    if len(known) == 0:
        return nothing
    since = np.where(behind >= 0, here - known[np.maximum(behind, 0)], np.nan)
    return np.minimum(since, HORIZON)
