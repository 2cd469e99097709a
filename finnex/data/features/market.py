"""Market features: implied volatility, rates, sector momentum, breadth, and the symbol against its market."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.features.arithmetic import YEAR, log_returns, row_mean, row_std, slope, trailing_rank
from finnex.data.features.context import Context, Features
from finnex.data.features.section import Section

SECTOR_ROWS = ("XLK", "XLF", "XLE", "XLB", "XLU", "XLI", "XLY", "XLP", "XLV")
"""Sector funds with rows of their own; XLC and XLRE are too young for most histories."""


def market(context: Context) -> Features:
    """Return features of the market around the symbol, NaN where the inputs lack the instrument."""
    own = {name: values.to_numpy(dtype="float64") for name, values in _against_market(context).items()}
    return context.section.once(_of_section) | own


def _of_section(section: Section) -> Features:
    found = _implied_volatility(section) | _rates(section) | _sectors(section)
    for name in ("SP500", "NASDAQ"):
        close = section.market_close(name)
        found[f"{name.lower()}_return_5"] = log_returns(close, 5)
        found[f"{name.lower()}_return_20"] = log_returns(close, 20)
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()}


def _implied_volatility(section: Section) -> dict[str, pd.Series[float]]:
    vix = section.series("VIX", max_age=5)
    log_vix = pd.Series(np.log(vix.to_numpy(dtype="float64")))
    realized = section.market_returns.rolling(20).std() * np.sqrt(float(YEAR)) * 100
    return {
        "vix_level": vix,
        "vix_change_1": log_vix - log_vix.shift(1),
        "vix_change_5": log_vix - log_vix.shift(5),
        "vix_change_20": log_vix - log_vix.shift(20),
        "vix_rank_252": trailing_rank(vix),
        "vix_to_mean_60": log_vix - log_vix.rolling(60, min_periods=20).mean(),
        "vix_premium": vix - realized,
        "vix_volatility_20": log_vix.diff().rolling(20).std(),
    }


def _rates(section: Section) -> dict[str, pd.Series[float]]:
    two, ten = section.series("DGS2", max_age=10), section.series("DGS10", max_age=10)
    return {
        "rate_2y_change_5": two - two.shift(5),
        "rate_2y_change_20": two - two.shift(20),
        "rate_10y_change_5": ten - ten.shift(5),
        "rate_10y_change_20": ten - ten.shift(20),
        "rate_10y_volatility_20": ten.diff().rolling(20).std(),
    }


def _sectors(section: Section) -> dict[str, pd.Series[float]]:
    returns = section.sector_returns
    twenty = returns.rolling(20).sum()
    market = section.market_returns
    cumulative = returns.fillna(0.0).cumsum().where(returns.notna())
    above = (cumulative > cumulative.rolling(50).mean()).astype("float64").where(cumulative.rolling(50).mean().notna())
    cyclical = returns.columns.intersection(["XLB", "XLE", "XLF", "XLI", "XLK", "XLY"])
    defensive = returns.columns.intersection(["XLP", "XLU", "XLV"])
    rotation = pd.Series(row_mean(twenty[list(cyclical)])) - pd.Series(row_mean(twenty[list(defensive)]))
    found = {
        "market_return_1": market,
        "market_return_5": market.rolling(5).sum(),
        "market_return_20": market.rolling(20).sum(),
        "market_return_60": market.rolling(60).sum(),
        "market_volatility_20": market.rolling(20).std() * np.sqrt(float(YEAR)),
        "sector_breadth_50": pd.Series(row_mean(above)),
        "sector_dispersion_20": pd.Series(row_std(twenty)),
        "sector_rotation_20": rotation,
    }
    for name in SECTOR_ROWS:
        own = returns[name] if name in returns.columns else pd.Series(np.full(section.sessions, np.nan))
        found[f"sector_{name.lower()}_momentum_20"] = (own - market).rolling(20).sum()
        found[f"sector_{name.lower()}_momentum_60"] = (own - market).rolling(60).sum()
    return found


def _against_market(context: Context) -> dict[str, pd.Series[float]]:
    own, market = context.returns, context.section.market_returns
    beta = slope(own, market, 60)
    residual = own - beta.shift(1) * market
    near = [
        own.rolling(60).corr(context.section.sector_returns[name]) for name in context.section.sector_returns.columns
    ]
    return {
        "sector_correlation_60": pd.concat(near, axis=1).max(axis=1) if near else own * np.nan,
        "beta_60": beta,
        "market_correlation_60": own.rolling(60).corr(market),
        "relative_return_5": (own - market).rolling(5).sum(),
        "relative_return_20": (own - market).rolling(20).sum(),
        "relative_return_60": (own - market).rolling(60).sum(),
        "residual_momentum_60": residual.rolling(60).sum(),
    }
