"""Figures of a portfolio from its daily returns: what it earned, how much it varied, how far it fell.

The interest rate is 0 throughout, so a Sharpe ratio is Sharpe's of 1966 (Mutual Fund Performance) on daily returns.
Nothing is scaled to a year, and no tail or month is spoken of, where there are fewer sessions than a month has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import kurtosis, skew

from finnex.errors import TrainingError
from finnex.evaluation.calendar_returns import calendar_returns
from finnex.evaluation.course_checks import check_course
from finnex.evaluation.drawdowns import Drawdown, drawdowns
from finnex.evaluation.figure_words import (
    MONTH_SESSIONS,
    absent_words,
    all_the_same,
    interval_record,
    interval_words,
    too_few,
)
from finnex.evaluation.interval import Interval, ratio_estimate
from finnex.evaluation.portfolio import BASIS_POINT, MOST_COST_BPS, Course
from finnex.evaluation.rolling_figures import NO_SPREAD
from finnex.evaluation.tail_figures import expected_shortfall, tail_ratio, value_at_risk

LARGEST_DRAWDOWNS = 5
SCALED = (
    "return_per_year", "volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "best_month", "worst_month",
    "positive_months", "value_at_risk", "expected_shortfall", "tail_ratio", "skewness", "kurtosis", "turnover",
    "costs_per_year",
)  # fmt: skip
"""Figures that need a month of sessions."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dated:
    """A return with the ISO day or month that it is of."""

    value: float
    when: str


@dataclass(frozen=True)
class ReturnFigures:
    """Figures of a course up to its end, or to its bankruptcy.

    A figure is None where it cannot be given, and `reasons` says why. Shares and returns are no percentages: 0.1 is
    10 %.

    Attributes
    ----------
    sessions, first, last
        Closes that count, and the ISO dates of the first and last.
    total_return
        Wealth at the last close over the capital at the start, less 1.
    return_per_year
        The same growth a year: (1 + total_return)^(sessions a year / sessions) - 1; -1 after a bankruptcy.
    volatility
        Standard deviation (over n - 1) of the daily returns, times the root of the sessions a year.
    sharpe_ratio
        Mean over standard deviation of the daily returns, times that root, with its 95 % interval.
    sortino_ratio
        Mean of the daily returns over the root of the mean of min(return, 0)^2 over all sessions, times that root
        (Sortino and van der Meer, Downside Risk, 1991, with a target of 0).
    calmar_ratio
        `return_per_year` over `max_drawdown` (Young, Calmar Ratio: A Smoother Tool, 1991, there over 36 months).
    max_drawdown
        Largest fall from the highest close before, as a share of it, in [0, 1]; the capital at the start counts.
    largest_drawdowns
        Up to five, the deepest first.
    best_day, worst_day, best_month, worst_month
        The first and the last month may be parts of one.
    positive_days, positive_months
        Share with a return above 0, in [0, 1].
    value_at_risk, expected_shortfall, tail_ratio
        Of one day, at 5 %, as they happened: see `finnex.evaluation.tail_figures`.
    skewness, kurtosis
        Third and fourth standardised moment over n; the normal distribution's kurtosis is 3.
    turnover
        Value bought plus value sold, over the wealth at the close before, a year.
    costs_per_year
        What that costs, as a share of the wealth, a year; without borrow fees, which are in the returns only.
    costs_paid
        Sum of the costs, in multiples of the capital at the start.
    months, years
        Return by ISO month and year.
    bankrupt
        ISO date of the session in which nothing was left; empty where there is none.
    reasons
        Why a figure is None, in words, by its name.
    """

    sessions: int
    first: str
    last: str
    total_return: float
    return_per_year: float | None
    volatility: float | None
    sharpe_ratio: Interval | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float
    largest_drawdowns: tuple[Drawdown, ...]
    best_day: Dated
    worst_day: Dated
    positive_days: float
    best_month: Dated | None
    worst_month: Dated | None
    positive_months: float | None
    value_at_risk: float | None
    expected_shortfall: float | None
    tail_ratio: float | None
    skewness: float | None
    kurtosis: float | None
    turnover: float | None
    costs_per_year: float | None
    costs_paid: float
    months: Mapping[str, float]
    years: Mapping[str, float]
    bankrupt: str
    reasons: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """Return plain values by name, for JSON and trackers; None where there is none."""
        dated = ("best_day", "worst_day", "best_month", "worst_month")
        plain = {name: value for name, value in vars(self).items() if name not in {*dated, "sharpe_ratio"}}
        days = {
            key: value
            for name in dated
            for found in [getattr(self, name)]
            for key, value in (
                (name, None if found is None else found.value),
                (f"{name}_when", None if found is None else found.when),
            )
        }
        return plain | days | interval_record("sharpe_ratio", self.sharpe_ratio) | {
            "largest_drawdowns": [one.record() for one in self.largest_drawdowns],
            "months": dict(self.months), "years": dict(self.years), "reasons": dict(self.reasons),
        }  # fmt: skip

    def words(self, name: str) -> list[str]:
        """Say what the Sharpe ratio shows, whether it went bankrupt, and which figures there are not.

        Parameters
        ----------
        name
            Of the portfolio.
        """
        sharpe = self.sharpe_ratio
        said = [] if sharpe is None else [interval_words(f"{name}: Sharpe ratio", sharpe, ".2f")]
        return said + self.lacking(name)

    def lacking(self, name: str) -> list[str]:
        """Say whether the portfolio went bankrupt, and which figures there are not; `name` is the portfolio's."""
        broke = f"{name} was bankrupt on {self.bankrupt}: nothing was left, and its figures end there."
        return ([broke] if self.bankrupt else []) + absent_words(name, self.reasons)


def return_figures(
    course: Course, *, sessions_per_year: float, horizon: int, cost_bps: float, name: str = "the strategy"
) -> ReturnFigures:
    """Return the figures of a course.

    Parameters
    ----------
    course
        Of a portfolio.
    sessions_per_year
        Above 0, such as `SessionPrices.sessions_per_year`.
    horizon
        Sessions that a position is held: returns of sessions so close may be correlated.
    cost_bps
        What was paid on each amount that was bought or sold, in hundredths of a percent, 0 to 1000.
    name
        Whose course it is, for messages.

    Returns
    -------
    ReturnFigures
        With None and the reason where something cannot be said.

    Raises
    ------
    TrainingError
        The course is none that a simulation makes, or a setting is outside its range.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-02-10", dtype="datetime64[D]")
    >>> returns = np.where(np.arange(40) % 2, 0.02, -0.01)
    >>> course = Course(days, np.cumprod(1 + returns), returns, np.full(40, 0.1), None)
    >>> found = return_figures(course, sessions_per_year=250, horizon=1, cost_bps=10)
    >>> round(found.sortino_ratio, 6), round(found.turnover, 6), round(found.costs_per_year, 6)
    (11.18034, 25.0, 0.025)
    >>> found.sharpe_ratio.reason
    'no interval: 40 sessions, at least 60 are needed at horizon 1'
    """
    check_course(name, course)
    _check_settings(sessions_per_year, horizon, cost_bps)
    n = course.active_sessions
    returns, traded, cost = course.returns[:n], course.traded[:n], cost_bps * BASIS_POINT
    falls, months = drawdowns(course.days, course.wealth), calendar_returns(course, "month")
    total = float(course.wealth[n - 1] - 1)
    scaled: dict[str, Any] = dict.fromkeys(SCALED)
    reasons = dict.fromkeys(SCALED, too_few(n))
    if n >= MONTH_SESSIONS:
        reasons = _moments(returns, sessions_per_year, horizon, scaled)
        best, worst = max(months, key=lambda month: months[month]), min(months, key=lambda month: months[month])
        turnover = float(traded.mean() * sessions_per_year)
        scaled |= {
            "return_per_year": float((1 + total) ** (sessions_per_year / n) - 1),
            "best_month": Dated(months[best], best), "worst_month": Dated(months[worst], worst),
            "positive_months": float(np.mean([value > 0 for value in months.values()])),
            "turnover": turnover, "costs_per_year": turnover * cost,
        }  # fmt: skip
        if falls:
            scaled["calmar_ratio"] = scaled["return_per_year"] / falls[0].depth
        else:
            reasons["calmar_ratio"] = "the wealth never fell"
    best_day, worst_day = int(returns.argmax()), int(returns.argmin())
    return ReturnFigures(
        sessions=n,
        first=str(course.days[0]),
        last=str(course.days[n - 1]),
        total_return=total,
        max_drawdown=falls[0].depth if falls else 0.0,
        largest_drawdowns=tuple(falls[:LARGEST_DRAWDOWNS]),
        best_day=Dated(float(returns[best_day]), str(course.days[best_day])),
        worst_day=Dated(float(returns[worst_day]), str(course.days[worst_day])),
        positive_days=float((returns > 0).mean()),
        costs_paid=float((traded * np.append(1.0, course.wealth[: n - 1])).sum() * cost),
        months=months,
        years=calendar_returns(course, "year"),
        bankrupt="" if course.bankrupt is None else str(course.bankrupt),
        reasons=reasons,
        **scaled,
    )


def _moments(returns: Floats, sessions_per_year: float, horizon: int, scaled: dict[str, Any]) -> dict[str, str]:
    """Enter the figures of the distribution of returns; return why one is not given, by its name."""
    reasons, root, n = {}, math.sqrt(sessions_per_year), len(returns)
    spread = float(returns.std(ddof=1))
    scaled |= {
        "volatility": spread * root, "value_at_risk": value_at_risk(returns),
        "expected_shortfall": expected_shortfall(returns), "tail_ratio": tail_ratio(returns),
    }  # fmt: skip
    if scaled["tail_ratio"] is None:
        reasons["tail_ratio"] = "the 5th percentile of the returns is 0"
    if spread > NO_SPREAD:
        scaled["sharpe_ratio"] = ratio_estimate(returns, horizon).interval().scaled(root)
        scaled |= {"skewness": float(skew(returns)), "kurtosis": float(kurtosis(returns, fisher=False))}
    else:
        reasons |= dict.fromkeys(("sharpe_ratio", "skewness", "kurtosis"), all_the_same(n))
    below = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    if below > NO_SPREAD:
        scaled["sortino_ratio"] = float(returns.mean()) / below * root
    else:
        reasons["sortino_ratio"] = "no session lost"
    return reasons


def _check_settings(sessions_per_year: float, horizon: int, cost_bps: float) -> None:
    for name, value, good, wanted in (
        ("sessions_per_year", sessions_per_year, 0 < sessions_per_year < math.inf, "above 0"),
        ("horizon", horizon, horizon >= 1, "1 or more"),
        ("cost_bps", cost_bps, 0 <= cost_bps <= MOST_COST_BPS, f"0 to {MOST_COST_BPS:g}"),
    ):
        if not good:
            raise TrainingError(f"{name} {value} is outside its range: give {wanted}.")
