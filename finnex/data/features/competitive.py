"""Competitive features: the symbol's price, growth and margins against its peers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.features.context import YEAR, Context, Features, log, over, row_mean, row_rank, row_std
from finnex.data.features.fundamental import MAX_AGE, market_value, views
from finnex.data.point_in_time import Floats, as_of

RERATINGS = {"valuation_change_60": 60, "valuation_change_252": YEAR}
"""Change of price over sales, compared with the peers', to its sessions."""


def competitive(context: Context) -> Features:
    """Return features relative to the peers, NaN where there are no peers or they have no data."""
    found = {name: values.to_numpy(dtype="float64") for name, values in _prices(context).items()}
    return found | _filings(context) | _table(context)


def _prices(context: Context) -> dict[str, pd.Series[float]]:
    own, peers = context.returns, context.peer_returns
    group = pd.Series(row_mean(peers))
    sums = {window: peers.rolling(window).sum() for window in (5, 20, 60, 120)}
    mine = {window: own.rolling(window).sum() for window in sums}
    found = {f"peer_relative_return_{n}": mine[n] - pd.Series(row_mean(sums[n])) for n in sums}
    found |= {f"peer_rank_{n}": pd.Series(row_rank(sums[n], mine[n])) for n in (20, 60, 120)}
    volatility, theirs = own.rolling(20).std(), peers.rolling(20).std()
    group_volatility = pd.Series(row_mean(theirs))
    volume = context.volumes
    busy = pd.DataFrame({name: log(volume[name].where(volume[name] > 0)) for name in volume.columns})
    busy -= busy.rolling(20, min_periods=10).mean()
    covariance, variance = own.rolling(60).cov(group), group.rolling(60).var()
    found |= {
        "peer_relative_volatility_20": pd.Series(
            np.log((volatility / group_volatility.where(group_volatility > 0)).where(volatility > 0).to_numpy())
        ),
        "peer_correlation_60": own.rolling(60).corr(group),
        "peer_beta_60": covariance / variance.where(variance > 0),
        "peer_dispersion_20": pd.Series(row_std(sums[20])),
        "peer_momentum_20": pd.Series(row_mean(sums[20])),
        "peer_relative_volume_20": busy[context.symbol] - pd.Series(row_mean(busy[list(context.peers)])),
        "peer_lead_1": own.rolling(60).corr(group.shift(1)),
        "peer_rank_change_20": found["peer_rank_60"] - found["peer_rank_60"].shift(20),
    }
    return found


def _filings(context: Context) -> Features:
    """Growth, profitability and the course of valuation less the mean of the peers, each as filed by then.

    Levels of market value are comparable only where share counts are matched to the prices, so valuation is compared
    by its change: of the logarithm of price over sales.
    """
    names = ("revenue_growth_yoy", "operating_margin", "net_margin", "return_on_assets", "asset_turnover")
    table: dict[str, dict[str, Floats]] = {name: {} for name in (*names, *RERATINGS)}
    for symbol in (context.symbol, *context.peers):
        known, figures = views(context.tables.fundamentals, symbol, context.calendar)
        if not figures:
            continue
        for name in names:
            table[name][symbol] = as_of(known.astype(np.intp), figures[name], context.sessions, MAX_AGE)
        value = market_value(context, symbol, known, figures)
        sales = as_of(known.astype(np.intp), figures["_revenue_year"], context.sessions, MAX_AGE)
        multiple = pd.Series(over(value, sales))
        for name, sessions in RERATINGS.items():
            table[name][symbol] = log(multiple / multiple.shift(sessions)).to_numpy()
    found = {}
    for name, columns in table.items():
        own = columns.pop(context.symbol, np.full(context.sessions, np.nan))
        found[f"peer_relative_{name}"] = own - row_mean(pd.DataFrame(columns, index=range(context.sessions)))
    return found


def _table(context: Context) -> Features:
    """Mean rank of the company among the peers of the competitive table, over all its metrics.

    A row of the table describes `peer` as seen in the study of `symbol`; the company's own row has itself as
    peer. A row carries a date without a time and so counts from the next session on.
    """
    nothing = np.full(context.sessions, np.nan)
    table = context.tables.competitive
    rows = None if table is None else table[table["symbol"] == context.symbol]
    if rows is None or rows.empty or context.symbol not in set(rows["peer"]):
        return {"competitive_rank": nothing, "competitive_rank_change": nothing}
    metrics = [name for name in rows.columns if name not in {"symbol", "date", "peer"}]
    ranks = rows.groupby("date")[metrics].rank(pct=True)
    own = rows["peer"] == context.symbol
    mean = pd.Series(row_mean(ranks[own]))
    known = context.calendar.first_session_after(rows.loc[own, "date"].to_numpy().astype("datetime64[D]"))
    rank = as_of(known, mean.to_numpy(), context.sessions, YEAR)
    change = as_of(known, mean.diff().to_numpy(), context.sessions, YEAR)
    return {"competitive_rank": rank, "competitive_rank_change": change}
