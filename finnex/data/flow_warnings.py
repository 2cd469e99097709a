"""Warnings about the periods of filed figures: half years, years and sums where single quarters are expected."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.longer_periods import longer_periods, on_quarters
from finnex.data.names import FLOWS
from finnex.data.quarters import DAYS

LEAST_ENDS = 3
REMEDY = (
    "Give the first day of each period as period_start, so that quarters are taken or derived, or give single quarters."
)
SAID = {
    "year": "every fourth value looks like that of the whole year",
    "year to date": "values grow within each year and begin anew: they look like sums from the year's start",
}


def derived_quarters(filings: pd.DataFrame | None) -> dict[str, int]:
    """Return by symbol how many quarters have a derived figure; {} where no table has durations."""
    if filings is None or "derived" not in filings.columns:
        return {}
    counts = filings[filings["derived"]].groupby("symbol", sort=True)["period_end"].nunique()
    return {str(symbol): int(count) for symbol, count in counts.items()}


def odd_periods(own: pd.DataFrame, symbol: str) -> list[str]:
    """Return warnings of a company's flows that do not look like single quarters; of a restated figure the last."""
    flows = [name for name in FLOWS if name in own.columns]
    if not len(own) or not flows:
        return []
    if "derived" in own.columns:
        if own[flows].notna().any(axis=None):
            return []
        return [
            f"fundamentals of {symbol}: no single quarter follows from its periods (half years or years alone); "
            "features of income and cash flow are not known. Give quarters, where the company reports them."
        ]
    return [said for _, rows in own.groupby("origin", sort=True) for said in _of_one_origin(rows, flows, symbol)]


def _of_one_origin(rows: pd.DataFrame, flows: list[str], symbol: str) -> list[str]:
    figures = rows[flows].to_numpy(dtype="float64")
    days = rows["period_end"].to_numpy().astype("datetime64[D]").astype("int64")
    ends = np.unique(days[~np.isnan(figures).all(axis=1)])
    gaps = np.diff(ends)
    if len(ends) >= LEAST_ENDS and gaps.min() >= DAYS[2][0]:
        months = round(float(np.median(gaps)) / 30.4)
        return [
            f"fundamentals of {symbol}: periods end {months} months apart, so income and cash flow are of longer "
            f"periods than the single quarters that features take them for. {REMEDY}"
        ]
    found: dict[str, list[str]] = {}
    for name, values in zip(flows, figures.T, strict=True):
        known = ~np.isnan(values)
        own, last = np.unique(days[known][::-1], return_index=True)  # of a restated figure the last filed
        if len(own):
            pattern = longer_periods(on_quarters(own, values[known][::-1][last]))
            if pattern is not None:
                found.setdefault(pattern, []).append(name)
    return [
        f"fundamentals of {symbol}: {', '.join(names)}: {SAID[pattern]}, and features take each for a single quarter. "
        f"{REMEDY}"
        for pattern, names in found.items()
    ]
