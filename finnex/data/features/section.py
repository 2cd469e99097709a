"""The cross-section of a run on one calendar: what features of several companies are computed from, each part once.

A company's features look at its own rows, its peers', the reference funds' and the macro series; nothing here depends
on which company asks, so that a run over many companies computes each part once and not once for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import SessionCalendar
from finnex.data.features.arithmetic import log_returns, row_mean
from finnex.data.features.price_basis import scale_free
from finnex.data.point_in_time import Observations, as_of
from finnex.data.tables import Tables
from finnex.data.universe import NO_INDUSTRY, Mask

K = TypeVar("K")
T = TypeVar("T")
GROUPS = 64
"""Groups of symbols, by function, of which a section keeps what was computed."""


@dataclass(frozen=True, eq=False)
class Section:
    """Tables of a run on the sessions of one calendar.

    Attributes
    ----------
    tables
        The input tables.
    calendar
        Sessions.
    sectors
        Symbols of the reference funds, in the order of the configuration.
    observations
        Macro series, by name.
    priced
        Symbols that have bars.
    """

    tables: Tables
    calendar: SessionCalendar
    sectors: tuple[str, ...]
    observations: Mapping[str, Observations]
    priced: frozenset[str]
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _groups: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def sessions(self) -> int:
        """Number of sessions."""
        return len(self.calendar)

    def once(self, work: Callable[[Section], T]) -> T:
        """Return what a function gives of this section; it is called the first time only."""
        return self._kept(work, lambda: work(self))

    def of_each(self, work: Callable[[Section, str], T], symbol: str) -> T:
        """Return what a function gives of a symbol of this section; it is called once for each symbol."""
        return self._kept((work, symbol), lambda: work(self, symbol))

    def of_some(self, work: Callable[[Section, tuple[str, ...]], T], symbols: tuple[str, ...]) -> T:
        """Return what a function gives of several symbols together; kept for the last few groups that were asked for.

        Companies of an industry, and all that are no peer of others, ask for the same group.
        """
        return cast(T, latest(self._groups, (work, symbols), lambda: work(self, symbols), GROUPS))

    def _kept(self, key: Any, work: Callable[[], T]) -> T:
        if key not in self._known:
            found = work()
            for values in found.values() if isinstance(found, dict) else ():
                if isinstance(values, np.ndarray):
                    values.setflags(write=False)  # one company must not change what another one gets
            self._known[key] = found
        return cast(T, self._known[key])

    def quotes(self, symbol: str) -> pd.Series[float]:
        """Return closes in currency on all sessions, NaN without a bar."""
        return self.of_each(_quotes, symbol)

    def closes(self, symbol: str) -> pd.Series[float]:
        """Return closes on all sessions in a unit of their own (`price_basis`), NaN without a bar."""
        return self.of_each(_closes, symbol)

    def volumes(self, symbol: str) -> pd.Series[float]:
        """Return volumes on all sessions in a unit of their own (`price_basis`), NaN without a bar."""
        return self.of_each(_volumes, symbol)

    def shares_traded(self, symbol: str) -> pd.Series[float]:
        """Return volumes as the table has them, on all sessions, NaN without a bar."""
        return self.of_each(_shares_traded, symbol)

    def returns(self, symbol: str) -> pd.Series[float]:
        """Return log returns, close to close, on all sessions."""
        return self.of_each(_returns, symbol)

    def membership(self, symbol: str) -> tuple[Mask, npt.NDArray[np.int64]] | None:
        """Return at which sessions a company is a member, and its industry then; None where the universe lacks it."""
        universe = self.tables.universe
        if universe is None or symbol not in universe:
            return None
        return self.of_each(_membership, symbol)

    def compared(self, symbol: str, other: str) -> Mask | None:
        """Return at which sessions another company is one to compare a company with; None where it always is.

        It is a member then, and of the company's industry then, where the table of companies has industries and the
        two share one at any time.
        """
        universe = self.tables.universe
        own, theirs = self.membership(symbol), self.membership(other)
        if universe is None or theirs is None:
            return None
        member, industry = theirs
        if own is None or other not in universe.peers(symbol):
            return member
        both: Mask = member & (industry == own[1]) & (industry != NO_INDUSTRY)
        return both

    def series(self, name: str, max_age: int | None = None) -> pd.Series[float]:
        """Return a macro series as known at each session; all NaN where the inputs do not have it."""
        rows = self.observations.get(name)
        if rows is None:
            return pd.Series(np.full(self.sessions, np.nan))
        return pd.Series(as_of(rows.known, rows.value, self.sessions, max_age))

    def market_close(self, name: str) -> pd.Series[float]:
        """Return daily closes of a reference instrument: from the prices table, else from a macro quote."""
        return self.closes(name) if name in self.priced else self.series(name, max_age=5)

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


def latest(kept: dict[K, T], key: K, work: Callable[[], T], most: int) -> T:
    """Return what is kept under a key, else what a function gives, which is kept from then on.

    Companies are computed on two threads of a worker: the other one may remove a key at any moment.

    Parameters
    ----------
    kept
        What is kept, the oldest first.
    key
        What is asked for.
    work
        Gives it.
    most
        How many are kept: the oldest go.

    Returns
    -------
    T
        What the function gave, in this call or an earlier one.
    """
    found = kept.get(key)
    if found is None:
        found = kept.setdefault(key, work())
        for oldest in list(kept)[:-most]:
            kept.pop(oldest, None)
    return found


def on_positions(rows: pd.DataFrame, calendar: SessionCalendar) -> pd.DataFrame:
    """Return the rows that are of a session, indexed by its position."""
    position = calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    return rows.assign(position=position)[position >= 0].set_index("position")


def _spread(section: Section, symbol: str, column: str) -> pd.Series[float]:
    rows = section.tables.of("prices", symbol)
    position = section.calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    values = np.full(section.sessions, np.nan)
    values[position[position >= 0]] = rows[column].to_numpy(dtype="float64")[position >= 0]
    return pd.Series(values)


def _membership(section: Section, symbol: str) -> tuple[Mask, npt.NDArray[np.int64]]:
    universe = section.tables.universe
    assert universe is not None
    return universe.industries(symbol, section.calendar.days)


def _quotes(section: Section, symbol: str) -> pd.Series[float]:
    return _spread(section, symbol, "close")


def _closes(section: Section, symbol: str) -> pd.Series[float]:
    return scale_free(section.quotes(symbol), section.calendar.days)


def _volumes(section: Section, symbol: str) -> pd.Series[float]:
    return scale_free(section.shares_traded(symbol), section.calendar.days)


def _shares_traded(section: Section, symbol: str) -> pd.Series[float]:
    return _spread(section, symbol, "volume")


def _returns(section: Section, symbol: str) -> pd.Series[float]:
    return log_returns(section.closes(symbol))
