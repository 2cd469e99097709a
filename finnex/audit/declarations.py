"""What the tables say of themselves: dates that no filing, release or record can truly have.

The rebuilding believes the dates of the tables. These checks ask whether the dates can be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.clock import Mask
from finnex.audit.report import Finding
from finnex.data.calendar import SessionCalendar, calendar_library

FASTEST_FILING_DAYS = 8
"""The first large companies report about ten days after their quarter ends."""
HASTY_SHARE = 0.05
LEAST_STEP_DAYS = 20  # between observations of a monthly series or a slower one
STARTS_BEFORE_DAY = 5  # observations dated on the first days of a month name the period by its start
SOON_DAYS = 3
START_DATED_SOON_DAYS = 14
NEARLY_ALL = 0.95
LEAST_RECORDS = 5


@dataclass(frozen=True)
class Declared:
    """A finding about some rows of a table; the features they feed are still to be filled in."""

    finding: Finding
    rows: Mask


def fundamentals_dated_by_period_end(filings: pd.DataFrame) -> list[Declared]:
    """Find filings dated by the end of their period, or sooner after it than anybody files, by origin."""
    found = []
    lag = (filings["available"] - filings["period_end"]).dt.days
    for origin, own in filings.groupby("origin", sort=True):
        rows = filings.index.isin(own.index) & (lag < FASTEST_FILING_DAYS).to_numpy()
        ended = rows & (lag <= 0).to_numpy()
        if not ended.any() and rows.sum() < HASTY_SHARE * len(own):
            continue
        example = filings[ended if ended.any() else rows].iloc[0]
        share = rows.sum() / len(own)
        what = f"{int(ended.sum())} on the day their period ended, " if ended.any() else ""
        evidence = (
            f"origin '{origin}': {int(rows.sum())} of {len(own)} rows ({share:.0%}) are available less than "
            f"{FASTEST_FILING_DAYS} days after their period ended; {what}such as {example['symbol']} "
            f"{example['period_end'].date()}, available {example['available'].date()}."
        )
        remedy = "Give the filing date as available_date; where there is none, period_end + 45 days is cautious."
        found.append(Declared(Finding("fundamentals_dated_by_period_end", "fundamentals", (), evidence, remedy), rows))
    return found


def macro_dated_by_observation(macro: pd.DataFrame, quotes: Mapping[str, int]) -> list[Declared]:
    """Find monthly and slower series that are available within days of what they observe."""
    found = []
    for series, own in macro.groupby("series", sort=True):
        observed = own["date"].drop_duplicates().sort_values()
        step = observed.diff().dt.days.median()
        if not step > LEAST_STEP_DAYS:  # daily and weekly series, and a single value, cannot be told from quotes
            continue
        starts = (own["date"].dt.day < STARTS_BEFORE_DAY).mean() > NEARLY_ALL
        soon = START_DATED_SOON_DAYS if starts else SOON_DAYS
        early = (own["available"] - own["date"]).dt.days <= soon
        quoted = str(series) in quotes
        if quoted:
            early[:] = True
        if not early.any():
            continue
        example = own[early].iloc[0]
        period = "monthly" if step < 60 else "quarterly or slower"
        evidence = f"series '{series}' ({period}): " + (
            "declared a market quote, known at the close of its observation date, which a figure over a period is not."
            if quoted
            else f"{int(early.sum())} of {len(own)} rows ({early.mean():.0%}) are available within {soon} days of "
            f"their observation date, such as {example['date'].date()}, available {example['available'].date()}."
        )
        remedy = (
            "Remove it from quote_delay_minutes and give release dates."
            if quoted
            else "Give the release date as available_date; only a market quote is known at once (quote_delay_minutes)."
        )
        rows = macro.index.isin(own.index[early])
        found.append(Declared(Finding("macro_dated_by_observation", "macro", (), evidence, remedy), rows))
    return found


def sentiment_dated_by_day(records: pd.DataFrame, calendar: SessionCalendar, exchange: str) -> list[Declared]:
    """Find providers whose records are stamped by the start of their day: the whole day is then known before it ran.

    A score stamped at the end of its day (23:59 in New York) belongs to the next session and is no finding.
    """
    utc = records["timestamp"].dt.tz_localize("UTC")
    local = utc.dt.tz_convert(_zone(exchange))
    midnight = {
        "UTC": (utc == utc.dt.normalize()).to_numpy(),
        "the exchange's zone": (local.dt.strftime("%H:%M:%S.%f") == "00:00:00.000000").to_numpy(),
    }
    found = []
    for (source, provider), own in records.groupby(["source", "provider"], sort=True):
        of_provider = records.index.isin(own.index)
        zone = max(midnight, key=lambda name: int((midnight[name] & of_provider).sum()))
        rows = midnight[zone] & of_provider
        days = own["timestamp"].dt.normalize().nunique()
        if rows.sum() < max(LEAST_RECORDS, NEARLY_ALL * len(own)) or days < 2:
            continue
        known = calendar.first_session_knowing(records["timestamp"].to_numpy()[rows])
        early = known < calendar.first_session_after(_written_day(records, rows, zone, local))
        evidence = (
            f"source '{source}', provider '{provider}': {int(rows.sum())} of {len(own)} records "
            f"({rows.sum() / len(own):.0%}) are stamped 00:00 in {zone}, the start of a day, such as "
            f"{records.loc[rows, 'timestamp'].iloc[0].isoformat()}Z; {int(early.sum())} enter the session of the day "
            "they tell about."
        )
        remedy = "Give the time of publication, or stamp a day's score at the end of its day (23:59 in the zone)."
        found.append(Declared(Finding("sentiment_dated_by_day", "sentiment", (), evidence, remedy), rows))
    return found


def _written_day(
    records: pd.DataFrame, rows: Mask, zone: str, local: pd.Series[pd.Timestamp]
) -> npt.NDArray[np.datetime64]:
    moments = records["timestamp"] if zone == "UTC" else local.dt.tz_localize(None)
    return moments.to_numpy()[rows].astype("datetime64[D]")


def _zone(exchange: str) -> str:
    start = pd.Timestamp("2020-01-01")
    return str(calendar_library().get_calendar(exchange, start=start, end=start + pd.Timedelta(days=31)).tz)
