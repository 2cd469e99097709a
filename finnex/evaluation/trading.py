"""What acting on predictions would have returned, net of costs: from positions and the returns that followed.

A decision at a session's close is entered at the next open and left at the close `horizon` sessions on. Decisions of
successive sessions overlap, so the capital is split into `horizon` equal accounts which take turns: each is invested
in every `horizon`-th decision and never in two at once (overlapping portfolios, Jegadeesh and Titman 1993). An account
is valued when it leaves a position, not between: drawdowns within a holding period are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.evaluation.interval import Interval, ratio_estimate

SESSIONS_A_YEAR = 252
BASIS_POINT = 1e-4


@dataclass(frozen=True)
class TradingPerformance:
    """How a rule would have done. Rates are shares of capital, a year has 252 sessions.

    Attributes
    ----------
    decisions, trades
        Sessions and symbols decided on, and those among them with a position.
    sharpe_ratio
        Mean over standard deviation of the decisions' net returns, times the square root of how many holding periods
        a year has (Sharpe 1994); the rate without risk is taken as 0. NaN where nothing varied. Overlapping decisions
        make the plain standard error too small (Lo 2002).
    volatility
        Standard deviation of the net returns, a year.
    max_drawdown
        Largest fall of the equity from its highest point, as a share of that.
    win_rate
        Share of the trades that gained after costs; NaN without trades.
    total_return
        Of the equity, from first to last.
    turnover
        Capital bought and sold a year, in multiples of the capital.
    """

    decisions: int
    trades: int
    sharpe_ratio: Interval
    volatility: float
    max_drawdown: float
    win_rate: float
    total_return: float
    turnover: float


def trading_performance(
    positions: npt.NDArray[np.floating],
    returns: npt.NDArray[np.floating],
    dates: Days,
    *,
    horizon: int,
    cost_bps: float,
) -> TradingPerformance:
    """Return what positions would have earned.

    Parameters
    ----------
    positions
        (decisions,) share of an account, -1 sold short to 1 bought.
    returns
        (decisions,) simple return from entry to exit, known for every decision.
    dates
        (decisions,) sessions decided on; symbols of one session share its account equally.
    horizon
        Sessions held.
    cost_bps
        Paid on what is bought and on what is sold, in hundredths of a percent.
    """
    net = positions * returns - 2 * cost_bps * BASIS_POINT * np.abs(positions)
    days, place = np.unique(dates, return_inverse=True)
    n, count = len(days), np.bincount(place)
    by_session = np.bincount(place, weights=net) / count
    invested = np.bincount(place, weights=np.abs(positions)) / count
    periods = SESSIONS_A_YEAR / horizon

    enough = n > 2
    equity = _equity(by_session, horizon)
    top = np.maximum.accumulate(np.append(1.0, equity))
    traded = positions != 0
    return TradingPerformance(
        decisions=len(positions),
        trades=int(traded.sum()),
        sharpe_ratio=ratio_estimate(by_session, horizon).interval().scaled(float(np.sqrt(periods))),
        volatility=float(by_session.std(ddof=1) * np.sqrt(periods)) if enough else float("nan"),
        max_drawdown=float((1 - np.append(1.0, equity) / top).max()),
        win_rate=float((net[traded] > 0).mean()) if traded.any() else float("nan"),
        total_return=float(equity[-1] - 1),
        turnover=float(2 * invested.mean() * periods),
    )


def _equity(by_session: npt.NDArray[np.floating], accounts: int) -> npt.NDArray[np.float64]:
    """Return the value of all accounts together after each session's decision has been closed; 1 before the first."""
    growth = np.ones((len(by_session), accounts))
    growth[np.arange(len(by_session)), np.arange(len(by_session)) % accounts] = 1 + by_session
    return np.asarray(np.cumprod(growth, axis=0).mean(axis=1))
