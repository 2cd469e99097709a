"""Whether stamps of sentiment records can be times of publication: hours of the day, by provider and by season.

People publish by the clock of their place, so the UTC hours of honest stamps are earlier by an hour in summer. Wall
time that is labelled UTC loses that shift or turns it round, and a wrong zone moves the whole day.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.declarations import Declared
from finnex.data.calendar import SessionCalendar, calendar_library

NEARLY_ALL = 0.95
LEAST_RECORDS, LEAST_DAYS = 5, 2
RECORDS_A_DAY = 1.5
"""Records on a day that has any, from which their hours are taken as people's activity."""
MIDNIGHT_SHARE = 0.05
"""Share of stamps at exactly midnight, to the second, above which they mean a missing time."""
LEAST_OF_A_SEASON = 100
LEAST_CONCENTRATION = 0.15
"""Length of the mean vector of the hours (Mardia and Jupp 2000, 2.2) below which they have no centre."""
TURNED_HOURS, KEPT_HOURS = 0.4, 0.5
"""Shift of the hours from winter to summer, of an hour of daylight saving: above the first it is turned round, below
minus the second it is there."""
MORNING_HOUR = 9.25
"""Centre of a day, in the exchange's zone, before which people's records without that shift are read as wall time:
New York's 13:00 to 13:30, labelled UTC, is 8:30 to 9:00 there."""
STANDARD_ERRORS, ONE_SIDED = 3.0, 1.65
"""Standard errors for a finding from one sign alone, and for each of two signs that are both required."""
NIGHT_HOURS = (1.0, 8.75)
"""Centre of a provider's day, in the exchange's zone, at which its stamps are earlier than its public wakes. Centres of
real providers of headlines and tweets: 13.2 and 15.0."""
REMEDY = (
    "Where the zone is wrong, correct it (timestamp_zone in the mapping), or give the time of publication in UTC; "
    "where the records are published by another clock, the stamps are right and stay."
)


def sentiment_clocks(records: pd.DataFrame, calendar: SessionCalendar, exchange: str) -> list[Declared]:
    """Find providers whose stamps are one fixed hour before the close, wall time labelled UTC, or of another zone."""
    zone = exchange_zone(exchange)
    utc = records["timestamp"].dt.tz_localize("UTC")
    local = utc.dt.tz_convert(zone)
    found = []
    for (source, provider), own in records.groupby(["source", "provider"], sort=True):
        rows = records.index.isin(own.index)
        if len(own) < LEAST_RECORDS or own["timestamp"].dt.normalize().nunique() < LEAST_DAYS:
            continue
        name = f"source '{source}', provider '{provider}'"
        finding = _one_hour(name, utc[rows], local[rows], calendar, zone) or _midnight(name, local[rows], zone)
        if finding is None:
            people = _of_people(records.loc[rows, "symbol"], local[rows])
            finding = _season(name, utc[rows], local[rows], zone, people=people)
            finding = finding or _night(name, local[rows], zone, people=people)
        if finding is not None:
            found.append(Declared(finding, rows))
    return found


@cache
def exchange_zone(exchange: str) -> str:
    """Return the time zone of an exchange, such as America/New_York."""
    start = pd.Timestamp("2020-01-01")
    return str(calendar_library().get_calendar(exchange, start=start, end=start + pd.Timedelta(days=31)).tz)


def _one_hour(
    name: str, utc: pd.Series[pd.Timestamp], local: pd.Series[pd.Timestamp], calendar: SessionCalendar, zone: str
) -> Finding | None:
    for written, where in ((utc, "UTC"), (local, zone)):
        minute = written.dt.hour * 60 + written.dt.minute
        most = int(minute.mode().iloc[0])
        if (minute == most).mean() < NEARLY_ALL:
            continue
        known = calendar.first_session_knowing(utc.dt.tz_localize(None).to_numpy())
        day = local.dt.tz_localize(None).to_numpy().astype("datetime64[D]")
        own = calendar.index_of(day)
        early = (own >= 0) & (known == own)
        if early.sum() < 0.5 * max(1, (own >= 0).sum()):
            return None
        evidence = (
            f"{name}: {(minute == most).mean():.0%} of {len(utc)} records are stamped "
            f"{most // 60:02d}:{most % 60:02d} in {where}, before the close; {int(early.sum())} enter the session of "
            "their own day: either they are scores of the whole day, not known by then, or they are published at that "
            "time."
        )
        remedy = (
            "Stamp a score of the whole day with its date alone (YYYY-MM-DD), or with its time of publication; where "
            "that is the time stamped, the stamps are right and stay."
        )
        return Finding("sentiment_stamped_at_one_hour", "sentiment", (), evidence, remedy)
    return None


def _midnight(name: str, local: pd.Series[pd.Timestamp], zone: str) -> Finding | None:
    share = at_midnight(local)
    if share.mean() < MIDNIGHT_SHARE or share.sum() < LEAST_RECORDS:
        return None
    evidence = (
        f"{name}: {int(share.sum())} of {len(local)} records are stamped exactly 00:00:00 in {zone}, and enter the "
        "session of their own day: either their time of day is missing, or they are published at midnight."
    )
    remedy = (
        f"Give records without a time a date alone (YYYY-MM-DD), or the file's zone (timestamp_zone = '{zone}') with "
        "naive stamps; where they are published at midnight, the stamps are right and stay."
    )
    return Finding("sentiment_stamped_at_one_hour", "sentiment", (), evidence, remedy)


def at_midnight(local: pd.Series[pd.Timestamp]) -> npt.NDArray[np.bool_]:
    """Return which moments are exactly midnight of their zone."""
    return np.asarray(local == local.dt.normalize())


def released_at_midnight(table: str, frame: pd.DataFrame, exchange: str) -> list[Declared]:
    """Find rows whose release is exactly midnight of the exchange's zone, as that of a date without a time is.

    A release that is written as a date is used from the session after it; midnight in UTC is read as a date.
    """
    zone = exchange_zone(exchange)
    local = frame["available"].dt.tz_localize("UTC").dt.tz_convert(zone)
    rows = at_midnight(local) & ~frame["available_is_date"].to_numpy(dtype=bool)
    if rows.sum() < LEAST_RECORDS or rows.mean() < MIDNIGHT_SHARE:
        return []
    evidence = (
        f"{int(rows.sum())} of {len(frame)} rows are available at exactly 00:00:00 in {zone}, as rows without a "
        f"time are; they enter the session of their own day, such as {local[rows].iloc[0].date()}."
    )
    remedy = "Give available_date as a date alone (YYYY-MM-DD): it is then used from the session after it."
    return [Declared(Finding("released_at_midnight", table, (), evidence, remedy), rows)]


def _season(
    name: str, utc: pd.Series[pd.Timestamp], local: pd.Series[pd.Timestamp], zone: str, *, people: bool
) -> Finding | None:
    offset = (local.dt.tz_localize(None) - utc.dt.tz_localize(None)).dt.total_seconds().to_numpy() / 3600
    high, low = float(offset.max()), float(offset.min())
    summer = offset > (high + low) / 2
    if high == low or min(summer.sum(), (~summer).sum()) < LEAST_OF_A_SEASON:
        return None
    hours, days = _hours(utc), utc.dt.normalize().to_numpy()
    centres = [_centre(hours[season], days[season]) for season in (summer, ~summer)]
    if min(length for _, _, length in centres) < LEAST_CONCENTRATION:
        return None
    (warm, warm_error, _), (cold, cold_error, _) = centres
    shift = (warm - cold + 12) % 24 - 12
    error = float(np.hypot(warm_error, cold_error))
    turned = shift - STANDARD_ERRORS * error > TURNED_HOURS * (high - low)
    centre, _, _ = _centre(_hours(local), days)
    kept = shift - ONE_SIDED * error < -KEPT_HOURS * (high - low)
    absent = not kept and people and NIGHT_HOURS[0] < centre < MORNING_HOUR
    if not turned and not absent:
        return None
    evidence = (
        f"{name}: from winter to summer its stamps move by {shift:+.1f} hours (standard error {error:.2f}); people "
        f"who live by {zone}, in UTC, move by {low - high:+.0f}; the centre of its day would be {_clock(centre)} "
        f"there: either wall time of {zone} is labelled UTC, or the records are published by the clock of another zone."
    )
    return Finding("sentiment_in_wall_time", "sentiment", (), evidence, REMEDY)


def _of_people(symbols: pd.Series[str], local: pd.Series[pd.Timestamp]) -> bool:
    """Return whether a symbol has several records a day: the hour of a single one is that of a program."""
    days = pd.DataFrame({"symbol": symbols, "day": local.dt.tz_localize(None).dt.normalize()})
    return len(days) >= RECORDS_A_DAY * len(days.drop_duplicates())


def _night(name: str, local: pd.Series[pd.Timestamp], zone: str, *, people: bool) -> Finding | None:
    if len(local) < 2 * LEAST_OF_A_SEASON or not people:
        return None
    centre, error, length = _centre(_hours(local), local.dt.tz_localize(None).dt.normalize().to_numpy())
    if length < LEAST_CONCENTRATION:
        return None
    if not NIGHT_HOURS[0] + STANDARD_ERRORS * error < centre < NIGHT_HOURS[1] - STANDARD_ERRORS * error:
        return None
    evidence = (
        f"{name}: the centre of its day is {_clock(centre)} in {zone}, before the exchange "
        f"opens ({len(local)} records): either the stamps are of another zone than they say, some hours too early, or "
        "the records are published by the clock of another zone."
    )
    return Finding("sentiment_at_night", "sentiment", (), evidence, REMEDY)


def _clock(hours: float) -> str:
    return f"{int(hours):02d}:{int(hours % 1 * 60):02d}"


def _hours(moments: pd.Series[pd.Timestamp]) -> npt.NDArray[np.float64]:
    return np.asarray(moments.dt.hour + moments.dt.minute / 60, dtype=np.float64)


def _centre(hours: npt.NDArray[np.float64], days: npt.NDArray[np.datetime64]) -> tuple[float, float, float]:
    """Return the circular mean hour, its standard error with days as clusters, and the mean vector's length."""
    vectors = np.exp(2j * np.pi * hours / 24)
    mean = vectors.mean()
    length = float(abs(mean))
    if length == 0:
        return 0.0, float("inf"), 0.0
    across = np.imag(vectors * np.conj(mean) / length)
    by_day = pd.Series(across).groupby(days).sum().to_numpy()
    error = float(np.sqrt((by_day**2).sum())) / (len(hours) * length) * 12 / np.pi
    return float(np.angle(mean) * 12 / np.pi % 24), error, length
