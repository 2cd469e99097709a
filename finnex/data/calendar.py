"""Exchange sessions and the first of the two clocks: `decision_time`.

A session is a trading day of the exchange. Its decision time is its close, in UTC: what was not known by
then is not in its image. The second clock, `available_at`, belongs to table rows (`finnex.data.point_in_time`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.errors import ConfigError, nearest

LONGEST_CLOSURE = timedelta(days=15)
KNOWN_YEAR = pd.Timestamp(2025, 1, 1), pd.Timestamp(2025, 12, 31)
Days = npt.NDArray[np.datetime64]
"""Dates at day precision, `datetime64[D]`: the one form in which FinNeX compares dates."""


@dataclass(frozen=True, eq=False)  # equal by identity, so that a calendar can be a cache key
class SessionCalendar:
    """Consecutive sessions of one exchange.

    Attributes
    ----------
    exchange
        ISO 10383 market code, such as XNYS.
    days
        Session dates, `datetime64[D]`, ascending.
    decision_time
        Close of each session in UTC, `datetime64[ns]`; half days close early.
    """

    exchange: str
    days: Days
    decision_time: npt.NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.days)

    def index_of(self, days: Days) -> npt.NDArray[np.intp]:
        """Return each day's position, -1 where the day is no session."""
        days = np.asarray(days, dtype="datetime64[D]")
        position = np.searchsorted(self.days, days)
        inside = position < len(self.days)
        hit = np.zeros(len(days), dtype=bool)
        hit[inside] = self.days[position[inside]] == days[inside]
        return np.where(hit, position, -1)

    def first_session_knowing(self, moments: npt.NDArray[np.datetime64]) -> npt.NDArray[np.intp]:
        """Return, for moments in UTC, the first session whose decision time is not earlier.

        A moment exactly at the close belongs to that session; one later belongs to the next. Moments after
        the last session give `len(self)`.
        """
        return np.searchsorted(self.decision_time, moments.astype("datetime64[ns]"), side="left")

    def first_session_after(self, days: Days) -> npt.NDArray[np.intp]:
        """Return, for dates without a time, the first session after that date (`len(self)` past the end).

        A date alone does not say whether the row came before the close, so it is not trusted on its own day.
        """
        return np.searchsorted(self.days, np.asarray(days, dtype="datetime64[D]"), side="right")

    def between(self, start: date | None, end: date | None) -> npt.NDArray[np.intp]:
        """Return positions of the sessions from `start` to `end`, both included."""
        low = 0 if start is None else int(np.searchsorted(self.days, np.datetime64(start, "D"), side="left"))
        high = len(self) if end is None else int(np.searchsorted(self.days, np.datetime64(end, "D"), side="right"))
        return np.arange(low, max(low, high))


def calendar_library() -> ModuleType:
    """Return `exchange_calendars`: a second of import time, needed only when sessions are.

    Raises
    ------
    ConfigError
        The environment variable TZ names a zone further than a day from UTC: the library reads the clock when it is
        imported.
    """
    try:
        import exchange_calendars  # noqa: PLC0415
    except ValueError as error:
        raise ConfigError(
            f"the environment variable TZ names a zone that cannot be: '{os.environ.get('TZ')}' ({error}). Let it name "
            "one like Europe/Berlin, or unset TZ."
        ) from None
    return exchange_calendars  # type: ignore[no-any-return]


@lru_cache(maxsize=16)
def session_calendar(exchange: str, start: date, end: date) -> SessionCalendar:
    """Return the sessions of an exchange from `start` to `end`, both included.

    Raises
    ------
    ConfigError
        The exchange code is unknown, or there is no session in the range.
    """
    known_from, known_to = _reach(exchange)
    if start < known_from or end > known_to:
        raise ConfigError(
            f"the calendar of exchange '{exchange}' does not reach from {start} to {end}: its sessions are known from "
            f"{known_from} to {known_to}. Choose a range inside, or upgrade exchange_calendars."
        )
    calendar = _sessions_around(exchange, start, end)
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    inside = (calendar.sessions >= first) & (calendar.sessions <= last)
    days = calendar.sessions[inside].to_numpy().astype("datetime64[D]")
    if len(days) == 0:
        raise ConfigError(f"exchange '{exchange}' has no session from {start} to {end}. Widen the range.")
    closes = calendar.closes[inside].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    return SessionCalendar(exchange, days, closes)


def next_opens(exchange: str, days: Days) -> tuple[Days, npt.NDArray[np.datetime64]]:
    """Return the first session after each date, and its open in UTC; NaT where the calendar does not reach so far.

    Parameters
    ----------
    exchange
        ISO 10383 market code.
    days
        (days,) dates, `datetime64[D]`, in any order.

    Returns
    -------
    tuple of numpy.ndarray
        (days,) `datetime64[D]` and (days,) `datetime64[ns]`.

    Raises
    ------
    ConfigError
        The exchange code is unknown, or its calendar begins after the first date.
    """
    following = np.full(len(days), np.datetime64("NaT", "D"))
    opens = np.full(len(days), np.datetime64("NaT", "ns"))
    if len(days) == 0:
        return following, opens
    last = min(days.max().item() + LONGEST_CLOSURE, _reach(exchange)[1])
    calendar = _sessions_around(exchange, days.min().item(), last)
    sessions = calendar.sessions.to_numpy().astype("datetime64[D]")
    position = np.searchsorted(sessions, days, side="right")
    known = position < len(sessions)
    following[known] = sessions[position[known]]
    moments = calendar.opens.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    opens[known] = moments[position[known]]
    return following, opens


def planned_sessions(exchange: str, start: date, end: date) -> SessionCalendar:
    """Return the sessions from `start` to `end` as far as they are known.

    Some exchanges announce their holidays a year at a time, and later sessions of theirs are not known.
    """
    first, last = _reach(exchange)
    return session_calendar(exchange, max(start, first), min(end, last))


def _refusals(library: ModuleType) -> tuple[type[Exception], ...]:
    """Return what the library raises where it knows no calendar; NotImplementedError comes from pandas 3."""
    return ValueError, NotImplementedError, library.errors.CalendarError


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _sessions_around(exchange: str, start: date, end: date) -> Any:
    library = calendar_library()
    try:
        return _decades(exchange, start.year // 10, end.year // 10)
    except _refusals(library):  # the library knows some exchanges for a part of the decade
        known_from, known_to = _reach(exchange)
        try:
            return library.get_calendar(
                exchange,
                start=pd.Timestamp(max(start - LONGEST_CLOSURE, known_from)),
                end=pd.Timestamp(min(end + LONGEST_CLOSURE, known_to)),
            )
        except _refusals(library) as error:
            raise ConfigError(
                f"the calendar of exchange '{exchange}' does not reach from {start} to {end}: {_reason(error)}. Choose "
                "a range that exchange_calendars knows, or upgrade it."
            ) from None


@lru_cache(maxsize=16)
def _decades(exchange: str, first: int, last: int) -> Any:
    """Return the library's calendar of whole decades: a second's work, shared by all ranges of days in them.

    The library's own default spans twenty years to today; explicit bounds make the answer the same on every day.
    """
    known_from, known_to = _reach(exchange)
    start, end = max(date(first * 10, 1, 1), known_from), min(date(last * 10 + 9, 12, 31), known_to)
    return calendar_library().get_calendar(exchange, start=pd.Timestamp(start), end=pd.Timestamp(end))


@lru_cache(maxsize=16)
def _reach(exchange: str) -> tuple[date, date]:
    """Return the first and the last day that the calendar library knows of an exchange.

    Bounds belong to the exchange, not to a range: a year that all calendars know serves to ask for them.
    """
    library = calendar_library()
    names = library.get_calendar_names(include_aliases=True)
    if exchange not in names:
        raise ConfigError(f"exchange '{exchange}' is unknown. {nearest(exchange, names)}")
    try:
        calendar = library.get_calendar(exchange, start=KNOWN_YEAR[0], end=KNOWN_YEAR[1])
    except _refusals(library) as error:
        raise ConfigError(
            f"exchange_calendars {library.__version__} cannot make the calendar of exchange '{exchange}': "
            f"{_reason(error)}. Choose an exchange that trades on the same days, or a later release that can."
        ) from None
    first, last = calendar.bound_min(), calendar.bound_max()
    return date.min if first is None else first.date(), date.max if last is None else last.date()


def last_close(exchange: str, now: np.datetime64) -> date:
    """Return the last session that has closed by `now` (UTC)."""
    today = now.astype("datetime64[D]").item()
    calendar = session_calendar(exchange, today - LONGEST_CLOSURE, today)
    closed: date = calendar.days[calendar.decision_time <= now.astype("datetime64[ns]")][-1].item()
    return closed
