"""How figures of returns are named, recorded and put into sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnex.evaluation.interval import Interval

MONTH_SESSIONS = 21
"""Sessions of a month, below which nothing is scaled to a year."""
LABELS = {
    "return_per_year": "return a year", "volatility": "volatility a year", "sharpe_ratio": "Sharpe ratio",
    "sortino_ratio": "Sortino ratio", "calmar_ratio": "Calmar ratio", "best_month": "best month",
    "worst_month": "worst month", "positive_months": "share of positive months", "value_at_risk": "value at risk",
    "expected_shortfall": "expected shortfall", "tail_ratio": "tail ratio", "skewness": "skewness",
    "kurtosis": "kurtosis", "turnover": "turnover a year", "costs_per_year": "costs a year", "beta": "beta",
    "correlation": "correlation", "alpha_per_year": "alpha a year", "excess_per_year": "return a year beyond it",
}  # fmt: skip
"""Figures that may be None, as sentences name them."""


def too_few(sessions: int) -> str:
    """Say that there are fewer sessions than a month has."""
    return f"{sessions} session{'' if sessions == 1 else 's'}, fewer than a month's {MONTH_SESSIONS}"


def all_the_same(sessions: int) -> str:
    """Say that returns do not vary."""
    return f"returns are the same in all {sessions} sessions"


def interval_record(name: str, found: Interval | None) -> dict[str, Any]:
    """Return value, bounds and reason of an interval by names that begin with its own, as trading figures have them."""
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None, f"{name}_no_interval": ""}
    return {
        name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_no_interval": found.reason
    }  # fmt: skip


def absent_words(name: str, reasons: Mapping[str, str]) -> list[str]:
    """Say which figures there are not, one sentence for each reason.

    Parameters
    ----------
    name
        Of the portfolio.
    reasons
        Why, by a name of `LABELS`.

    Returns
    -------
    list of str
        Sentences; empty where every figure is there.

    Examples
    --------
    >>> absent_words("coin", {"beta": too_few(1), "alpha_per_year": too_few(1)})
    ["coin: no beta, alpha a year: 1 session, fewer than a month's 21."]
    """
    by_reason: dict[str, list[str]] = {}
    for figure, reason in reasons.items():
        by_reason.setdefault(reason, []).append(LABELS[figure])
    return [f"{name}: no {', '.join(figures)}: {reason}." for reason, figures in by_reason.items()]


def interval_words(what: str, found: Interval, form: str) -> str:
    """Say what an interval around a figure allows to conclude.

    Parameters
    ----------
    what
        The figure and whose it is.
    found
        Its value and bounds.
    form
        Of the numbers, such as `.2f` or `.1%`.

    Returns
    -------
    str
        One sentence.

    Examples
    --------
    >>> interval_words("coin: Sharpe ratio", Interval(0.4, -0.8, 1.6), ".2f")
    'coin: Sharpe ratio 0.40, 95 % interval -0.80 to 1.60: it holds 0, so chance alone may have made it.'
    """
    value, low, high = (
        "" if one is None else f"{one:{form}}".replace("%", " %") for one in (found.value, found.low, found.high)
    )
    if found.low is None or found.high is None:
        return f"{what} {value} ({found.reason}), so nothing follows from it."
    said = f"{what} {value}, 95 % interval {low} to {high}"
    if found.low <= 0 <= found.high:
        return f"{said}: it holds 0, so chance alone may have made it."
    return f"{said}: below 0." if found.low < 0 else f"{said}: above 0, if nothing else was tried."
