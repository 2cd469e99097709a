"""What acting on the decisions of a planted market earns: by the true rule, or by any other answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.config import TradingSettings
from finnex.data.labels import HOLD
from finnex.data.session_prices import session_prices
from finnex.evaluation.trading import Decisions, TradingPerformance, trade
from finnex.exam.planted_market import PlantedMarket


def planted_performance(
    market: PlantedMarket,
    classes: npt.NDArray[np.int64] | None = None,
    settings: TradingSettings | None = None,
    since: np.datetime64 | None = None,
) -> TradingPerformance:
    """Return what the answers to a market's decisions would have earned, net of costs.

    Each decision date's wealth is spread equally over the companies that decide on it: bought, sold short, or left
    in cash, from the next open to that close.

    Parameters
    ----------
    market
        A planted market.
    classes
        (decisions,) 0 sell, 1 hold, 2 buy, in the order of `market.answers`; absent, the true rule's answers, which
        are the oracle's.
    settings
        Costs; absent, those of an empty `[trading]`.
    since
        First decision date; absent, the market's.

    Returns
    -------
    TradingPerformance
        Sharpe ratio a year with its interval, drawdown, volatility, win rate and the rest.

    Raises
    ------
    ValueError
        The answers are not one for each decision.
    """
    rows = market.answers
    given = rows["answer"].to_numpy() if classes is None else np.asarray(classes)
    if given.shape != (len(rows),):
        raise ValueError(f"{given.shape} answers are not one for each of {len(rows)} decisions")
    day = rows["date"].to_numpy().astype("datetime64[D]")
    kept = np.ones(len(rows), dtype=bool) if since is None else day >= since
    prices = market.tables.prices
    decisions = Decisions(
        day[kept], rows["symbol"].to_numpy().astype(np.str_)[kept], (given[kept] - HOLD).astype(np.float64), horizon=1
    )
    return trade(decisions, session_prices(prices[prices["symbol"].isin(market.symbols)]), settings).performance
