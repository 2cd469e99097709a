"""Closing times of exchanges from their own rules, to hold the calendar's decision times against.

The audit would otherwise take the decision time from the calendar that it audits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.time_of_day import exchange_zone
from finnex.data.calendar import SessionCalendar

_NEW_YORK: Final = "America/New_York"
CLOSES: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "XNYS": (_NEW_YORK, (("1974-10-01", "16:00"),)),
    "XNAS": (_NEW_YORK, (("1974-10-01", "16:00"),)),
    "ARCX": (_NEW_YORK, (("1974-10-01", "16:00"),)),
    "XTSE": ("America/Toronto", (("1990-01-01", "16:00"),)),
    "XLON": ("Europe/London", (("2000-01-01", "16:30"),)),
    "XETR": ("Europe/Berlin", (("2003-11-03", "17:30"),)),
    "XFRA": ("Europe/Berlin", (("2003-11-03", "17:30"),)),
    "XPAR": ("Europe/Paris", (("2000-01-01", "17:30"),)),
    "XAMS": ("Europe/Amsterdam", (("2000-01-01", "17:30"),)),
    "XSWX": ("Europe/Zurich", (("2000-01-01", "17:30"),)),
    "XTKS": ("Asia/Tokyo", (("1990-01-01", "15:00"), ("2024-11-05", "15:30"))),
    "XHKG": ("Asia/Hong_Kong", (("2012-03-05", "16:00"),)),
    "XSHG": ("Asia/Shanghai", (("1995-01-01", "15:00"),)),
    "XASX": ("Australia/Sydney", (("2000-01-01", "16:00"),)),
    "XKRX": ("Asia/Seoul", (("2016-08-01", "15:30"),)),
    "XBOM": ("Asia/Kolkata", (("2010-01-04", "15:30"),)),
}
"""Exchange to its zone and its regular closing times, each from a date on; as the exchanges publish their hours."""
EARLY_SHARE = 0.08
"""Half days are at most so many of a year's sessions: New York has three or four."""
LATE_SHARE = 0.01
"""Some exchanges close an hour late on a day of national examinations."""
LEAST_SESSIONS = 40
HALF_DAY_MINUTES: Final = 13 * 60
HALF_DAYS_OF: Final = frozenset(("XNYS", "XNAS", "ARCX"))
FIRST_HALF_DAYS: Final = np.datetime64("2000-01-01")
FIRST_INDEPENDENCE_EVES: Final = np.datetime64("2013-01-01")
"""Before, the half day lay before or after the holiday, by its weekday."""


def decision_times(calendar: SessionCalendar) -> list[Finding]:
    """Find decision times that are not the close of the exchange, by year and by season.

    Returns
    -------
    list of Finding
        At most one: sessions that close after the regular time, or too many that close before it. Empty for an
        exchange whose hours are not known here and whose local closing time does not change with the season.
    """
    zone = CLOSES[calendar.exchange][0] if calendar.exchange in CLOSES else exchange_zone(calendar.exchange)
    utc = pd.DatetimeIndex(calendar.decision_time).tz_localize("UTC")
    local = utc.tz_convert(zone)
    minutes = (local.hour * 60 + local.minute).to_numpy()
    days = calendar.days
    dated = local.tz_localize(None).to_numpy().astype("datetime64[D]")
    if (moved := np.flatnonzero(dated != days)).size:
        return [_finding(calendar, f"{moved.size} sessions close on another day, such as {days[moved[0]]}", zone)]
    regular = _regular(calendar.exchange, days, minutes)
    known = regular >= 0
    late, early = known & (minutes > regular), known & (minutes < regular)
    halves = new_york_half_days(days) if calendar.exchange in HALF_DAYS_OF else np.zeros(len(days), dtype=bool)
    if (wrong := np.flatnonzero(halves & (minutes > HALF_DAY_MINUTES))).size:
        text = f"{wrong.size} half days close after {_clock(HALF_DAY_MINUTES)}, such as {days[wrong[0]]} at "
        return [_finding(calendar, text + _clock(minutes[wrong[0]]), zone)]
    if late.mean() > LATE_SHARE:
        first = int(np.flatnonzero(late)[0])
        text = f"{int(late.sum())} sessions close after {_clock(regular[first])}, such as {days[first]} at "
        return [_finding(calendar, text + _clock(minutes[first]), zone)]
    offset = np.array([moment.utcoffset().total_seconds() for moment in local.to_pydatetime()])
    for season in np.unique(offset):
        inside = known & (offset == season)
        if inside.sum() >= LEAST_SESSIONS and early[inside].mean() > EARLY_SHARE:
            first = int(np.flatnonzero(early & inside)[0])
            text = (
                f"{early[inside].mean():.0%} of the sessions at UTC{season / 3600:+.0f} close before "
                f"{_clock(regular[first])}, such as {days[first]} at {_clock(minutes[first])}"
            )
            return [_finding(calendar, text, zone)]
    return []


def new_york_half_days(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    """Whether each session is one of New York's regular half days, from 2000 on.

    The day after Thanksgiving, Christmas Eve, and from 2013 on the third of July before a holiday on a weekday
    (nyse.com/markets/hours-calendars, "early closes"). (sessions,) bool.
    """
    stamps = pd.DatetimeIndex(days)
    month, day, weekday = (getattr(stamps, part).to_numpy() for part in ("month", "day", "day_of_week"))
    thanksgiving = (month == 11) & (weekday == 4) & (day >= 23) & (day <= 29)
    christmas = (month == 12) & (day == 24)
    independence = (month == 7) & (day == 3) & (weekday <= 3) & (days >= FIRST_INDEPENDENCE_EVES)
    return np.asarray((days >= FIRST_HALF_DAYS) & (thanksgiving | christmas | independence), dtype=bool)


def _regular(exchange: str, days: npt.NDArray[np.datetime64], minutes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the regular closing minute of every session, -1 where it is not known."""
    if exchange not in CLOSES:
        return np.full(len(days), int(np.bincount(minutes).argmax()))
    regular = np.full(len(days), -1)
    for since, close in CLOSES[exchange][1]:
        hour, minute = close.split(":")
        regular[days >= np.datetime64(since)] = int(hour) * 60 + int(minute)
    return regular


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _finding(calendar: SessionCalendar, text: str, zone: str) -> Finding:
    return Finding(
        "decision_time_is_not_the_close",
        "calendar",
        (),
        f"{calendar.exchange}: {text} {zone}.",
        "Take sessions from exchange_calendars, and as `exchange` the code of the stocks in the prices table.",
    )
