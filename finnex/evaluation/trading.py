"""What acting on predictions would have returned, net of costs and borrow fees, from a daily simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import TradingSettings
from finnex.data.calendar import Days
from finnex.data.session_prices import SessionPrices
from finnex.errors import PricesUnknown
from finnex.evaluation.drawdowns import below_high
from finnex.evaluation.interval import Interval, ratio_estimate
from finnex.evaluation.passive_positions import buy_and_hold_positions, equal_weight_positions
from finnex.evaluation.portfolio import BASIS_POINT, Course, simulate
from finnex.evaluation.scorecard import PROBABILITIES, ROW

BUY_AND_HOLD, EQUAL_WEIGHT = "buy_and_hold", "equal_weight"
WITHOUT_A_MODEL = (BUY_AND_HOLD, EQUAL_WEIGHT)


@dataclass(frozen=True)
class TradingPerformance:
    """How a portfolio would have done, from the session after the first decision to the last exit.

    Attributes
    ----------
    trading_sessions
        Valued at their closes; up to the bankruptcy where there was one.
    decisions, trades
        Companies and sessions decided on, and those among them with a position that had a bar to enter at.
    sharpe_ratio
        Of the daily returns, a year.
    volatility
        Standard deviation of the daily returns of the portfolio, a year.
    max_drawdown
        Largest fall of the wealth at a close from its highest before, as a share of that; the capital at the start
        counts.
    win_rate
        Share of the trades that would have gained if each had been made alone, costs paid at entry and exit; borrow
        fees are not counted. NaN without trades.
    total_return
        Wealth at the last close over the capital at the start, less 1.
    turnover
        Value bought plus value sold, over the wealth at the close before, a year.
    bankrupt
        ISO date of the session in which nothing was left; everything after it is 0. Empty where there is none.
    unfinished
        ISO date of the last close that is known, where positions were to be held longer: they are valued at it, and
        not sold. Empty where the prices reach to the last exit.
    """

    trading_sessions: int
    decisions: int
    trades: int
    sharpe_ratio: Interval
    volatility: float
    max_drawdown: float
    win_rate: float
    total_return: float
    turnover: float
    bankrupt: str = ""
    unfinished: str = ""

    def record(self) -> dict[str, Any]:
        """Return plain values by the names that reports and trackers use; None where an interval has no bounds."""
        sharpe = self.sharpe_ratio
        return {
            "trading_sessions": self.trading_sessions, "decisions": self.decisions, "trades": self.trades,
            "sharpe_ratio": sharpe.value, "sharpe_ratio_low": sharpe.low, "sharpe_ratio_high": sharpe.high,
            "sharpe_ratio_no_interval": sharpe.reason,
            **{name: value for name, value in asdict(self).items() if name in FIGURES},
            "bankrupt": self.bankrupt, "unfinished": self.unfinished,
        }  # fmt: skip


FIGURES = ("volatility", "max_drawdown", "win_rate", "total_return", "turnover")


@dataclass(frozen=True)
class Decisions:
    """What was decided, in any order; at most one decision a company and session.

    Attributes
    ----------
    days, symbols
        (decisions,) session at whose close, and company.
    positions
        (decisions,) -1 sold short to 1 bought.
    horizon
        Sessions that a position is held.
    """

    days: Days
    symbols: npt.NDArray[np.str_]
    positions: npt.NDArray[np.float64]
    horizon: int

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Decisions:
        """Return what the rows of one model decide: the class that is likeliest by the mean of its seeds.

        Parameters
        ----------
        rows
            Columns decision_date, symbol, horizon, p_sell, p_hold, p_buy.

        Returns
        -------
        Decisions
            One a company and session.
        """
        means = rows.groupby(ROW, sort=True)[PROBABILITIES].mean()
        return cls(
            days=means.index.get_level_values("decision_date").to_numpy().astype("datetime64[D]"),
            symbols=means.index.get_level_values("symbol").to_numpy().astype(np.str_),
            positions=means.to_numpy().argmax(axis=1) - 1.0,
            horizon=int(rows["horizon"].iloc[0]),
        )

    def on(self, prices: SessionPrices) -> npt.NDArray[np.float64]:
        """Return positions by session and company of prices, NaN where nothing was decided.

        Raises
        ------
        PricesUnknown
            Prices do not hold a decision's session or company, or end before the first entry.
        """
        session, company = prices.place(self.days, self.symbols)
        if (absent := (session < 0) | (company < 0)).any():
            first = int(np.argmax(absent))
            raise PricesUnknown(
                f"prices have no {self.symbols[first]} on {self.days[first]}, where something was decided. Give "
                "prices of every company and session."
            )
        if session.min() + 1 >= len(prices.days):
            raise PricesUnknown(
                f"prices end on {prices.days[-1]}, and nothing that was decided could be entered before. Give prices "
                "that reach further."
            )
        placed = np.full(prices.close.shape, np.nan)
        placed[session, company] = self.positions
        return placed


@dataclass(frozen=True)
class Traded:
    """A portfolio: what it was worth at every close, and figures of that."""

    course: Course
    performance: TradingPerformance


def trade(decisions: Decisions, prices: SessionPrices, settings: TradingSettings | None = None) -> Traded:
    """Act on decisions.

    Raises
    ------
    PricesUnknown
        Prices do not cover the decisions.
    """
    positions = decisions.on(prices)
    return _traded(decisions, prices, positions, decisions.horizon, settings or TradingSettings(), len(decisions.days))


def trade_without_a_model(
    decisions: Decisions, prices: SessionPrices, settings: TradingSettings | None = None
) -> dict[str, Traded]:
    """Hold the companies of some decisions, from the first to the last exit, by the same simulation.

    Companies are those that were decided on at any time.

    Returns
    -------
    dict of str to Traded
        `buy_and_hold`: bought equally at the first entry those that have a bar there, and held to the last exit.
        `equal_weight`: equal parts again at each entry, in sub-portfolios that take turns as those of decisions do.

    Raises
    ------
    PricesUnknown
        Prices do not cover the decisions.
    """
    positions, settings = decisions.on(prices), settings or TradingSettings()
    held, sessions = buy_and_hold_positions(positions, decisions.horizon)
    equal = equal_weight_positions(positions)
    return {
        name: _traded(decisions, prices, own, length, settings, int((~np.isnan(own)).sum()))
        for name, own, length in ((BUY_AND_HOLD, held, sessions), (EQUAL_WEIGHT, equal, decisions.horizon))
    }


def _traded(
    decisions: Decisions,
    prices: SessionPrices,
    positions: npt.NDArray[np.float64],
    horizon: int,
    settings: TradingSettings,
    count: int,
) -> Traded:
    course = simulate(
        prices, positions, horizon=horizon, cost_bps=settings.cost_bps,
        borrow_fee_per_year=settings.borrow_fee_per_year, sessions_per_year=prices.sessions_per_year,
    )  # fmt: skip
    own = _alone(prices, positions, horizon, settings.cost_bps)
    return Traded(course, _performance(course, count, own, decisions, prices))


def _alone(
    prices: SessionPrices, positions: npt.NDArray[np.float64], horizon: int, cost_bps: float
) -> npt.NDArray[np.float64]:
    """Return the return of every position that was entered, as if it were alone, costs paid twice."""
    session, company = np.nonzero(np.nan_to_num(positions[:-1]))
    entry = prices.open[session + 1, company]
    last = prices.close.copy()  # a close that is missing is the one before
    row = np.where(np.isnan(last), 0, np.arange(len(last))[:, None])
    last = np.take_along_axis(last, np.maximum.accumulate(row, axis=0), axis=0)
    gained = positions[session, company] * (last[np.minimum(session + horizon, len(last) - 1), company] / entry - 1)
    own = gained - 2 * cost_bps * BASIS_POINT * np.abs(positions[session, company])
    return np.asarray(own[~np.isnan(entry)])


def _performance(
    course: Course, count: int, own: npt.NDArray[np.float64], decisions: Decisions, prices: SessionPrices
) -> TradingPerformance:
    active, a_year = slice(0, course.active_sessions), prices.sessions_per_year
    returns, scale = course.returns[active], np.sqrt(a_year)
    last = int(np.searchsorted(prices.days, decisions.days.max())) + decisions.horizon
    return TradingPerformance(
        trading_sessions=len(returns),
        decisions=count,
        trades=len(own),
        sharpe_ratio=ratio_estimate(returns, decisions.horizon).interval().scaled(float(scale)),
        volatility=float(returns.std(ddof=1) * scale) if len(returns) > 1 else float("nan"),
        max_drawdown=float(below_high(course.wealth).max()),
        win_rate=float((own > 0).mean()) if len(own) else float("nan"),
        total_return=float(course.wealth[-1] - 1),
        turnover=float(course.traded[active].mean() * a_year),
        bankrupt="" if course.bankrupt is None else str(course.bankrupt),
        unfinished="" if last < len(prices.days) else str(prices.days[-1]),
    )


def describe_trading(lines: Mapping[str, TradingPerformance]) -> list[str]:
    """Say in words what a table of figures does not show."""
    ends = dict.fromkeys(found.unfinished for found in lines.values() if found.unfinished)
    words = [f"Prices end on {day}: what was held then is valued at that close, and not sold." for day in ends]
    return words + [
        f"{name.replace('_', ' ')} was bankrupt on {found.bankrupt}: its wealth is 0 from then on."
        for name, found in lines.items()
        if found.bankrupt
    ]
