"""A portfolio against a benchmark: beta, correlation, and what it returns beyond, with the project's interval.

The line is the least squares line of daily returns, r = alpha + beta m + e (Jensen, The Performance of Mutual Funds in
the Period 1945-1964, 1968), without an interest rate. Its alpha is a mean over sessions: session t moves it by
e (1 - mean(m) (m - mean(m)) / var(m)) / n, which is its influence. So its interval is that of
`finnex.evaluation.interval.mean_estimate`, which holds under changing volatility and correlated sessions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.evaluation.course_checks import check_course, check_same_days
from finnex.evaluation.figure_words import (
    LABELS,
    MONTH_SESSIONS,
    absent_words,
    all_the_same,
    interval_record,
    interval_words,
    too_few,
)
from finnex.evaluation.interval import Interval, mean_estimate
from finnex.evaluation.portfolio import Course
from finnex.evaluation.rolling_figures import NO_SPREAD


@dataclass(frozen=True)
class BenchmarkLine:
    """Figures of a portfolio against one benchmark, over the sessions before either was bankrupt.

    Attributes
    ----------
    sessions
        Days that count.
    beta
        Slope of the line; None where the benchmark's returns are all the same.
    correlation
        Pearson's, in [-1, 1]; None where either's returns are all the same.
    alpha_per_year
        Intercept of the line, times the sessions a year; None where there is no line.
    excess_per_year
        Mean difference of the daily returns, times the sessions a year; None below a month.
    reasons
        Why a figure is None, in words, by its name.
    """

    sessions: int
    beta: float | None
    correlation: float | None
    alpha_per_year: Interval | None
    excess_per_year: Interval | None
    reasons: dict[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return plain values by name; None where there is none, and `reasons`."""
        return {
            "sessions": self.sessions, "beta": self.beta, "correlation": self.correlation,
            **interval_record("alpha_per_year", self.alpha_per_year),
            **interval_record("excess_per_year", self.excess_per_year), "reasons": dict(self.reasons),
        }  # fmt: skip

    def words(self, name: str, benchmark: str) -> list[str]:
        """Say what return beyond it and alpha show, and which figures there are not; `name` is the portfolio's."""
        both = f"{name} against {benchmark}"
        figures = {LABELS[one]: getattr(self, one) for one in ("excess_per_year", "alpha_per_year")}
        said = [interval_words(f"{both}: {label}", one, ".1%") for label, one in figures.items() if one is not None]
        return said + absent_words(both, self.reasons)


def benchmark_line(
    course: Course, benchmark: Course, *, sessions_per_year: float, horizon: int, names: tuple[str, str] = ("", "")
) -> BenchmarkLine:
    """Return the figures of a portfolio against a benchmark.

    Parameters
    ----------
    course, benchmark
        Of the same sessions.
    sessions_per_year
        Above 0.
    horizon
        Sessions that a position is held: returns of sessions so close may be correlated.
    names
        Of both, for messages.

    Returns
    -------
    BenchmarkLine
        With None and the reason where something cannot be said.

    Raises
    ------
    TrainingError
        A course is none, or they have other sessions.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-04-10", dtype="datetime64[D]")
    >>> market = np.where(np.arange(100) % 2, 0.02, -0.01)
    >>> made = [Course(days, np.cumprod(1 + r), r, np.zeros(100), None) for r in (0.5 * market + 0.001, market)]
    >>> found = benchmark_line(*made, sessions_per_year=250, horizon=1)
    >>> round(found.beta, 6), round(found.correlation, 6), round(found.alpha_per_year.value, 6)
    (0.5, 1.0, 0.25)
    """
    own, other = names[0] or "the strategy", names[1] or "the benchmark"
    check_course(own, course)
    check_course(other, benchmark)
    check_same_days(own, course, {other: benchmark})
    n = min(course.active_sessions, benchmark.active_sessions)
    if n < MONTH_SESSIONS:
        reason = too_few(n)
        absent = dict.fromkeys(("beta", "correlation", "alpha_per_year", "excess_per_year"), reason)
        return BenchmarkLine(n, None, None, None, None, absent)
    days, r, m = course.days[:n], course.returns[:n], benchmark.returns[:n]
    excess = mean_estimate(r - m, days, horizon).interval().scaled(sessions_per_year)
    if m.std(ddof=1) <= NO_SPREAD:
        reason = f"the benchmark's {all_the_same(n)}"
        absent = dict.fromkeys(("beta", "correlation", "alpha_per_year"), reason)
        return BenchmarkLine(n, None, None, None, excess, absent)
    beta = float(((r - r.mean()) * (m - m.mean())).mean() / m.var())
    alpha = _alpha(r, m, beta, days, horizon).scaled(sessions_per_year)
    if r.std(ddof=1) <= NO_SPREAD:
        return BenchmarkLine(n, beta, None, alpha, excess, {"correlation": all_the_same(n)})
    return BenchmarkLine(n, beta, float(np.clip(beta * m.std() / r.std(), -1, 1)), alpha, excess)


def _alpha(r: npt.NDArray[np.float64], m: npt.NDArray[np.float64], beta: float, days: Days, horizon: int) -> Interval:
    apart = m - m.mean()
    residual = r - r.mean() - beta * apart
    influence = residual * (1 - m.mean() * apart / m.var())
    return mean_estimate(r.mean() - beta * m.mean() + influence, days, horizon).interval()
