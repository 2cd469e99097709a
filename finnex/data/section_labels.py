"""Labels across the section: a company's return against those of all members of the universe at the same session.

Entry and exit are those of `price_movement`: the open of t + 1 and the close of t + h. A section of session t is known
when the bars of every member reach the exit, or it has left for good: bars that come late change no label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import HORIZONS, LabelSettings
from finnex.config.images import ACROSS_THE_SECTION, LEAST_VOLATILITY_SESSIONS
from finnex.data.calendar import Days, SessionCalendar, session_calendar
from finnex.data.features.arithmetic import TIE_DIGITS
from finnex.data.labels import BUY, HOLD, SELL, UNKNOWN, Labels
from finnex.data.point_in_time import Floats
from finnex.data.tables import Tables
from finnex.data.universe import Mask, Universe

LEAST_MEMBERS = 3
"""Members with an outcome below which a section has no label: terciles of fewer are empty."""
LOW, HIGH = 1 / 3, 2 / 3
"""Ranks in the section below which a label is sell, and above which it is buy: terciles."""


@dataclass(frozen=True, eq=False)
class SectionReturns:
    """Outcomes across the members of a universe, on the sessions from the first bar of any to the last.

    Attributes
    ----------
    days
        (sessions,) `datetime64[D]`.
    symbols
        Members that have bars, sorted.
    mean
        (horizons, sessions) float64: mean simple return from entry to exit of the companies that are members at the
        session, have a bar then, and none missing before their exit.
    thirds
        (horizons, sessions, members) int8: 0, 1, 2 for the third of the section that a company's return lies in.
    known
        (horizons, sessions) bool: whether the bars of every member reach the exit, or it has left for good.
    daily
        (sessions,) float64: mean over the members of the log return of the session, close to close.
    """

    days: Days
    symbols: tuple[str, ...]
    mean: Floats
    thirds: npt.NDArray[np.int8]
    known: npt.NDArray[np.bool_]
    daily: Floats


def section_returns(tables: Tables, exchange: str) -> SectionReturns:
    """Return the outcomes across all members; they are computed once for the tables.

    Raises
    ------
    ValueError
        The tables have no table of companies.
    """
    kept: dict[str, SectionReturns] = tables.memo.setdefault(section_returns, {})
    if exchange not in kept:
        universe = tables.universe
        if universe is None:
            raise ValueError("a section needs a table of companies")
        kept[exchange] = _returns(tables, universe, exchange)
    return kept[exchange]


def _returns(tables: Tables, universe: Universe, exchange: str) -> SectionReturns:
    rows = tables.rows("prices")
    symbols = tuple(name for name in universe.symbols if name in rows)
    prices = tables.of_some("prices", symbols)
    calendar = session_calendar(exchange, prices["date"].min().date(), prices["date"].max().date())
    sessions, horizons = len(calendar), len(HORIZONS)
    mean, known = np.full((horizons, sessions), np.nan), np.zeros((horizons, sessions), dtype=bool)
    thirds = np.full((horizons, sessions, len(symbols)), HOLD, dtype=np.int8)
    each = [_Member.of(tables, universe, symbol, calendar) for symbol in symbols]
    for number, horizon in enumerate(HORIZONS):
        outcomes, waits = np.full((sessions, len(symbols)), np.nan), np.zeros(sessions, dtype=bool)
        for column, one in enumerate(each):
            found, late = _outcomes(one.opens, one.closes, horizon, one.last, left=one.left)
            outcomes[:, column] = np.where(one.member & ~np.isnan(one.closes), found, np.nan)
            waits |= one.member & late
        mean[number], count = _mean(outcomes.T)
        known[number] = ~waits & (count >= LEAST_MEMBERS)
        rank = pd.DataFrame(np.round(outcomes, TIE_DIGITS)).rank(axis=1).to_numpy()  # ties have their mean
        below = np.divide(rank - 1, count[:, None] - 1, out=np.full(rank.shape, 0.5), where=count[:, None] > 1)
        thirds[number] = np.where(below > HIGH, BUY, np.where(below < LOW, SELL, HOLD))
    changes = (np.where(one.member, np.diff(np.log(one.closes), prepend=np.nan), np.nan) for one in each)
    daily, count = _mean(changes)
    return SectionReturns(calendar.days, symbols, mean, thirds, known, np.where(count >= LEAST_MEMBERS, daily, np.nan))


def _mean(columns: Iterable[Floats]) -> tuple[Floats, Floats]:
    """Return mean and number of the known values of each session.

    Columns are added one after another: a company that is added changes no bit of a session at which it is no member.
    """
    total, count = np.zeros(1), np.zeros(1)
    for column in columns:
        counted = ~np.isnan(column)
        total, count = total + np.where(counted, column, 0.0), count + counted
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0), count


@dataclass(frozen=True, eq=False)
class _Member:
    """Bars of a company on the section's sessions, and when it is a member, with a bar or without."""

    opens: Floats
    closes: Floats
    member: Mask
    last: int
    """Position of its last bar."""
    left: bool
    """Whether its membership ended by the session after its last bar: no later bar is waited for."""

    @classmethod
    def of(cls, tables: Tables, universe: Universe, symbol: str, calendar: SessionCalendar) -> _Member:
        opens, closes = _bars(tables.of("prices", symbol), calendar)
        last = int(np.flatnonzero(~np.isnan(closes)).max())
        after = calendar.days[min(last + 1, len(calendar) - 1)]
        return cls(opens, closes, universe.members(symbol, calendar.days), last, universe.has_ended(symbol, after))


def _bars(rows: pd.DataFrame, calendar: SessionCalendar) -> tuple[Floats, Floats]:
    position = calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    found = []
    for name in ("open", "close"):
        values = np.full(len(calendar), np.nan)
        values[position[position >= 0]] = rows[name].to_numpy(dtype="float64")[position >= 0]
        found.append(values)
    return found[0], found[1]


def _outcomes(
    opens: Floats, closes: Floats, horizon: int, last: int, *, left: bool
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the simple return of every session, and at which sessions it waits for bars to come.

    A company that has left for good and whose bars end before the exit leaves at its last close: without it a section
    would be one of survivors.
    """
    sessions = len(closes)
    here = np.arange(sessions)
    leave = np.minimum(here + horizon, last) if left else here + horizon
    gaps = np.concatenate([[0], np.cumsum(np.isnan(closes))])
    inside = (leave < sessions) & (leave > here)
    exit_at = np.where(inside, leave, 0)
    whole = inside & (gaps[exit_at + 1] == gaps[here])
    entry = np.append(opens[1:], np.nan)
    found = np.where(whole, closes[exit_at] / entry - 1, np.nan)
    return found, (leave > last) & (not left)


def section_labels(
    tables: Tables, exchange: str, symbol: str, bars: pd.DataFrame, days: Days, settings: LabelSettings
) -> dict[str, Labels]:
    """Return a company's labels relative to the section, by kind.

    Parameters
    ----------
    tables
        Prices of all members, and the table of companies.
    exchange
        Whose sessions these are.
    symbol
        The company.
    bars
        Its traded sessions (open, close), indexed by session position.
    days
        (sessions,) its sessions.
    settings
        Thresholds and the length of the volatility's window.

    Returns
    -------
    dict of str to Labels
        `market_relative`: outcome is the return less the mean of the section's; buy and sell lie beyond
        `threshold_volatility` times the trailing standard deviation of the company's daily log return less the
        section's, times the square root of the horizon. `section_rank`: outcome is the return; sell is the lowest
        third of the section, buy the highest, by the share of the other members below, ties half. Both (sessions,
        horizons); -1, NaN and NaT where the company is no member or the section is not known.
    """
    section = section_returns(tables, exchange)
    at, column = np.searchsorted(section.days, days), section.symbols.index(symbol)
    opens, closes = (np.full(len(days), np.nan) for _ in range(2))
    opens[bars.index], closes[bars.index] = bars["open"].to_numpy(), bars["close"].to_numpy()
    universe = tables.universe
    member = ~np.isnan(closes) & (universe is not None and universe.members(symbol, days))
    apart = pd.Series(np.diff(np.log(closes), prepend=np.nan) - section.daily[at])
    deviation = apart.rolling(settings.volatility_sessions, min_periods=LEAST_VOLATILITY_SESSIONS).std().to_numpy()
    found: dict[str, list[tuple[npt.NDArray[np.int8], Floats, npt.NDArray[np.intp]]]]
    found = {kind: [] for kind in ACROSS_THE_SECTION}
    for number, horizon in enumerate(HORIZONS):
        own, _ = _outcomes(opens, closes, horizon, len(days) - 1, left=False)
        known = member & section.known[number, at] & ~np.isnan(own)
        end = np.where(known, np.arange(len(days)) + horizon, UNKNOWN)
        over, width = (
            own - section.mean[number, at],
            settings.threshold_volatility * deviation * np.sqrt(float(horizon)),
        )
        measured = known & ~np.isnan(width)
        sides = np.where(over > width, BUY, np.where(over < -width, SELL, HOLD))
        found["market_relative"].append(
            (_class(sides, measured), np.where(measured, over, np.nan), np.where(measured, end, UNKNOWN))
        )
        thirds = section.thirds[number, at, column]
        found["section_rank"].append((_class(thirds, known), np.where(known, own, np.nan), end))
    labels = {}
    for kind, parts in found.items():
        ends = np.stack([part[2] for part in parts], axis=1)
        labels[kind] = Labels(
            label=np.stack([part[0] for part in parts], axis=1),
            outcome=np.stack([part[1] for part in parts], axis=1).astype(np.float32),
            end=np.where(ends >= 0, days[np.maximum(ends, 0)], np.datetime64("NaT")),
        )
    return labels


def _class(sides: npt.NDArray[np.integer], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    return np.where(known, sides, UNKNOWN).astype(np.int8)
