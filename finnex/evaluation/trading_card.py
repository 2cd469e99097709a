"""What a study's models would have earned on its unseen sessions, compared with buying and holding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from finnex.config import TradingSettings
from finnex.datasets.stored_prices import stored_prices
from finnex.errors import PricesUnknown
from finnex.evaluation.metrics import listed
from finnex.evaluation.portfolio import Course
from finnex.evaluation.scorecard import BASELINE_NAMES
from finnex.evaluation.trading import (
    Decisions,
    TradingPerformance,
    describe_trading,
    trade,
    trade_without_a_model,
)
from finnex.store import ImageStore


@dataclass(frozen=True)
class TradingCard:
    """Trading figures of a model, its baselines, and holding without one; `TradingPerformance` defines each.

    Attributes
    ----------
    model
        The model that is judged.
    lines
        By name: the model first, then its baselines, then `buy_and_hold` and `equal_weight`; empty where prices are not
        known.
    unavailable
        Why there are no figures, in words; empty where there are.
    horizon
        Sessions that a position is held.
    settings
        Costs and borrow fee.
    sessions_per_year
        By which the fee is divided, and figures of a year are made.
    courses
        Of every line, what it was worth at every close.

    Examples
    --------
    >>> import numpy as np
    >>> day = np.array(["2015-03-02"], dtype="datetime64[D]")
    >>> one = {"decision_date": day, "symbol": "NVDA", "split": "test", "horizon": 5, "model": "cnn"}
    >>> predictions = pd.DataFrame({**one, "p_sell": 0.2, "p_hold": 0.2, "p_buy": 0.6})
    >>> card = trading_card(predictions, ImageStore.open("images.zarr"), TradingSettings())
    >>> [line["model"] for line in card.records()]
    ['cnn', 'buy_and_hold', 'equal_weight']
    >>> card.words()[0]
    'Buy 1, hold 0, sell -1 at the next open, ...
    """

    model: str
    horizon: int
    settings: TradingSettings
    sessions_per_year: int
    lines: Mapping[str, TradingPerformance]
    unavailable: str = ""
    courses: Mapping[str, Course] = field(default_factory=dict, repr=False)

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dict of plain values per line, for JSON, tables and trackers.

        Returns
        -------
        list[dict[str, Any]]
            The figures of `TradingPerformance.record`; empty where prices are not known.
        """
        return [{"model": name, **found.record()} for name, found in self.lines.items()]

    def words(self) -> list[str]:
        """Say how the figures came about, and what they do not show.

        Returns
        -------
        list of str
            Sentences.
        """
        if self.unavailable:
            return [f"No trading figures: {self.unavailable}"]
        costs = (
            f"Buy 1, hold 0, sell -1 at the next open, left at the close of session {self.horizon}; valued at every "
            f"close; {self.settings.cost_bps:g} basis points on what is bought or sold, "
            f"{self.settings.borrow_fee_per_year:.2%} a year on what is short; a year has {self.sessions_per_year} "
            "sessions."
        )
        reasons: dict[str, list[str]] = {}
        for name, found in self.lines.items():
            if found.sharpe_ratio.reason:
                reasons.setdefault(found.sharpe_ratio.reason, []).append(name.replace("_", " "))
        missing = [
            f"Sharpe ratio{'' if len(names) == len(self.lines) else f' of {listed(names)}'}: {reason}."
            for reason, names in reasons.items()
        ]
        return [costs, *missing, *describe_trading(self.lines)]


def trading_card(
    predictions: pd.DataFrame, store: ImageStore, settings: TradingSettings, *, split: str = "test"
) -> TradingCard:
    """Return what models of a predictions table would have earned at the prices of a store.

    A session that several seeds answered for is decided on once, by the mean of their probabilities.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, p_sell, p_hold, p_buy.
    store
        Store whose prices are traded at.
    settings
        Costs and borrow fee.
    split
        Part of the table that is traded on.

    Returns
    -------
    TradingCard
        A line for each model, the network first, and two for holding without one; without lines, and with the reason,
        where prices are not known.

    Examples
    --------
    >>> import numpy as np
    >>> day = np.array(["2015-03-02"], dtype="datetime64[D]")
    >>> one = {"decision_date": day, "symbol": "NVDA", "split": "test", "horizon": 5, "model": "cnn"}
    >>> predictions = pd.DataFrame({**one, "p_sell": 0.2, "p_hold": 0.2, "p_buy": 0.6})
    >>> card = trading_card(predictions, ImageStore.open("images.zarr"), TradingSettings())
    >>> list(card.lines)
    ['cnn', 'buy_and_hold', 'equal_weight']
    """
    part = predictions[predictions["split"] == split]
    horizon = int(part["horizon"].iloc[0])
    names = list(dict.fromkeys(part["model"]))
    order = [name for name in names if name not in BASELINE_NAMES] + [name for name in BASELINE_NAMES if name in names]
    try:
        prices = stored_prices(store, sorted(set(part["symbol"])))
        decided = {name: Decisions.of(part[part["model"] == name]) for name in order}
        found = {name: trade(one, prices, settings) for name, one in decided.items()}
        found |= trade_without_a_model(decided[order[0]], prices, settings)
    except PricesUnknown as error:
        return TradingCard(order[0], horizon, settings, 252, {}, str(error))
    lines, courses = ({name: getattr(one, part) for name, one in found.items()} for part in ("performance", "course"))
    return TradingCard(order[0], horizon, settings, prices.sessions_per_year, lines, courses=courses)
