"""Texts of dates and times to what they say: the clock that is written, the moment, and whether a zone is given.

Whole columns in one call. What names no day (2024, 2024-03, today) is no date: it would be read as the first of the
period, or as the day of the run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

FIRST, LAST = pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01")
"""Nanoseconds end in 2262; no table reaches that far ahead."""
NAMES_A_DAY = r"\d{4}(?:\d{4}|-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2}|\.\d{1,2}\.\d{1,2})(?:[T ]|$)"
CUT_SHORT = r"\d{4}(?:[-/.]?\d{1,2})?"
"""A year, or a month of a year."""
OFFSET = re.compile(r"([+-])(\d{2})(?::?(\d{2}))?$")
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


def read_times(text: pd.Series[str]) -> WrittenTimes:
    """Return what a column of ISO 8601 dates and times says."""
    codes, each = pd.factorize(text.str.strip())  # a table of bars has each date many times
    found = _read(pd.Series(each, dtype="str"))
    return WrittenTimes(
        found.moment.take(codes).set_axis(text.index),
        found.clock.take(codes).set_axis(text.index),
        found.zoned.take(codes).set_axis(text.index),
    )


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
    zoned = ~np.isnan(minutes)
    offset = pd.Series(np.where(zoned, minutes, 0.0), index=written.index) * pd.Timedelta(minutes=1)
    return WrittenTimes(moment, moment + offset, pd.Series(zoned, index=written.index) & moment.notna())


def names_no_day(text: pd.Series[str]) -> pd.Series[bool]:
    """Return which texts are a year or a month without a day."""
    return text.str.strip().str.fullmatch(CUT_SHORT)


def in_zone_midnight(times: WrittenTimes, zone: str) -> pd.Series[pd.Timestamp]:
    """Return the dates of moments that are exactly midnight in a zone (IANA); NaT where they are not."""
    local = times.moment.where(times.zoned).dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    return local.where(local == local.dt.normalize())


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
