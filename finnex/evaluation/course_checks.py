"""Which courses figures can be made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from finnex.errors import TrainingError, shown
from finnex.evaluation.portfolio import Course

AGREEMENT = 1e-6
"""Largest relative difference of the wealth from its returns multiplied up."""


def check_course(name: str, course: Course) -> None:
    """Refuse a course that no simulation makes.

    Parameters
    ----------
    name
        Whose course it is, for the message.
    course
        To look at.

    Raises
    ------
    TrainingError
        It is empty, its arrays are of several lengths, its days do not ascend, a value is not finite or outside its
        range, or its wealth is not what its returns make.
    """
    remedy = "Give the course that finnex.evaluation.portfolio.simulate returns."
    sizes = [len(one) for one in (course.days, course.wealth, course.returns, course.traded)]
    if len(set(sizes)) > 1 or sizes[0] == 0:
        raise TrainingError(
            f"{shown(name)}: days, wealth, returns and traded have {sizes} values; all have the same number, 1 or "
            f"more. {remedy}"
        )
    if (np.diff(course.days) <= np.timedelta64(0, "D")).any():
        place = course.days[1:][np.diff(course.days) <= np.timedelta64(0, "D")][0]
        raise TrainingError(f"{shown(name)}: {place} does not come after the session before it. {remedy}")
    for what, values, least in (("wealth", course.wealth, 0.0), ("return", course.returns, -1.0),
                                ("traded", course.traded, 0.0)):  # fmt: skip
        wrong = ~(np.isfinite(values) & (values >= least - AGREEMENT))
        if wrong.any():
            first = int(wrong.argmax())
            raise TrainingError(
                f"{shown(name)}: {what} on {course.days[first]} is {values[first]:g}; it is finite and {least:g} or "
                f"more. {remedy}"
            )
    made = np.cumprod(1 + course.returns)
    wrong = ~np.isclose(made, course.wealth, rtol=AGREEMENT, atol=AGREEMENT * 1e-3)
    if wrong.any():
        first = int(wrong.argmax())
        raise TrainingError(
            f"{shown(name)}: wealth on {course.days[first]} is {course.wealth[first]:g}, and the returns up to it make "
            f"{made[first]:g}. {remedy}"
        )


def check_same_days(name: str, course: Course, others: Mapping[str, Course]) -> None:
    """Refuse benchmarks of other sessions.

    Parameters
    ----------
    name, course
        Of the strategy.
    others
        Benchmarks by name.

    Raises
    ------
    TrainingError
        A benchmark has another first or last session, or other sessions between.
    """
    for other, theirs in others.items():
        if not np.array_equal(course.days, theirs.days):
            raise TrainingError(
                f"{shown(other)} has {len(theirs.days)} sessions, {theirs.days[0]} to {theirs.days[-1]}, and "
                f"{shown(name)} {len(course.days)}, {course.days[0]} to {course.days[-1]}. Simulate both on the same "
                "sessions: finnex.evaluation.trading.trade_without_a_model does."
            )
