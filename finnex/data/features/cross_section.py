"""Ranks of a company's characteristics among the members of the universe at each session, in [0, 1], ties half.

Plain characteristics of the asset pricing literature; the catalogue rows name the source of each. Figures in currency
(size, value, turnover) need a table of splits: without one share counts and prices are not on one basis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from finnex.data.calendar import session_calendar
from finnex.data.features.arithmetic import TIE_DIGITS, YEAR, log
from finnex.data.features.context import Context, Features
from finnex.data.features.fundamental import MAX_AGE, company_views, market_value
from finnex.data.features.section import Section
from finnex.data.point_in_time import Floats, as_of
from finnex.data.universe import Mask

SKIPPED = 21
"""Sessions that momentum over a year leaves out, as Jegadeesh and Titman (1993) leave out the last month."""
LEAST_MEMBERS = 3
"""Members with a value below which there is no rank."""
RANKED: Final = (
    "momentum_20", "momentum_60", "momentum_252", "reversal_5", "volatility_60", "size", "value", "turnover_20",
)  # fmt: skip
SECTION_FEATURES: Final = tuple(f"section_{name}" for name in RANKED)


def cross_section(context: Context) -> Features:
    """Return the ranks of a company; all NaN where the tables have no table of companies, or it is no member."""
    if context.section.membership(context.symbol) is None:
        return {f"section_{name}": np.full(context.sessions, np.nan) for name in RANKED}
    whole = _whole(context.section)
    at = np.searchsorted(whole.calendar.days, context.calendar.days)
    ranks = whole.once(_ranks)
    return {f"section_{name}": by_symbol[context.symbol][at] for name, by_symbol in ranks.items()}


def _whole(section: Section) -> Section:
    """Return the section from the first bar of any member to the last: one for all companies of a run.

    On the sessions of one company the others' past would begin with it.
    """
    kept: dict[str, Section] = section.tables.memo.setdefault(_whole, {})
    exchange = section.calendar.exchange
    if exchange not in kept:
        universe = section.tables.universe
        assert universe is not None
        days = section.tables.of_some("prices", universe.symbols)["date"]
        calendar = session_calendar(exchange, days.min().date(), days.max().date())
        kept[exchange] = Section(section.tables, calendar, (), {}, section.priced)
    return kept[exchange]


def characteristics(section: Section, symbol: str) -> dict[str, Floats]:
    """Return what companies are ranked by, on all sessions, NaN where it is not known.

    Parameters
    ----------
    section
        Tables and calendar.
    symbol
        A company that has bars.

    Returns
    -------
    dict of str to numpy.ndarray
        By the names of `RANKED`, each (sessions,) float64.
    """
    returns = section.returns(symbol)
    year = returns.rolling(YEAR - SKIPPED).sum().shift(SKIPPED)
    found = {
        "momentum_20": returns.rolling(20).sum(),
        "momentum_60": returns.rolling(60).sum(),
        "momentum_252": year,
        "reversal_5": -returns.rolling(5).sum(),
        "volatility_60": returns.rolling(60).std(),
    }
    nothing = np.full(section.sessions, np.nan)
    size = market_value(section, symbol) if section.tables.splits is not None else nothing
    known, figures = section.of_each(company_views, symbol)
    book = as_of(known.astype(np.intp), figures["_book"], section.sessions, MAX_AGE) if "_book" in figures else nothing
    whole = pd.Series(np.where(size > 0, size, np.nan))
    money = section.quotes(symbol) * section.shares_traded(symbol) / whole
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()} | {
        "size": log(whole).to_numpy(),
        "value": book / whole.to_numpy(),
        "turnover_20": money.rolling(20).mean().to_numpy(),
    }


def _ranks(section: Section) -> Mapping[str, Mapping[str, Floats]]:
    """Return by characteristic, then by company, the rank among those that are members at each session."""
    universe = section.tables.universe
    symbols = [name for name in universe.symbols if name in section.priced] if universe is not None else []
    found: dict[str, dict[str, Floats]] = {name: {} for name in RANKED}
    each = {symbol: characteristics(section, symbol) for symbol in symbols}
    for name in RANKED:
        values = np.column_stack([np.where(_inside(section, symbol), each[symbol][name], np.nan) for symbol in symbols])
        rank = pd.DataFrame(np.round(values, TIE_DIGITS)).rank(axis=1).to_numpy()  # ties have their mean
        count = (~np.isnan(values)).sum(axis=1)[:, None]
        share = np.divide(rank - 1, count - 1, out=np.full(rank.shape, np.nan), where=count >= LEAST_MEMBERS)
        found[name] = {symbol: share[:, column] for column, symbol in enumerate(symbols)}
    return found


def _inside(section: Section, symbol: str) -> Mask:
    membership = section.membership(symbol)
    return np.zeros(section.sessions, dtype=bool) if membership is None else membership[0]
