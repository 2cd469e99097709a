"""Dates that no filing or release can truly have: lags between a period and its publication, by origin and by series.

The rebuilding believes the dates of the tables. These checks ask whether the dates can be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.clock import Mask
from finnex.data.release_lags import JOBS_REPORT, PERIOD_MONTHS, least_lag_days

FASTEST_FILING_DAYS = 10
"""The first large companies report about ten days after their quarter ends, and file later."""
SOONEST_CLOSING_DAYS = 1
"""Nothing is filed by the day after its period: books are closed first. One such row is a finding."""
DEADLINE_DAYS = 40
"""Form 10-Q of an accelerated filer (17 CFR 249.308a): a lag that is the same for all filings is a rule, not a record,
and must not be shorter."""
LEAST_FILINGS = 6
HASTY_SHARE = 0.05
LEAST_STEP_DAYS = 20  # between observations of a monthly series or a slower one
STARTS_BEFORE_DAY = 5  # observations dated on the first days of a month name the period by its start
SOON_DAYS = 3
FRIDAY = 4
MONTHLY_STEP_DAYS = 60
NEARLY_ALL = 0.95
LONGEST_NOTICE_DAYS = 760
"""Two years and a month. The Federal Reserve publishes its meetings for the next year, at times for two
(federalreserve.gov/newsevents/pressreleases, "tentative meeting schedule"), the BLS its releases for the next year."""


@dataclass(frozen=True)
class Declared:
    """A finding about some rows of a table; the features they feed are still to be filled in."""

    finding: Finding
    rows: Mask


def fundamentals_dated_by_period_end(filings: pd.DataFrame) -> list[Declared]:
    """Find filings dated by the end of their period, or sooner after it than companies file, by origin."""
    found = []
    lag = (filings["available"] - filings["period_end"]).dt.days
    for origin, own in filings.groupby("origin", sort=True):
        of_origin = filings.index.isin(own.index)
        rows = of_origin & (lag < FASTEST_FILING_DAYS).to_numpy()
        ended = rows & (lag <= SOONEST_CLOSING_DAYS).to_numpy()
        own_lag = lag[of_origin]
        by_rule = (
            len(own) >= LEAST_FILINGS and bool((own_lag == own_lag.iloc[0]).all()) and own_lag.iloc[0] < DEADLINE_DAYS
        )
        if not ended.any() and rows.sum() < HASTY_SHARE * len(own) and not by_rule:
            continue
        rows = of_origin if by_rule else rows
        example = filings[ended if ended.any() else rows].iloc[0]
        such = f"such as {example['symbol']} {example['period_end'].date()}, available {example['available'].date()}"
        if by_rule:
            evidence = (
                f"origin '{origin}': all {len(own)} rows are available {own_lag.iloc[0]} days after their period "
                f"ended, {such}: a rule, and sooner than the {DEADLINE_DAYS} days that a quarterly report may take."
            )
        else:
            share = rows.sum() / len(own)
            what = f"{int(ended.sum())} by the day after their period ended, " if ended.any() else ""
            evidence = (
                f"origin '{origin}': {int(rows.sum())} of {len(own)} rows ({share:.0%}) are available less than "
                f"{FASTEST_FILING_DAYS} days after their period ended; {what}{such}."
            )
        remedy = "Give the filing date as available_date; where there is none, period_end + 45 days is cautious."
        found.append(Declared(Finding("fundamentals_dated_by_period_end", "fundamentals", (), evidence, remedy), rows))
    return found


NOTICE_REMEDY = (
    "Give the day on which the event was announced, or its schedule published. Where that day is unknown: of meetings "
    "with a published schedule (FOMC and the like), 90 days before the meeting is cautious. Of other events, which may "
    "be called at short notice, it is not: leave those out."
)


def events_announced_too_early(events: pd.DataFrame) -> list[Declared]:
    """Find scheduled events whose dates are said to be public years before: schedules are announced by the year."""
    found = []
    ahead = (events["date"] - events["announced"]).dt.days
    for name, own in events.groupby("name", sort=True):
        rows = (events["name"] == name).to_numpy() & (ahead > LONGEST_NOTICE_DAYS).to_numpy()
        if not rows.any():
            continue
        example = events[rows].iloc[-1]
        evidence = (
            f"'{name}': {int(rows.sum())} of {len(own)} are announced more than {LONGEST_NOTICE_DAYS} days before they "
            f"happen, such as {example['date'].date()}, announced {example['announced'].date()}."
        )
        found.append(Declared(Finding("events_announced_too_early", "events", (), evidence, NOTICE_REMEDY), rows))
    return found


def _at_month_ends(days: pd.Series[pd.Timestamp]) -> bool:
    return bool((days.dt.days_in_month - days.dt.day < STARTS_BEFORE_DAY).mean() > NEARLY_ALL)


def before_first_friday(months: pd.Series[pd.Timestamp]) -> npt.NDArray[np.intp]:
    """Return days from the first day of a month to the Thursday before its first Friday, 0 where that lies before it.

    The jobs report comes on a Friday, the first of the month at the earliest (bls.gov/schedule), and on Thursday where
    that is a holiday.
    """
    days = (FRIDAY - months.dt.day_of_week.to_numpy()) % 7 - 1
    return np.asarray(np.maximum(days, 0), dtype=np.intp)


def macro_dated_by_observation(macro: pd.DataFrame, quotes: Mapping[str, int]) -> list[Declared]:
    """Find series that are available before their period is over, or sooner than their source publishes them."""
    found = []
    for series, own in macro.groupby("series", sort=True):
        observed = own["date"].drop_duplicates().sort_values()
        step = observed.diff().dt.days.median()
        slow = bool(step > LEAST_STEP_DAYS)
        least = least_lag_days(str(series))
        quoted = str(series) in quotes
        if not slow and least is None:  # of an unknown daily or weekly series nothing is known
            continue
        ended = own["date"]
        starts = slow and (own["date"].dt.day < STARTS_BEFORE_DAY).mean() > NEARLY_ALL
        if starts:
            months = PERIOD_MONTHS["monthly"] if step < MONTHLY_STEP_DAYS else PERIOD_MONTHS["quarterly"]
            ended = own["date"].dt.to_period("M").dt.to_timestamp() + pd.DateOffset(months=months)
        elif slow and least is not None and _at_month_ends(own["date"]):
            ended = own["date"] + pd.offsets.MonthBegin(1)  # the first day after the period, as the lags count
        lag = (own["available"] - ended).dt.days.to_numpy()
        least_days = (0 if starts else SOON_DAYS + 1) if least is None else least
        early = np.ones(len(own), dtype=bool) if quoted and slow else lag < least_days
        if slow and not quoted and str(series).strip().upper() in JOBS_REPORT:
            early |= lag < before_first_friday(ended)
        impossible = slow and bool((lag < min(0, least_days)).any())
        if not early.any() or not (quoted or least is None or impossible or early.mean() >= HASTY_SHARE):
            continue
        example = own[early].iloc[0]
        period = "daily or weekly" if not slow else "monthly" if step < MONTHLY_STEP_DAYS else "quarterly or slower"
        reference = "the end of the period they observe" if starts else "their observation date"
        source = "" if least is None else " its source publishes"
        friday = early.any() and not (lag[early] < least_days).any()
        when = "on the first Friday of the next month" if friday else f"{least_days} days after {reference}"
        evidence = f"series '{series}' ({period}): " + (
            "declared a market quote, known at the close of its observation date, which a figure over a period is not."
            if quoted and slow
            else f"{int(early.sum())} of {len(own)} rows ({early.mean():.0%}) are available sooner than{source} "
            f"{when}, such as {example['date'].date()}, available {example['available'].date()}."
        )
        remedy = (
            "Remove it from quote_delay_minutes and give release dates."
            if quoted and slow
            else "Give the release date as available_date; only a market quote is immediate (quote_delay_minutes)."
        )
        rows = macro.index.isin(own.index[early])
        found.append(Declared(Finding("macro_dated_by_observation", "macro", (), evidence, remedy), rows))
    return found
