"""Macro features: levels, changes and surprises of economic series, the yield curve, credit, cross-asset flows.

Changes of a released series compare releases with releases (`Observations.lagged`), so a monthly figure changes
once a month, on the session that first knows it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.features.arithmetic import log, log_returns
from finnex.data.features.context import Context, Features
from finnex.data.features.section import Section
from finnex.data.point_in_time import Floats, as_of

MONTHLY_AGE = 66  # sessions a monthly figure may be carried: three months, then it is stale
FLOWS = (("TLT", "SPY"), ("LQD", "IEF"), ("TIP", "IEF"), ("EEM", "SPY"), ("EFA", "SPY"))


def macro(context: Context) -> Features:
    """Return macro features on all sessions, NaN where the inputs lack the series or it is out of date."""
    return dict(context.section.once(_of_section))


def _of_section(section: Section) -> Features:
    found = _curve(section) | _credit(section) | _policy(section) | _activity(section)
    found |= _released(section, "CPILFESL", "core_cpi", logarithm=True)
    found |= _released(section, "UNRATE", "unemployment", logarithm=False)
    found |= _released(section, "PAYEMS", "payrolls", logarithm=True)
    found |= _released(section, "FEDFUNDS", "fed_funds", logarithm=False)
    claims = section.series("ICSA", max_age=15)
    found["claims_to_mean_52w"] = np.log(
        (claims / claims.rolling(252, min_periods=126).mean()).to_numpy(dtype="float64")
    )
    oil = section.series("WTI", max_age=15)
    found["oil_return_20"] = log_returns(oil, 20).to_numpy()
    found["oil_return_60"] = log_returns(oil, 60).to_numpy()
    for first, second in FLOWS:
        spread = log_returns(section.market_close(first)) - log_returns(section.market_close(second))
        for window in (20, 60):
            name = f"flow_{first.lower()}_{second.lower()}_{window}"
            found[name] = spread.rolling(window).sum().to_numpy()
    return found


def _curve(section: Section) -> Features:
    ten, two = section.series("DGS10", max_age=10), section.series("DGS2", max_age=10)
    short = _short_rate(section)
    five, thirty = section.series("DGS5", max_age=10), section.series("DGS30", max_age=10)
    slope, front = ten - two, ten - short
    found = {
        "rate_10y": ten,
        "rate_2y": two,
        "rate_3m": short,
        "curve_10y_2y": slope,
        "curve_10y_3m": front,
        "curve_30y_10y": thirty - ten,
        "curve_curvature": 2 * five - two - ten,
        "curve_10y_2y_change_20": slope - slope.shift(20),
        "curve_10y_2y_change_60": slope - slope.shift(60),
        "rate_10y_to_mean_252": ten - ten.rolling(252, min_periods=126).mean(),
        "policy_expectation": two - short,
    }
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()}


def _short_rate(section: Section) -> pd.Series[float]:
    # Session by session, never for a whole file: what arrives later must not change what stood here before.
    daily = section.series("DGS3MO", max_age=10)
    return daily.where(daily.notna(), section.series("TB3MS", max_age=MONTHLY_AGE))


def _policy(section: Section) -> Features:
    """Monetary stance: the policy rate's course, rates after inflation, the central bank's balance sheet."""
    short, ten = _short_rate(section), section.series("DGS10", max_age=10)
    inflation = pd.Series(_released(section, "CPILFESL", "core", logarithm=True)["core_change_12m"]) * 100
    assets = log(section.series("WALCL", max_age=15))
    found = {
        "policy_rate_change_60": short - short.shift(60),
        "policy_rate_change_252": short - short.shift(252),
        "real_rate_3m": short - inflation,
        "real_rate_10y": ten - inflation,
        "balance_sheet_growth_252": assets - assets.shift(252),
    }
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()}


def _activity(section: Section) -> Features:
    """Households, housing, orders, stress and the dollar, where the inputs have them."""
    mortgage = section.series("MORTGAGE30US", max_age=15) - section.series("DGS10", max_age=10)
    stress = section.series("STLFSI", max_age=15)
    dollar = -log(section.series("DEXUSEU", max_age=15))  # dollars a euro: turned, so that up is a stronger dollar
    found = {
        "mortgage_spread": mortgage,
        "financial_stress": stress,
        "dollar_return_20": dollar - dollar.shift(20),
        "dollar_return_60": dollar - dollar.shift(60),
    }
    plain = {name: values.to_numpy(dtype="float64") for name, values in found.items()}
    for series, name in (("UMCSENT", "consumer_mood"), ("PERMIT", "building_permits"), ("DGORDER", "durable_orders")):
        plain[f"{name}_change_12m"] = _released(section, series, name, logarithm=True)[f"{name}_change_12m"]
    return plain


def _credit(section: Section) -> Features:
    aaa, baa = section.series("AAA", MONTHLY_AGE), section.series("BAA", MONTHLY_AGE)
    spread = baa - aaa
    risk = baa - section.series("DGS10", max_age=10)
    found = {
        "credit_spread": spread,
        "credit_spread_change_60": spread - spread.shift(60),
        "credit_risk_premium": risk,
        "credit_risk_premium_change_20": risk - risk.shift(20),
    }
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()}


def _released(section: Section, series: str, name: str, *, logarithm: bool) -> Features:
    """Return year-on-year change, last change and surprise of a monthly series.

    The surprise is the last change less the mean of the twelve before it, over their standard deviation: how far
    the release stood from the series' own trend.
    """
    wanted = (f"{name}_change_12m", f"{name}_change_1m", f"{name}_surprise")
    rows = section.observations.get(series)
    if rows is None or len(rows.value) == 0:
        return {key: np.full(section.sessions, np.nan) for key in wanted}

    def level(lag: int) -> Floats:
        values = rows.lagged(lag)
        return np.log(values) if logarithm else values

    changes = np.stack([level(k) - level(k + 1) for k in range(13)])
    mean, spread = changes[1:].mean(axis=0), changes[1:].std(axis=0)
    surprise = np.divide(changes[0] - mean, spread, out=np.full(len(mean), np.nan), where=spread > 1e-12)
    per_row = (level(0) - level(12), changes[0], surprise)
    return {
        key: as_of(rows.known, values, section.sessions, MONTHLY_AGE)
        for key, values in zip(wanted, per_row, strict=True)
    }
