"""Competitive features: the symbol's price, growth and margins against its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from finnex.data.features.arithmetic import YEAR, log, over, row_mean, row_rank, row_std, slope
from finnex.data.features.context import NO_MASKS, Context, Features, masked
from finnex.data.features.fundamental import MAX_AGE, company_views, market_value
from finnex.data.features.section import Section
from finnex.data.point_in_time import as_of
from finnex.data.universe import Mask

RERATINGS = {"valuation_change_60": 60, "valuation_change_252": YEAR}
"""Change of price over sales, compared with the peers', to its sessions."""


def competitive(context: Context) -> Features:
    """Return features relative to the peers, NaN where there are no peers or they have no data."""
    found = {name: values.to_numpy(dtype="float64") for name, values in _prices(context).items()}
    return found | _filings(context) | _table(context)


WINDOWS = (5, 20, 60, 120)


@dataclass(frozen=True)
class _Moves:
    """What a company's price and volume do, on all sessions: log returns, their sums, volatility, and volume."""

    returns: pd.Series[float]
    sums: dict[int, pd.Series[float]]
    volatility: pd.Series[float]
    busy: pd.Series[float]


def _moves(section: Section, symbol: str) -> _Moves:
    returns, volume = section.returns(symbol), section.volumes(symbol)
    amount = log(volume.where(volume > 0))
    return _Moves(
        returns,
        {window: returns.rolling(window).sum() for window in WINDOWS},
        returns.rolling(20).std(),
        amount - amount.rolling(20, min_periods=10).mean(),
    )


@dataclass(frozen=True)
class _Group:
    """What the peers of a company do together, on all sessions."""

    sums: dict[int, pd.DataFrame]
    """Of each peer, by window."""
    returns: pd.Series[float]
    mean_sums: dict[int, pd.Series[float]]
    dispersion: pd.Series[float]
    volatility: pd.Series[float]
    busy: pd.Series[float]


def _group(section: Section, peers: tuple[str, ...], masks: Mapping[str, Mask] = NO_MASKS) -> _Group:
    """Return what peers do together; a peer that has a mask counts at its sessions alone."""
    each = {name: section.of_each(_moves, name) for name in peers}

    def together(values: dict[str, pd.Series[float]]) -> pd.DataFrame:
        return masked(values, masks, section.sessions)

    def mean(values: pd.DataFrame) -> pd.Series[float]:
        return pd.Series(row_mean(values))

    sums = {window: together({name: one.sums[window] for name, one in each.items()}) for window in WINDOWS}
    return _Group(
        sums,
        mean(together({name: one.returns for name, one in each.items()})),
        {window: mean(values) for window, values in sums.items()},
        pd.Series(row_std(sums[20])),
        mean(together({name: one.volatility for name, one in each.items()})),
        mean(together({name: one.busy for name, one in each.items()})),
    )


def _prices(context: Context) -> dict[str, pd.Series[float]]:
    peers, own = context.of_group(_group), context.returns
    mine = {window: own.rolling(window).sum() for window in WINDOWS}
    found = {f"peer_relative_return_{n}": mine[n] - peers.mean_sums[n] for n in WINDOWS}
    found |= {f"peer_rank_{n}": pd.Series(row_rank(peers.sums[n], mine[n])) for n in (20, 60, 120)}
    volatility = own.rolling(20).std()
    found |= {
        "peer_relative_volatility_20": pd.Series(
            np.log((volatility / peers.volatility.where(peers.volatility > 0)).where(volatility > 0).to_numpy())
        ),
        "peer_correlation_60": own.rolling(60).corr(peers.returns),
        "peer_beta_60": slope(own, peers.returns, 60),
        "peer_dispersion_20": peers.dispersion,
        "peer_momentum_20": peers.mean_sums[20],
        "peer_relative_volume_20": context.section.of_each(_moves, context.symbol).busy - peers.busy,
        "peer_lead_1": own.rolling(60).corr(peers.returns.shift(1)),
        "peer_rank_change_20": found["peer_rank_60"] - found["peer_rank_60"].shift(20),
    }
    return found


FILED = ("revenue_growth_yoy", "operating_margin", "net_margin", "return_on_assets", "asset_turnover")


def _filed(section: Section, symbol: str) -> Features:
    """Return growth, profitability and the course of valuation of a company on all sessions; {} without a filing."""
    known, figures = section.of_each(company_views, symbol)
    if not figures:
        return {}
    positions = known.astype(np.intp)
    found = {name: as_of(positions, figures[name], section.sessions, MAX_AGE) for name in FILED}
    sales = as_of(positions, figures["_revenue_year"], section.sessions, MAX_AGE)
    multiple = pd.Series(over(market_value(section, symbol), sales))
    for name, sessions in RERATINGS.items():
        found[name] = log(multiple / multiple.shift(sessions)).to_numpy()
    return found


def _filings(context: Context) -> Features:
    """Growth, profitability and the course of valuation less the mean of the peers, each as filed by then.

    Levels of market value are comparable only where share counts are matched to the prices, so valuation is compared
    by its change: of the logarithm of price over sales.
    """
    each = {name: context.section.of_each(_filed, name) for name in (context.symbol, *context.peers)}
    mine = each.pop(context.symbol)
    found = {}
    for name in (*FILED, *RERATINGS):
        columns = {symbol: one[name] for symbol, one in each.items() if one}
        own = mine.get(name, np.full(context.sessions, np.nan))
        found[f"peer_relative_{name}"] = own - row_mean(masked(columns, context.masks, context.sessions))
    return found


def _table(context: Context) -> Features:
    """Mean rank of the company among the peers of the competitive table, over all its metrics.

    A row of the table describes `peer` as seen in the study of `symbol`; the company's own row has itself as
    peer. A row carries a date without a time and so counts from the next session on.
    """
    nothing = np.full(context.sessions, np.nan)
    rows = context.tables.of("competitive", context.symbol)
    if rows.empty or context.symbol not in set(rows["peer"]):
        return {"competitive_rank": nothing, "competitive_rank_change": nothing}
    metrics = [name for name in rows.columns if name not in {"symbol", "date", "peer"}]
    ranks = rows.groupby("date")[metrics].rank(pct=True)
    own = rows["peer"] == context.symbol
    mean = pd.Series(row_mean(ranks[own]))
    known = context.calendar.first_session_after(rows.loc[own, "date"].to_numpy().astype("datetime64[D]"))
    rank = as_of(known, mean.to_numpy(), context.sessions, YEAR)
    change = as_of(known, mean.diff().to_numpy(), context.sessions, YEAR)
    return {"competitive_rank": rank, "competitive_rank_change": change}
