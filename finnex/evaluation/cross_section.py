"""What a model is worth as an order of companies: coefficient, fifths, portfolio, exposures and capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.exposures import Exposures, exposures_of_scores
from finnex.evaluation.information_coefficient import InformationCoefficient, information_coefficient
from finnex.evaluation.portfolio import Floats
from finnex.evaluation.quantile_capacity import SHARE, Capacity, capacity
from finnex.evaluation.quantile_portfolio import LongShort, long_short
from finnex.evaluation.quantile_returns import QuantileReturns, quantile_returns
from finnex.evaluation.score_panel import LEAST_COMPANIES, score_panel


@dataclass(frozen=True)
class CrossSection:
    """A model's scores, p_buy - p_sell, as an order of the companies of each session.

    Attributes
    ----------
    model, split
        Whose scores, and of which part of the predictions.
    horizon
        Sessions that the label looks ahead.
    sessions, companies
        Sessions with scores, and the most companies that one of them has.
    judged
        Sessions with ten companies or more; only these are used.
    information, quantiles, portfolio, exposures, capacity
        The parts; None where no session has ten companies.
    reason
        Why there are none, in words; empty where there are.

    Examples
    --------
    >>> rng, days = np.random.default_rng(0), np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]")
    >>> names = tuple("ABCDEFGHIJKL")
    >>> close = np.exp(rng.normal(0, 0.01, (100, 12)).cumsum(axis=0))
    >>> row = {"decision_date": np.repeat(days[:95], 12), "symbol": np.tile(names, 95), "split": "test", "horizon": 5}
    >>> said = {"model": "cnn", "p_hold": 0.2, "p_buy": rng.uniform(0, 0.8, 95 * 12)}
    >>> table = pd.DataFrame({**row, **said}).assign(p_sell=lambda one: 0.8 - one["p_buy"])
    >>> found = cross_section(table, SessionPrices(days, names, close, close))
    >>> found.words()[1], found.record()["judged_sessions"]
    ('That the scores carry information is not shown.', 95)
    """

    model: str
    split: str
    horizon: int
    sessions: int
    companies: int
    judged: int
    information: InformationCoefficient | None = None
    quantiles: QuantileReturns | None = None
    portfolio: LongShort | None = None
    exposures: Exposures | None = None
    capacity: Capacity | None = None
    reason: str = ""

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON, tables and trackers.

        Returns
        -------
        dict
            Nested by part; None where there is no value, with a reason in words where one is needed.
        """
        parts = {
            "information": self.information, "quantiles": self.quantiles, "portfolio": self.portfolio,
            "exposures": self.exposures, "capacity": self.capacity,
        }  # fmt: skip
        return {
            "model": self.model, "split": self.split, "horizon": self.horizon, "sessions": self.sessions,
            "most_companies": self.companies, "judged_sessions": self.judged, "reason": self.reason,
            **{name: None if part is None else part.record() for name, part in parts.items()},
        }  # fmt: skip

    def words(self) -> list[str]:
        """Say what the order of the scores is worth, and what that does not show.

        Returns
        -------
        list of str
            Sentences.
        """
        parts = (self.information, self.quantiles, self.portfolio, self.exposures, self.capacity)
        if self.reason:
            return [f"No cross-section of {self.model.replace('_', ' ')}: {self.reason}."]
        return [sentence for part in parts if part is not None for sentence in part.words()]


def cross_section(
    predictions: pd.DataFrame,
    prices: SessionPrices,
    settings: TradingSettings | None = None,
    *,
    dollar_volume: Floats | None = None,
    split: str = "test",
    model: str | None = None,
    share: float = SHARE,
) -> CrossSection:
    """Judge a model's scores as an order of companies.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, p_sell, p_hold, p_buy. Where it has return and label_kind
        too, returns of `price_movement` are held against the prices.
    prices
        Bars of every session and company of the part. Momentum and market beta need 252 sessions before it, the last
        labels their sessions after it.
    settings
        Costs and borrow fee.
    dollar_volume
        (sessions, companies) close times shares traded, in one currency, NaN without a bar. Prices of a store do not
        give it: they are up to a factor for each company.
    split
        The part to judge on.
    model
        Whose scores; by default the one model that is no baseline.
    share
        Of a company's median dollar volume that a trade may take, in (0, 1].

    Returns
    -------
    CrossSection
        All parts, or the reason why there are none.

    Raises
    ------
    TrainingError
        The part has no row of the model, several models or horizons, a probability that is not known, returns that the
        prices do not give, a share outside its range, or a volume of another shape or below zero.
    PricesUnknown
        Prices lack a session or company of the part, or end before the first entry.

    Notes
    -----
    The sentence on information is one test at 5 %, half for each sign, of the mean rank coefficient at the label's
    horizon. No other figure is tested: decay, fifths and exposures are described, each with an interval of its own.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")
    >>> bars = SessionPrices(days, ("A",), np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]))
    >>> row = {"decision_date": days[:1], "symbol": "A", "split": "test", "model": "cnn", "horizon": 1}
    >>> cross_section(pd.DataFrame({**row, "p_sell": 0.2, "p_hold": 0.3, "p_buy": 0.5}), bars).words()
    ['No cross-section of cnn: no session has 10 companies, the most is 1.']
    """
    panel = score_panel(predictions, prices, split=split, model=model)
    count = (~np.isnan(panel.scores)).sum(axis=1)
    sessions, most, judged = int((count > 0).sum()), int(count.max()), int((count >= LEAST_COMPANIES).sum())
    where = panel.model, split, panel.horizon, sessions, most, judged
    if not judged:
        return CrossSection(*where, reason=f"no session has {LEAST_COMPANIES} companies, the most is {most}")
    portfolio = long_short(panel, settings)
    return CrossSection(
        *where,
        information=information_coefficient(panel),
        quantiles=quantile_returns(panel),
        portfolio=portfolio,
        exposures=Exposures(
            scores=exposures_of_scores(panel, dollar_volume),
            beta=portfolio.beta.interval(),
            alpha=portfolio.alpha.interval(),
            sessions_per_year=prices.sessions_per_year,
        ),
        capacity=capacity(prices, portfolio.positions, panel.horizon, dollar_volume, share),
    )
