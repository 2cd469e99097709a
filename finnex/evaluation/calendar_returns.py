"""What a portfolio returned in each calendar month and year."""

from __future__ import annotations

from typing import Literal

import numpy as np

from finnex.evaluation.portfolio import Course


def calendar_returns(course: Course, unit: Literal["month", "year"]) -> dict[str, float]:
    """Return the change of the wealth over each month or year, as a share of the wealth before it.

    Parameters
    ----------
    course
        Wealth at every close. Its first and last month are often parts of one, and so are its years.
    unit
        What is summed up.

    Returns
    -------
    dict of str to float
        By ISO month or year, ascending, -1 or more; a month without a close is absent, and so is what comes after a
        bankruptcy.

    Examples
    --------
    >>> days = np.array(["2023-12-28", "2023-12-29", "2024-01-02"], dtype="datetime64[D]")
    >>> wealth = np.array([1.1, 1.2, 1.5])
    >>> course = Course(days, wealth, np.array([0.1, 0.1 / 1.1, 0.25]), np.zeros(3), None)
    >>> {month: round(value, 3) for month, value in calendar_returns(course, "month").items()}
    {'2023-12': 0.2, '2024-01': 0.25}
    """
    active = slice(0, course.active_sessions)
    periods = course.days[active].astype("datetime64[M]" if unit == "month" else "datetime64[Y]")
    last = np.flatnonzero(np.append(periods[1:] != periods[:-1], True))
    wealth = course.wealth[active][last]
    before = np.append(1.0, wealth[:-1])
    return dict(zip(periods[last].astype(str).tolist(), (wealth / before - 1).tolist(), strict=True))
