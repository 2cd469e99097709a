"""Calendar features: sessions to and since scheduled events.

A schedule is knowledge of the future that is public today: the distance to an event counts from the day on
which the event was announced, never earlier.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days, SessionCalendar, planned_sessions
from finnex.data.features.context import Context, Features
from finnex.data.features.section import Section
from finnex.data.point_in_time import known_from

HORIZON = 120
"""Longest distance to an event, in sessions: longer ones are capped."""
TABLE_EVENTS = {"fomc": "FOMC", "cpi": "CPI"}


def calendar_events(context: Context) -> Features:
    """Return sessions to and since each kind of event, capped at `HORIZON`, NaN where no schedule is known.

    Option expiry is the third Friday of a month, payrolls its first Friday, month and quarter ends the last
    session; these follow from the calendar and need no announcement. FOMC and CPI come from the events table,
    reports of the company from its own filings (only those already made).
    """
    return context.section.once(_of_section) | _earnings(context)


def _of_section(section: Section) -> Features:
    wide, offset = _wide(section.calendar)
    found: Features = {}
    for name, days in (
        ("option_expiry", _fridays(wide, nth=3)),
        ("payrolls", _fridays(wide, nth=1)),
        ("month_end", _period_ends(wide, "M")),
        ("quarter_end", _period_ends(wide, "Q")),
    ):
        positions = np.flatnonzero(np.isin(wide.days, days))
        found |= _distances(name, positions, np.full(len(positions), -1), offset, section.sessions)
    events = section.tables.events
    for name, word in TABLE_EVENTS.items():
        rows = None if events is None else events[events["name"].str.upper() == word].sort_values("date")
        if rows is None or rows.empty:
            found |= {f"{side}_{name}": np.full(section.sessions, np.nan) for side in ("sessions_to", "sessions_since")}
            continue
        # An event on a day without a session moves the next one.
        positions = np.searchsorted(wide.days, rows["date"].to_numpy().astype("datetime64[D]"), side="left")
        public = wide.first_session_after(rows["announced"].to_numpy().astype("datetime64[D]"))
        found |= _distances(name, positions, public, offset, section.sessions)
    if section.observations.get("CPILFESL") is not None:
        # A release is an event too: where no schedule is given, the last one is known from the figures themselves.
        since = _since(section.observations["CPILFESL"].known, section.sessions)
        found["sessions_since_cpi"] = np.where(
            np.isnan(found["sessions_since_cpi"]), since, found["sessions_since_cpi"]
        )
    return found


@lru_cache(maxsize=16)
def _wide(calendar: SessionCalendar) -> tuple[SessionCalendar, int]:
    """Return a calendar that reaches half a year past both ends, if known, and where the given one starts in it."""
    margin = np.timedelta64(200, "D")
    first, last = calendar.days[0] - margin, calendar.days[-1] + margin
    wide = planned_sessions(calendar.exchange, first.item(), last.item())
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

    Only events already public at a session count.
    """
    here = np.arange(offset, offset + sessions)[:, None]
    known = public[None, :] <= here
    # An event that is not public yet must not hide a later public one.
    following = np.where(known & (positions[None, :] >= here), positions, np.inf).min(axis=1, initial=np.inf)
    last = np.where(known & (positions[None, :] <= here), positions, -np.inf).max(axis=1, initial=-np.inf)
    to_next, since = following - here[:, 0], here[:, 0] - last
    return {
        f"sessions_to_{name}": np.where(np.isinf(to_next), np.nan, np.minimum(to_next, HORIZON)),
        f"sessions_since_{name}": np.where(np.isinf(since), np.nan, np.minimum(since, HORIZON)),
    }


def _since(known: npt.NDArray[np.intp], sessions: int) -> npt.NDArray[np.float64]:
    """Return sessions since the last of `known` (ascending positions), NaN before the first."""
    known = np.unique(known[known < sessions])
    here = np.arange(sessions)
    if len(known) == 0:
        return np.full(sessions, np.nan)
    behind = np.searchsorted(known, here, side="right") - 1
    return np.where(behind >= 0, np.minimum(here - known[np.maximum(behind, 0)], HORIZON), np.nan)


def _earnings(context: Context) -> Features:
    """Return sessions since the last filing, and until the next one is due.

    The inputs announce no filings: the next one is expected a median gap of the last eight after the last.
    """
    nothing = np.full(context.sessions, np.nan)
    if context.tables.fundamentals is None:
        return {"sessions_since_earnings": nothing, "sessions_to_earnings": nothing}
    own = context.tables.of("fundamentals", context.symbol)
    known = np.unique(known_from(own["available"], own["available_is_date"], context.calendar))
    # Amendments and second origins follow within days; a new quarter takes at least a month and a half.
    reports = [int(position) for position in known[:1]]
    for position in known[1:]:
        if position - reports[-1] >= 30:
            reports.append(int(position))
    since = _since(known, context.sessions)
    until = nothing.copy()
    for number in range(4, len(reports)):
        gap = float(np.median(np.diff(reports[max(0, number - 8) : number + 1])))
        following = reports[number + 1] if number + 1 < len(reports) else context.sessions
        here = np.arange(reports[number], min(following, context.sessions))
        until[here] = np.clip(reports[number] + gap - here, 0, HORIZON)
    return {"sessions_since_earnings": since, "sessions_to_earnings": until}
