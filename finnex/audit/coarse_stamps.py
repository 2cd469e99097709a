"""Stamps of sentiment records that lie on a grid of minutes: buckets, which may be dated by their beginning."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.audit.time_of_day import exchange_zone

LEAST_RECORDS = 100
LEAST_MINUTES = 5
DAY_SECONDS = 24 * 3600


def coarse_stamps(records: pd.DataFrame | None, exchange: str) -> str:
    """Return the providers all of whose stamps are multiples of five minutes or more, in words; '' where none is.

    A provider with one time of day, in UTC or on the exchange's clock, gives scores of days and has no buckets.

    Parameters
    ----------
    records
        The sentiment table, or None where there is none.
    """
    if records is None:
        return ""
    zone, found = exchange_zone(exchange), []
    for (source, provider), own in records.groupby(["source", "provider"], sort=True):
        utc = own["timestamp"].dt.tz_localize("UTC")
        seconds, local = (_seconds(moments) for moments in (utc, utc.dt.tz_convert(zone)))
        if len(own) < LEAST_RECORDS or min(len(np.unique(seconds)), len(np.unique(local))) < 2:
            continue
        minutes = int(np.gcd.reduce(np.append(seconds, DAY_SECONDS))) // 60
        if minutes >= LEAST_MINUTES:
            found.append(f"source '{source}', provider '{provider}': multiples of {minutes} minutes")
    return "; ".join(found)


def _seconds(moments: pd.Series[pd.Timestamp]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return the seconds since midnight of each moment."""
    clock = moments.dt
    return np.asarray(clock.hour * 3600 + clock.minute * 60 + clock.second, dtype=np.int64)
