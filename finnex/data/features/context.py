"""What the features of one symbol may look at, on the sessions of one calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from finnex.data.calendar import SessionCalendar
from finnex.data.point_in_time import Floats, Observations, as_of
from finnex.data.tables import Tables

Features = dict[str, Floats]
"""Feature name to one float64 per session, in the feature's own unit, NaN where not known."""

YEAR = 252  # sessions
QUARTER = 63


@dataclass(frozen=True)
class Context:
    """One symbol's view of the tables.

    Attributes
    ----------
    calendar
        Sessions from the symbol's first bar to its last.
    bars
        Sessions on which the symbol traded: open, high, low, close, volume, indexed by session position, each in a
        unit of its own (`price_basis`). TA-Lib sees these rows only: one missing close would make some of its
        recursions zero for ever.
    closes, volumes
        sessions x symbols of the whole prices table, each symbol in a unit of its own, NaN where it has no bar.
    quotes
        Closes in currency.
    observations
        Macro series, by name.
    sectors, peers
        Symbols that are reference funds, and those that are competitors of this one; sorted.
    """

    symbol: str
    calendar: SessionCalendar
    bars: pd.DataFrame
    closes: pd.DataFrame
    volumes: pd.DataFrame
    quotes: pd.DataFrame
    observations: Mapping[str, Observations]
    tables: Tables
    sectors: tuple[str, ...]
    peers: tuple[str, ...]

    @property
    def sessions(self) -> int:
        """Number of sessions."""
        return len(self.calendar)

    def on_sessions(self, traded: pd.Series[float] | Floats) -> Floats:
        """Spread values of the traded sessions over all sessions, NaN between."""
        spread = np.full(self.sessions, np.nan)
        spread[self.bars.index.to_numpy()] = np.asarray(traded, dtype="float64")
        return spread

    def series(self, name: str, max_age: int | None = None) -> pd.Series[float]:
        """Return a macro series as known at each session; all NaN where the inputs do not have it."""
        rows = self.observations.get(name)
        if rows is None:
            return pd.Series(np.full(self.sessions, np.nan))
        return pd.Series(as_of(rows.known, rows.value, self.sessions, max_age))

    def market_close(self, name: str) -> pd.Series[float]:
        """Return daily closes of a reference instrument: from the prices table, else from a macro quote."""
        if name in self.closes.columns:
            return self.closes[name]
        return self.series(name, max_age=5)

    @cached_property
    def close(self) -> pd.Series[float]:
        """The symbol's own close on all sessions, in a unit of its own."""
        return pd.Series(self.on_sessions(self.bars["close"]))

    @cached_property
    def returns(self) -> pd.Series[float]:
        """Log returns, close to close, on all sessions."""
        return log_returns(self.close)

    @cached_property
    def sector_returns(self) -> pd.DataFrame:
        """Log returns of every sector fund the inputs have, in the order of the configuration."""
        return pd.DataFrame(
            {name: log_returns(self.market_close(name)) for name in self.sectors}, index=range(self.sessions)
        )

    @cached_property
    def market_returns(self) -> pd.Series[float]:
        """The market: the equal-weighted mean log return of the sector funds, so that every input can have one."""
        return pd.Series(row_mean(self.sector_returns))

    @cached_property
    def peer_returns(self) -> pd.DataFrame:
        """Log returns of the competitors."""
        return pd.DataFrame({name: log_returns(self.closes[name]) for name in self.peers}, index=range(self.sessions))


def log_returns(close: pd.Series[float], sessions: int = 1) -> pd.Series[float]:
    """Return log(close / close `sessions` before)."""
    logarithm = log(close)
    return logarithm - logarithm.shift(sessions)


def log(values: pd.Series[float]) -> pd.Series[float]:
    """Return the natural logarithm; NaN stays NaN."""
    return pd.Series(np.log(values.to_numpy(dtype="float64")), index=values.index)


def over(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom where bottom is above zero, NaN elsewhere."""
    result: Floats = np.divide(top, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)
    return result


def row_mean(frame: pd.DataFrame) -> Floats:
    """Return the mean of the known values of each row, NaN where none is known.

    Columns are added one after another: a symbol that enters or leaves the inputs then changes no bit of the
    rows it has no value in, as a pairwise sum would.
    """
    total, count = np.zeros(len(frame)), np.zeros(len(frame))
    for name in frame.columns:
        column = frame[name].to_numpy(dtype="float64")
        known = ~np.isnan(column)
        total += np.where(known, column, 0.0)
        count += known
    return over(total, count)


def row_std(frame: pd.DataFrame) -> Floats:
    """Return the standard deviation across the known values of each row; NaN below two."""
    mean = row_mean(frame)
    squared = pd.DataFrame(
        {name: (frame[name].to_numpy(dtype="float64") - mean) ** 2 for name in frame.columns}, index=range(len(frame))
    )
    variance = row_mean(squared)
    count = frame.notna().sum(axis=1).to_numpy() if frame.shape[1] else np.zeros(len(frame))
    return np.where(count >= 2, np.sqrt(variance), np.nan)


def row_rank(frame: pd.DataFrame, own: pd.Series[float]) -> Floats:
    """Return the share of the known columns below `own` in each row, ties half; in [0, 1]."""
    below, count = np.zeros(len(frame)), np.zeros(len(frame))
    mine = own.to_numpy(dtype="float64")
    for name in frame.columns:
        column = frame[name].to_numpy(dtype="float64")
        known = ~np.isnan(column) & ~np.isnan(mine)
        below += np.where(known, (column < mine) + 0.5 * (column == mine), 0.0)
        count += known
    return over(below, count)


def trailing_z(values: pd.Series[float], window: int = YEAR, least: int = QUARTER) -> pd.Series[float]:
    """Return (value - trailing mean) / trailing standard deviation; NaN before `least` values or without spread."""
    rolling = values.rolling(window, min_periods=least)
    spread = rolling.std()
    return (values - rolling.mean()) / spread.where(spread > 1e-12)


def trailing_rank(values: pd.Series[float], window: int = YEAR, least: int = QUARTER) -> pd.Series[float]:
    """Return the percentile of the value among the trailing `window`, in (0, 1]."""
    return values.rolling(window, min_periods=least).rank(pct=True)
