"""The top fifth bought and the bottom fifth sold short, by the project's own simulation of a portfolio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.errors import PricesUnknown
from finnex.evaluation.characteristics import market_returns
from finnex.evaluation.interval import Estimate
from finnex.evaluation.market_regression import regression
from finnex.evaluation.portfolio import Course, Floats, simulate
from finnex.evaluation.quantile_returns import FIFTHS, fifths
from finnex.evaluation.score_panel import ScorePanel
from finnex.evaluation.trading import Decisions, TradingPerformance, describe_trading, trade


@dataclass(frozen=True)
class LongShort:
    """What the top and bottom fifth would have earned together, net of costs, and what all companies would have.

    Attributes
    ----------
    positions
        (sessions, companies) as `positions` gives them.
    net
        Of the long-short portfolio, by `finnex.evaluation.trading.trade`; None where there is none.
    equal_weight
        Of all companies with a score, bought equally in each session that has ten, by the same simulation and costs.
    alpha, beta
        Of the daily net returns on the market's.
    settings
        Costs and borrow fee.
    reason
        Why there is none, in words; empty where there is.
    """

    positions: Floats
    net: TradingPerformance | None
    equal_weight: TradingPerformance | None
    alpha: Estimate
    beta: Estimate
    settings: TradingSettings
    reason: str = ""

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is none."""
        return {
            "net": None if self.net is None else _plain(self.net),
            "equal_weight": None if self.equal_weight is None else _plain(self.equal_weight),
            "reason": self.reason,
        }

    def words(self) -> list[str]:
        """Say how the portfolio is made, and what it earned."""
        if self.net is None or self.equal_weight is None:
            return [f"No long-short portfolio: {self.reason}."]
        lines = {"Long-short": self.net, "equal weight": self.equal_weight}
        each = "; ".join(
            f"{name}: Sharpe ratio {one.sharpe_ratio.words('.2f')}, total return {one.total_return:.1%}, largest fall "
            f"{one.max_drawdown:.1%}, turnover {one.turnover:.1f} times the wealth a year"
            for name, one in lines.items()
        )
        return [
            "Half of the wealth buys the highest fifth and half sells the lowest short, so its return is about half of "
            f"the fifths' difference; costs are {self.settings.cost_bps:g} basis points on what is bought or sold and "
            f"{self.settings.borrow_fee_per_year:.2%} a year on what is short. {each}.",
            *describe_trading(lines),
        ]


def _plain(found: TradingPerformance) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in found.record().items()
    }


def positions(scores: Floats) -> Floats:
    """Return what to hold: the highest fifth bought and the lowest sold short, with the same capital each.

    Parameters
    ----------
    scores
        (sessions, companies), NaN where not known.

    Returns
    -------
    ndarray
        (sessions, companies): 1 in the highest fifth, -1 in the lowest, NaN elsewhere and where there are no fifths.
        Where one has fewer companies than the other, those of the larger one are held at the ratio of the two numbers.

    Examples
    --------
    >>> positions(np.arange(10.0)[None]).tolist()
    [[-1.0, -1.0, nan, nan, nan, nan, nan, nan, 1.0, 1.0]]
    """
    number = fifths(scores)
    high, low = number == FIFTHS, number == 1
    up, down = (side.sum(axis=1, keepdims=True) for side in (high, low))
    least = np.minimum(up, down)
    return np.where(high, least / np.maximum(up, 1), np.where(low, -least / np.maximum(down, 1), np.nan))


def long_short(panel: ScorePanel, settings: TradingSettings | None = None) -> LongShort:
    """Return what the portfolio of the highest and the lowest fifth would have earned.

    Parameters
    ----------
    panel
        Scores by session and company.
    settings
        Costs and borrow fee; the defaults of the configuration where none are given.

    Returns
    -------
    LongShort
        Figures, or the reason why there are none.

    Notes
    -----
    `finnex.evaluation.portfolio.simulate` spreads the wealth of a sub-portfolio equally over the companies decided on,
    times their positions: with positions of 1 and -1 half of it is long and half short, and cash covers the short half.
    It leaves at the close what the next decision does not keep and enters at the open what is new, so over such a night
    the two sides may differ.
    """
    settings = settings or TradingSettings()
    held = positions(panel.scores)
    none = Estimate(float("nan"), (np.nan, 0.0, 0.0), 0, "there is no portfolio")
    if np.isnan(held).all():
        return LongShort(held, None, None, none, none, settings, "no session has five fifths by score")
    try:
        net = trade(_decisions(panel, held), panel.prices, settings).performance
    except PricesUnknown as error:  # scores with fifths come later than the first scores
        return LongShort(held, None, None, none, none, settings, str(error).rstrip("."))
    everyone = np.where(np.isnan(panel.judged()), np.nan, 1.0)
    equal_weight = trade(_decisions(panel, everyone), panel.prices, settings).performance
    course = _course(panel.prices, held, panel.horizon, settings)
    active = slice(0, course.active_sessions)
    first = int(np.searchsorted(panel.prices.days, course.days[0]))
    market = market_returns(panel.prices)[first : first + len(course.days)]
    alpha, beta = regression(course.returns[active], market[active], panel.horizon)
    return LongShort(held, net, equal_weight, alpha, beta, settings)


def _decisions(panel: ScorePanel, held: Floats) -> Decisions:
    session, company = np.nonzero(~np.isnan(held))
    names = np.array(panel.prices.symbols, dtype=np.str_)[company]
    return Decisions(panel.prices.days[session], names, held[session, company], panel.horizon)


def _course(prices: SessionPrices, held: Floats, horizon: int, settings: TradingSettings) -> Course:
    return simulate(
        prices, held, horizon=horizon, cost_bps=settings.cost_bps, borrow_fee_per_year=settings.borrow_fee_per_year,
        sessions_per_year=prices.sessions_per_year,
    )  # fmt: skip
