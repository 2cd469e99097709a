"""Dates that are not ISO 8601 to `datetime64`: a vendor's own format, epochs, and digits without signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from finnex.data.cells import distinct
from finnex.data.written_times import FIRST, LAST, LATEST_EPOCH, read_times

FIRST_SECOND, NEWEST_SECOND, LAST_SECOND = 1e8, 1e9, LATEST_EPOCH
"""Of a column of seconds since 1970: none before 1973, and the last one of 2001 to 2030. A later one of ten digits
could be a day and an hour (1999123123), and what is smaller a day (20240308) or no time at all."""
UNITS = (("s", 1e0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9))
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
NEW_YORK = "America/New_York"
SATURDAY = 5
LOOKED_AT = 500


@dataclass(frozen=True)
class ReadDates:
    """What a column of dates says.

    Attributes
    ----------
    value
        `datetime64[ns]`, naive as written, or of UTC where the format has a zone; NaT where empty or bad.
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


def _are_iso(cells: pd.Series[Any]) -> bool:
    texts = cells.astype("str").str.strip()
    return bool((read_times(texts).clock.notna() | (texts == "")).all())


def formatted(cells: pd.Series[Any], formats: Sequence[str]) -> ReadDates | None:
    """Return what texts say by the one format that reads them all; None where the first and last are ISO 8601.

    Where several read them all and disagree (03/04/2024), the one is taken that gives days in order and on weekdays;
    where that leaves several, they are `formats` of the result. Where none reads all, the one that reads most.
    """
    if _are_iso(cells.head(LOOKED_AT)) and _are_iso(cells.tail(LOOKED_AT)):
        return None
    codes, each = distinct(cells)
    texts = each.str.strip()
    empty = texts == ""
    found: dict[str, pd.Series[pd.Timestamp]] = {}
    for one in formats:
        value = pd.to_datetime(texts.where(~empty), format=one, errors="coerce", utc=True).dt.tz_localize(None)
        found[one] = value.where((value >= FIRST) & (value <= LAST)).astype("datetime64[ns]")
    if not found:
        return None
    most = max(int(value.notna().sum()) for value in found.values())
    left = [one for one in found if int(found[one].notna().sum()) == most]
    chosen = [one for number, one in enumerate(left) if not any(found[one].equals(found[old]) for old in left[:number])]
    if len(chosen) > 1:
        likely = [one for one in chosen if _in_order(found[one].take(codes))]
        weekdays = [one for one in likely if bool((found[one].dropna().dt.day_of_week < SATURDAY).all())]
        chosen = weekdays or likely or chosen
    best = chosen[0]
    value = found[best]
    bad = value.isna() & ~empty
    if "%z" in best:
        value = value.dt.tz_localize("UTC")
    return ReadDates(
        value.take(codes).set_axis(cells.index),
        bad.take(codes).set_axis(cells.index),
        best,
        tuple(chosen) if len(chosen) > 1 else (),
    )


def _in_order(days: pd.Series[pd.Timestamp]) -> bool:
    found = days.dropna()
    return bool(found.is_monotonic_increasing or found.is_monotonic_decreasing)


def numbers_in(texts: pd.Series[str]) -> pd.Series[Any] | None:
    """Return whole texts as numbers, int64 or float64 with NaN where one is empty; None where one is no number."""
    stripped = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))
    given = pc.if_else(pc.equal(stripped, ""), None, stripped)
    for kind in (pa.int64(), pa.float64()):
        try:
            found: pd.Series[Any] = given.cast(kind).to_pandas()
            return found.set_axis(texts.index)
        except pa.ArrowInvalid:
            continue
    return None


def epochs(numbers: pd.Series[Any]) -> tuple[pd.Series[pd.Timestamp], str] | None:
    """Return moments (`datetime64[ns, UTC]`) of numbers since 1970, and their unit, by their size; None of others.

    NaN is NaT. Seconds have ten digits, or nine before 2001; milliseconds three more, and so on.
    """
    largest, least = numbers.max(), numbers.min()
    fits = [
        (unit, times)
        for unit, times in UNITS
        if NEWEST_SECOND * times <= largest < LAST_SECOND * times and least >= FIRST_SECOND * times
    ]
    if not fits:
        return None
    ((unit, times),) = fits
    if pd.api.types.is_integer_dtype(numbers.dtype):
        size: Any = unit
        return pd.to_datetime(numbers, unit=size, utc=True).astype("datetime64[ns, UTC]"), unit
    # float64 holds microseconds of our century; nanoseconds it does not, and no time needs them.
    micros = np.rint(numbers.to_numpy(dtype=np.float64) * (1e6 / times))
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
