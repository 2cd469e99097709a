"""Texts of dates and times to what they say: the clock that is written, the moment, and whether a zone is given.

Whole columns in one call. What names no day (2024, 2024-03, today) is not a date: it would be read as the first of the
period, or as the day of the run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

FIRST, LAST = pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01")
"""Nanoseconds end in 2262; no table reaches that far ahead."""
NAMES_A_DAY = r"\d{4}(?:\d{4}|-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2}|\.\d{1,2}\.\d{1,2})(?:[T ]|$)"
CUT_SHORT = r"\d{4}(?:[-/.]\d{1,2}|\d{2})?"
"""A year, or a month of a year; five digits are a spreadsheet's number of a day."""
OFFSET = re.compile(r"([+-])(\d{2})(?::?(\d{2}))?$")
EPOCH = r"^(\d{10}|\d{13})(?:\.0+)?$"
LATEST_EPOCH = 1.9e9
"""2030-03-17. A later number of ten digits would read as a day and an hour too: 1999123123."""
LONGEST_DATE, LONGEST_OFFSET = 10, 6
"""Characters of a date without a time, and of an offset from UTC."""


@dataclass(frozen=True)
class WrittenTimes:
    """What a column of texts says; all series have the column's index.

    Attributes
    ----------
    moment
        `datetime64[ns]` in UTC; a text without a zone is taken for UTC. NaT where the text is none, names no day or is
        of none of our centuries.
    clock
        `datetime64[ns]`: the date and time as they are written, in any zone. NaT as `moment`.
    zoned
        Whether the text gives a zone.
    """

    moment: pd.Series[pd.Timestamp]
    clock: pd.Series[pd.Timestamp]
    zoned: pd.Series[bool]

    @property
    def midnight(self) -> pd.Series[bool]:
        """Whether the clock that is written shows exactly midnight; a date without a time does."""
        return self.clock.notna() & (self.clock == self.clock.dt.normalize())


def read_times(cells: pd.Series[Any]) -> WrittenTimes:
    """Return what a column says: ISO 8601 dates and times, seconds or milliseconds since 1970, or `datetime64`.

    Seconds have ten digits and milliseconds thirteen; they are moments in UTC. Beyond `LATEST_EPOCH` ten digits may be
    a day and an hour, and are no time.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype) or cells.dtype.kind == "M":
        return _of_datetimes(cells)
    if isinstance(cells.dtype, pd.CategoricalDtype):
        codes, each = cells.cat.codes.to_numpy(), pd.Series(cells.cat.categories, dtype="str").str.strip()
    else:
        codes, unique = pd.factorize(cells.str.strip())  # a table of bars has each date many times
        each = pd.Series(unique, dtype="str")
    found = _read(each)
    return WrittenTimes(
        found.moment.take(codes).set_axis(cells.index),
        found.clock.take(codes).set_axis(cells.index),
        found.zoned.take(codes).set_axis(cells.index),
    )


def _of_datetimes(cells: pd.Series[Any]) -> WrittenTimes:
    zoned = isinstance(cells.dtype, pd.DatetimeTZDtype)
    clock = (cells.dt.tz_localize(None) if zoned else cells).astype("datetime64[ns]")
    moment = (cells.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else cells).astype("datetime64[ns]")
    inside = (moment >= FIRST) & (moment <= LAST)
    clock, moment = clock.where(inside), moment.where(inside)
    return WrittenTimes(moment, clock, moment.notna() & zoned)


def _read(written: pd.Series[str]) -> WrittenTimes:
    named = written.str.match(NAMES_A_DAY)
    moment = _moments(written.where(named, ""))
    if (odd := moment.isna() & named & (written.str.endswith("UTC") | written.str.contains(",", regex=False))).any():
        # ISO 8601 allows a comma before fractions; programs write UTC for Z. pandas reads neither.
        written = written.mask(odd, written[odd].str.replace(r"\s*UTC$", "Z", regex=True).str.replace(",", "."))
        moment = moment.where(~odd, _moments(written.where(odd, "")))
    timed = written.str.len() > LONGEST_DATE
    # The same few offsets end all rows: each is read once.
    codes, tails = pd.factorize(written.where(timed, "").str.slice(-LONGEST_OFFSET))
    minutes = np.array([_minutes(tail) for tail in tails], dtype=np.float64)[codes]
    epoch = _epochs(written)
    given = epoch.notna()
    moment = moment.mask(given, epoch)
    zoned = ~np.isnan(minutes) & ~given
    offset = pd.Series(np.where(zoned, minutes, 0.0), index=written.index) * pd.Timedelta(minutes=1)
    return WrittenTimes(moment, moment + offset, (pd.Series(zoned, index=written.index) | given) & moment.notna())


def _epochs(written: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    found = written.str.extract(EPOCH)[0]
    number = pd.to_numeric(found).astype("float64")
    number = number.where(number < 1e11, number / 1000)
    number = number.where(number < LATEST_EPOCH)
    # Milliseconds are whole: of a float64 in seconds they would not be.
    return pd.to_datetime((number * 1000).round(), unit="ms").astype("datetime64[ns]")


def names_no_day(text: pd.Series[str]) -> pd.Series[bool]:
    """Return which texts are a year or a month without a day."""
    return text.str.strip().str.fullmatch(CUT_SHORT)


def in_zone_midnight(times: WrittenTimes, zone: str) -> pd.Series[pd.Timestamp]:
    """Return the dates of moments that are exactly midnight in a zone (IANA); NaT where they are not."""
    local = times.moment.where(times.zoned).dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    return local.where(local == local.dt.normalize())


def in_utc(clock: pd.Series[pd.Timestamp], zone: str) -> pd.Series[pd.Timestamp]:
    """Return local times of a zone (IANA) in UTC, without zone.

    A local time that occurs twice in autumn counts as the later one, one that spring skips as the first after it:
    a record is never dated earlier than it can have been.
    """
    # Standard time is the later of the two: False says that a doubtful time is not in daylight saving.
    placed = clock.dt.tz_localize(zone, ambiguous=np.zeros(len(clock), dtype=bool), nonexistent="shift_forward")
    return placed.dt.tz_convert("UTC").dt.tz_localize(None)


def _moments(written: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    value = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    return value.where((value >= FIRST) & (value <= LAST)).astype("datetime64[ns]")


def _minutes(tail: str) -> float:
    """Return how far ahead of UTC a text's end says that its clock is; NaN where it says nothing."""
    if tail.endswith("Z"):
        return 0.0
    found = OFFSET.search(tail)
    if found is None:
        return np.nan
    sign, hours, minutes = found.groups()
    return (60 * int(hours) + int(minutes or 0)) * (-1.0 if sign == "-" else 1.0)
