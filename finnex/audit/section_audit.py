"""Labels across the section, written out once more and apart from `finnex.data.section_labels`: for stored ones.

Dates by companies as a wide table of pandas, where the labels are made company by company from arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import HORIZONS, LabelSettings
from finnex.config.images import LEAST_VOLATILITY_SESSIONS
from finnex.data.calendar import session_calendar
from finnex.data.tables import Tables

LEAST = 3
NEAR = 1e-9
"""Distance from a threshold below which rounding decides the class: such a label is not compared."""
UNKNOWN, SELL, HOLD, BUY = -1, 0, 1, 2


@dataclass(frozen=True)
class WideSection:
    """Opens and closes of all companies of the table of companies: sessions by symbols.

    Attributes
    ----------
    member
        Whether a company is a member at a session.
    final
        Position of the last bar, by company.
    gone
        Companies whose membership ended by the session after their last bar.
    """

    opens: pd.DataFrame
    closes: pd.DataFrame
    member: pd.DataFrame
    final: Mapping[str, int]
    gone: frozenset[str]


def wide_section(tables: Tables, exchange: str) -> WideSection | None:
    """Return the bars of all members; None without a table of companies."""
    companies = tables.companies
    if companies is None:
        return None
    prices = tables.prices[tables.prices["symbol"].isin(set(companies["symbol"]))]
    days = session_calendar(exchange, prices["date"].min().date(), prices["date"].max().date()).days
    index = pd.DatetimeIndex(days)
    opens, closes = (
        prices.pivot(index="date", columns="symbol", values=name).reindex(index) for name in ("open", "close")
    )
    member = pd.DataFrame(False, index=index, columns=closes.columns)
    for symbol, start, end in zip(companies["symbol"], companies["from"], companies["to"], strict=True):
        if symbol in member.columns:
            first, last = (index[0] if pd.isna(start) else start), (index[-1] if pd.isna(end) else end)
            member.loc[(index >= first) & (index <= last), symbol] = True
    final = {str(name): int(np.flatnonzero(closes[name].notna())[-1]) for name in closes.columns}
    gone = set()
    for name, own in companies.groupby("symbol")["to"]:
        after = index[min(final.get(str(name), 0) + 1, len(index) - 1)]
        if own.notna().all() and own.max() <= after:
            gone.add(str(name))
    return WideSection(opens, closes, member, final, frozenset(gone))


def section_label(
    kind: str, section: WideSection, symbol: str, horizon: int, settings: LabelSettings
) -> tuple[pd.Series[Any], pd.Series[Any], pd.Series[Any]]:
    """Return outcome, class and whether it is known, of a company on all sessions of the section.

    Parameters
    ----------
    kind
        `market_relative` or `section_rank`.
    section
        Bars of all members.
    symbol
        The company.
    horizon
        Sessions that the label looks ahead.
    settings
        Threshold and the length of the volatility's window.

    Returns
    -------
    tuple of pandas.Series
        float64 outcome, int64 class (-1 within `NEAR` of a threshold or where not known), bool.
    """
    closes, entry = section.closes, section.opens.shift(-1)
    whole = closes.notna().rolling(horizon + 1).sum().shift(-horizon) == horizon + 1
    moved = (closes.shift(-horizon) / entry - 1).where(whole)
    waits = pd.Series(False, index=closes.index)
    for name in map(str, closes.columns):
        last = section.final[name]
        short = np.arange(len(closes)) + horizon > last
        if name in section.gone:
            inner = closes[name].iloc[: last + 1].notna()[::-1].cummin()[::-1]  # no gap from here to the last bar
            left = short[: last + 1] & inner.to_numpy() & (np.arange(last + 1) < last)
            at_the_end = closes[name].iloc[last] / entry[name].iloc[: last + 1] - 1
            moved.loc[moved.index[: last + 1][left], name] = at_the_end[left]
        else:
            waits |= section.member[name] & short
    inside = moved.where(section.member & closes.notna())
    own = (closes.shift(-horizon) / entry - 1).where(whole)[symbol]
    known = section.member[symbol] & own.notna() & ~waits & (inside.notna().sum(axis=1) >= LEAST)
    if kind == "section_rank":
        others = inside.drop(columns=symbol)
        below = others.lt(own - NEAR, axis=0).sum(axis=1) + 0.5 * (others.sub(own, axis=0).abs() <= NEAR).sum(axis=1)
        share = below / others.notna().sum(axis=1)
        sides = np.where(share > 2 / 3 + NEAR, BUY, np.where(share < 1 / 3 - NEAR, SELL, HOLD))
        near = ((share - 1 / 3).abs() < NEAR) | ((share - 2 / 3).abs() < NEAR)
        return own.where(known), pd.Series(np.where(known & ~near, sides, UNKNOWN), index=own.index), known
    over = own - inside.mean(axis=1)
    steps = pd.DataFrame(np.log(closes.to_numpy()), closes.index, closes.columns).diff()
    change = steps.where(section.member)
    group = change.mean(axis=1).where(change.notna().sum(axis=1) >= LEAST)
    apart = steps[symbol] - group
    first = int(np.flatnonzero(closes[symbol].notna())[0])
    deviation = apart.iloc[first:].rolling(settings.volatility_sessions, min_periods=LEAST_VOLATILITY_SESSIONS).std()
    width = settings.threshold_volatility * deviation.reindex(own.index) * np.sqrt(horizon)
    known &= width.notna()
    sides = np.where(over > width, BUY, np.where(over < -width, SELL, HOLD))
    near = (over.abs() - width).abs() < NEAR
    return over.where(known), pd.Series(np.where(known & ~near, sides, UNKNOWN), index=own.index), known


def section_columns(
    kind: str, section: WideSection, symbol: str, days: npt.NDArray[np.datetime64], settings: LabelSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return outcomes, classes and positions of the ends at some sessions of a company, each (sessions, horizons).

    Parameters
    ----------
    kind
        `market_relative` or `section_rank`.
    section
        Bars of all members.
    symbol
        The company.
    days
        (sessions,) its sessions, all of them.
    settings
        Threshold and the length of the volatility's window.

    Returns
    -------
    tuple of numpy.ndarray
        float64 outcomes, NaN where not known; int64 classes, -1 where not known or within `NEAR` of a threshold; int64
        positions of the ends, -1 where not known.
    """
    at = pd.DatetimeIndex(days)
    found: list[list[Any]] = [[], [], []]
    for horizon in HORIZONS:
        outcome, label, known = section_label(kind, section, symbol, horizon, settings)
        ends = np.where(known.loc[at], np.arange(len(days)) + horizon, -1)
        for column, values in zip(found, (outcome.loc[at], label.loc[at], ends), strict=True):
            column.append(np.asarray(values))
    outcomes, classes, positions = (np.stack(column, axis=1) for column in found)
    return outcomes, classes, positions
