"""What the trials of one test part would have earned, all of them on the same companies and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.rolling_figures import NO_SPREAD
from finnex.evaluation.scorecard import BASELINE_NAMES, ROW
from finnex.evaluation.trading import Decisions, trade

LEAST_COMMON = 0.9
"""Share of a study's decisions that another trial must have made too, to be compared with it."""


@dataclass(frozen=True)
class TrialReturns:
    """Daily returns of the trials that can be compared, this study's first.

    Attributes
    ----------
    ratios
        Sharpe ratios a year of all trials that are given, this one's first; None of one that cannot be compared or
        does not vary.
    returns
        (sessions, trials) of those that can be compared.
    rows
        Decisions that all of these made.
    apart
        Trials that made less than `LEAST_COMMON` of this study's decisions.
    """

    ratios: tuple[float | None, ...]
    returns: npt.NDArray[np.float64]
    rows: int
    apart: tuple[int, ...]


def trial_returns(
    own: pd.DataFrame, others: Mapping[int, pd.DataFrame], prices: SessionPrices, settings: TradingSettings
) -> TrialReturns:
    """Trade the network of a study and those of other trials on the decisions that they have in common.

    Parameters
    ----------
    own
        Test predictions of the study: columns of `finnex.training.predictions`; baselines are left out.
    others
        The same of other trials, by a number.
    prices
        Of all companies and sessions.
    settings
        Costs and borrow fee.

    Returns
    -------
    TrialReturns
        Ratios of all, and returns of those that can be compared.

    Raises
    ------
    PricesUnknown
        Prices do not cover the decisions.
    """
    mine = _network(own)
    common = pd.MultiIndex.from_frame(mine[ROW].drop_duplicates())
    asked, comparable, apart = len(common), dict[int, pd.DataFrame](), list[int]()
    for number, table in others.items():
        theirs = _network(table)
        same = common.intersection(pd.MultiIndex.from_frame(theirs[ROW].drop_duplicates()))
        if len(same) < LEAST_COMMON * asked:
            apart.append(number)
        else:
            comparable[number], common = theirs, same
    courses = [
        trade(Decisions.of(table[pd.MultiIndex.from_frame(table[ROW]).isin(common)]), prices, settings).course
        for table in (mine, *comparable.values())
    ]
    returns = np.stack([course.returns for course in courses], axis=1)
    scale = float(np.sqrt(prices.sessions_per_year))
    first, *rest = (_ratio(own_returns, scale) for own_returns in returns.T)
    known = dict(zip(comparable, rest, strict=True))
    return TrialReturns((first, *(known.get(number) for number in others)), returns, len(common), tuple(apart))


def _ratio(returns: npt.NDArray[np.float64], scale: float) -> float | None:
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / spread * scale if spread > NO_SPREAD else None


def _network(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["model"].isin(BASELINE_NAMES)]
