"""When a macro value without a release date counts as known: a lag after the period that it observes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

from finnex.data.names import SERIES_ALIASES
from finnex.data.preset import Lag, Period, Preset

PERIODS: tuple[Period, ...] = ("day", "week", "month", "quarter", "year")
MOST_STEP_DAYS = (4, 10, 45, 135)
"""Between values of a series of days, weeks, months and quarters, in the middle."""
MONTHS: Mapping[Period, int] = {"month": 1, "quarter": 3, "year": 12}
EVERY = "*"
"""In `lags`: all series that it does not name."""
SHOWN = 4


def available_dates(
    series: pd.Series[Any], dates: pd.Series[pd.Timestamp], preset: Preset, lag_days: int | None
) -> tuple[pd.Series[pd.Timestamp], list[str], list[str]]:
    """Return the day on which each value counts as known.

    Parameters
    ----------
    series
        Name of each row's series.
    dates
        Observation dates, `datetime64[ns]`; NaT gives NaT.
    preset
        Its `lags` and `lags_by_period`.
    lag_days
        Days after the observation date that the configuration gives; it overrides the preset.

    Returns
    -------
    tuple
        Days, NaT where a series has no lag; sentences about the lags; and the series without one.

    Notes
    -----
    A series is taken to observe the longer one of what its lag says and of what the steps between its dates show: the
    monthly mean of a daily series is dated by the first of its month, and is not known before the month is over.
    """
    known = pd.Series(pd.NaT, index=dates.index, dtype="datetime64[ns]")
    said: dict[str, list[str]] = {}
    without: list[str] = []
    for name, rows in series.groupby(series, observed=True).indices.items():
        own = dates.iloc[rows]
        step = step_of(own)
        lag = Lag(days=lag_days) if lag_days is not None else _lag_of(str(name), step, preset)
        if lag is None:
            without.append(str(name))
            continue
        period = lag.period if lag_days is not None or step is None else max(lag.period, step, key=PERIODS.index)
        known.iloc[rows] = _published(own.to_numpy().astype("datetime64[D]"), lag, period)
        said.setdefault(_in_words(lag, period), []).append(str(name))
    return known, [f"{_some(names)}: no release dates; {words}" for words, names in said.items()], without


def _lag_of(series: str, step: Period | None, preset: Preset) -> Lag | None:
    aliases = [series, *(theirs for theirs, ours in SERIES_ALIASES.items() if ours == series), EVERY]
    found = next((preset.lags[name] for name in aliases if name in preset.lags), None)
    if found is not None or not preset.lags_by_period:
        return found
    # Where the step is not among them, the longest lag is on the safe side.
    return preset.lags_by_period.get(
        step or "year", preset.lags_by_period[max(preset.lags_by_period, key=PERIODS.index)]
    )


def step_of(dates: pd.Series[pd.Timestamp]) -> Period | None:
    """Return how often a series has values, by the middle of the steps between its dates; None of one date alone."""
    days = np.unique(dates.dropna().to_numpy().astype("datetime64[D]"))
    if len(days) < 2:
        return None
    step = float(np.median(np.diff(days).astype(np.int64)))
    return next((one for one, most in zip(PERIODS, MOST_STEP_DAYS, strict=False) if step <= most), "year")


def _published(observed: npt.NDArray[np.datetime64], lag: Lag, period: Period) -> npt.NDArray[np.datetime64]:
    ended = observed
    if months := MONTHS.get(period):
        month = observed.astype("datetime64[M]").astype(np.int64)
        ended = ((month // months + 1) * months).astype("datetime64[M]").astype("datetime64[D]")
        ended = np.where(np.isnat(observed), np.datetime64("NaT"), ended)
    if not lag.business:
        return (ended + np.timedelta64(lag.days, "D")).astype("datetime64[ns]")
    found = np.full(len(ended), np.datetime64("NaT"), dtype="datetime64[D]")
    real = ~np.isnat(ended)
    found[real] = np.busday_offset(ended[real], lag.days, roll="backward", holidays=_federal_holidays())
    return found.astype("datetime64[ns]")


@lru_cache(maxsize=1)
def _federal_holidays() -> npt.NDArray[np.datetime64]:
    return USFederalHolidayCalendar().holidays("1950-01-01", "2100-12-31").to_numpy().astype("datetime64[D]")


def _in_words(lag: Lag, period: Period) -> str:
    unit = "business day" if lag.business else "day"
    days = f"{lag.days} {unit}{'' if lag.days == 1 else 's'} after"
    after = f"the {period} it observes is over" if period in MONTHS else "its date"
    return f"a value counts as known {'on' if lag.days == 0 and period not in MONTHS else days} {after}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
