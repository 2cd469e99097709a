"""Dates that are not ISO 8601 to `datetime64`: a vendor's own format, epochs, and digits without signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from finnex.data.written_times import FIRST, LAST, read_times

EPOCH = r"(?:1\d{9}|1\d{12}|1\d{15}|1\d{18})(?:\.\d+)?"
"""Seconds, milliseconds, microseconds or nanoseconds of 2001 to 2033: 10, 13, 16 or 19 digits."""
DAY_AND_HOUR = r"19\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])"
"""Ten digits that would be seconds of 2030 on."""
UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", np.inf))
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
NEW_YORK = "America/New_York"
SATURDAY = 5


@dataclass(frozen=True)
class ReadDates:
    """What a column of dates says.

    Attributes
    ----------
    value
        `datetime64[ns]`, naive as written, or of UTC where epochs were read as moments; NaT where empty or bad.
    bad
        Which cells are no date of the format.
    format
        By which they were read.
    formats
        The formats that read all of them and disagree: what was written is ambiguous, and `value` is of the first.
    """

    value: pd.Series[pd.Timestamp]
    bad: pd.Series[bool]
    format: str
    formats: tuple[str, ...] = ()


def formatted(cells: pd.Series[str], formats: Sequence[str]) -> ReadDates | None:
    """Return what texts say by the one of some formats that reads them all; None where all are ISO 8601.

    Where several read them all and disagree (03/04/2024), the one is taken that gives days in order and on weekdays;
    where that leaves several, they are `formats` of the result. Where none reads all, the one that reads most.
    """
    codes, each = pd.factorize(cells)
    texts = pd.Series(each, dtype="str").str.strip()
    empty = texts == ""
    if bool((read_times(texts).clock.notna() | empty).all()):
        return None
    found: dict[str, pd.Series[pd.Timestamp]] = {}
    for one in formats:
        value = pd.to_datetime(texts.where(~empty), format=one, errors="coerce")
        if value.dt.tz is not None:
            value = value.dt.tz_convert("UTC").dt.tz_localize(None)
        found[one] = value.where((value >= FIRST) & (value <= LAST)).astype("datetime64[ns]")
    if not found:
        return None
    most = max(int(value.notna().sum()) for value in found.values())
    left = [one for one in found if int(found[one].notna().sum()) == most]
    distinct = [
        one for number, one in enumerate(left) if not any(found[one].equals(found[old]) for old in left[:number])
    ]
    if len(distinct) > 1:
        likely = [one for one in distinct if _in_order(found[one].take(codes))]
        weekdays = [one for one in likely if bool((found[one].dropna().dt.day_of_week < SATURDAY).all())]
        distinct = weekdays or likely or distinct
    best = distinct[0]
    value = found[best]
    bad = value.isna() & ~empty
    return ReadDates(
        value.take(codes).set_axis(cells.index),
        bad.take(codes).set_axis(cells.index),
        best,
        tuple(distinct) if len(distinct) > 1 else (),
    )


def _in_order(days: pd.Series[pd.Timestamp]) -> bool:
    found = days.dropna()
    return bool(found.is_monotonic_increasing or found.is_monotonic_decreasing)


def are_epochs(cells: pd.Series[str]) -> bool:
    """Return whether stripped texts are seconds or smaller units since 1970: all that are not ''."""
    each = cells[cells != ""]
    return len(each) > 0 and bool(each.str.fullmatch(EPOCH).all()) and not each.str.fullmatch(DAY_AND_HOUR).any()


def epochs(numbers: pd.Series[float]) -> tuple[pd.Series[pd.Timestamp], str]:
    """Return moments (UTC, `datetime64[ns, UTC]`) of numbers since 1970, and their unit: by their size.

    Seconds have 9 or 10 digits (since 1973), milliseconds 12 or 13, and so on by thousands. NaN is NaT.
    """
    size = numbers.abs().median()
    unit = next(unit for unit, most in UNITS if size < most)
    if pd.api.types.is_integer_dtype(numbers.dtype):
        return pd.to_datetime(numbers, unit=unit, utc=True, errors="coerce").astype("datetime64[ns, UTC]"), unit
    # Floats hold microseconds of our century exactly enough; nanoseconds they do not, and dates need none.
    per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    micros = np.rint(numbers.to_numpy(dtype=np.float64) * (1e6 / per_second))
    known = np.isfinite(micros)
    moments = np.full(len(micros), np.datetime64("NaT"), dtype="datetime64[us]")
    moments[known] = micros[known].astype(np.int64).astype("datetime64[us]")
    return pd.Series(moments, index=numbers.index).astype("datetime64[ns]").dt.tz_localize("UTC"), unit


def days_of(moments: pd.Series[pd.Timestamp], zone: str | None) -> tuple[pd.Series[pd.Timestamp], str]:
    """Return the days that moments are the midnights of, naive, and the zone: the one given, UTC, or New York.

    Where all are midnights of none of them, the clock of UTC is returned as it is: a reader refuses times in a date.
    """
    for one in [zone] if zone else ["UTC", NEW_YORK]:
        local = moments.dt.tz_convert(one).dt.tz_localize(None)
        if bool((local.dropna() == local.dropna().dt.normalize()).all()):
            return local, one
    return moments.dt.tz_convert(zone or "UTC").dt.tz_localize(None), zone or "UTC"
