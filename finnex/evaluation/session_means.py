"""Means of one number a session, with the project's interval, as plain values and as words."""

from __future__ import annotations

from typing import Any

import numpy as np

from finnex.data.calendar import Days
from finnex.evaluation.interval import Estimate, Interval, mean_estimate
from finnex.evaluation.portfolio import Floats


def mean_over(
    values: Floats, days: Days, horizon: int, *, share: bool = False, nothing: str = "no session has it"
) -> Estimate:
    """Return the mean of the sessions that have a value.

    Parameters
    ----------
    values
        (sessions,) one number a session; NaN where there is none.
    days
        (sessions,) `datetime64[D]`.
    horizon
        Sessions that the value of a session looks ahead, 1 or more.
    share
        Whether values are in [0, 1] and their mean is a share.
    nothing
        The reason to give where no session has a value.

    Returns
    -------
    Estimate
        As `finnex.evaluation.interval.mean_estimate` gives it; NaN with a reason where no session has a value.

    Examples
    --------
    >>> found = mean_over(np.array([1.0, np.nan, 3.0]), np.arange("2020-01-01", "2020-01-04", dtype="M8[D]"), 1)
    >>> found.value, found.reason
    (2.0, 'no interval: 2 sessions, at least 60 are needed at horizon 1')
    """
    known = ~np.isnan(values)
    if not known.any():
        return Estimate(float("nan"), (np.nan, 0.0, 0.0), 0, nothing)
    return mean_estimate(values[known], days[known], horizon, share=share)


def session_mean(values: Floats) -> float:
    """Return the plain mean of the sessions that have a value, NaN where none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def t_value(estimate: Estimate) -> float | None:
    """Return a mean over its standard error, Student's t with `estimate.freedom` degrees; None where there is none."""
    return None if estimate.reason else float(estimate.value / np.sqrt(estimate.variance[0]))


def p_value(estimate: Estimate) -> float | None:
    """Return the two-sided p value of 'it is 0'; None where there is no test."""
    return None if estimate.reason else min(1.0, 2 * min(estimate.p_above(), estimate.p_below()))


def plain(value: float | None) -> float | None:
    """Return a number, None for NaN."""
    return None if value is None or np.isnan(value) else float(value)


def bounds(found: Interval | Estimate) -> dict[str, Any]:
    """Return value, low, high and reason as plain values: None where there is no number.

    Examples
    --------
    >>> bounds(Interval(0.5, None, None, "no interval: 2 sessions"))
    {'value': 0.5, 'low': None, 'high': None, 'reason': 'no interval: 2 sessions'}
    """
    interval = found.interval() if isinstance(found, Estimate) else found
    return {
        "value": plain(interval.value), "low": plain(interval.low), "high": plain(interval.high),
        "reason": interval.reason,
    }  # fmt: skip


def with_test(estimate: Estimate) -> dict[str, Any]:
    """Return `bounds` of a mean with its t value, degrees of freedom and two-sided p value."""
    freedom = None if estimate.reason else estimate.freedom
    return {**bounds(estimate), "t": t_value(estimate), "freedom": freedom, "p_value": p_value(estimate)}


def said(found: Interval | Estimate, form: str = ".3f") -> str:
    """Return a figure in words, in a format such as `.3f`; its reason alone where it has no value."""
    interval = found.interval() if isinstance(found, Estimate) else found
    return f"not known ({interval.reason})" if np.isnan(interval.value) else interval.words(form)
