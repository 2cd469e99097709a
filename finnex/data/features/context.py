"""What the features of one symbol may look at, on the sessions of one calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import pandas as pd

from finnex.data.calendar import SessionCalendar
from finnex.data.features.arithmetic import log_returns
from finnex.data.features.section import Section
from finnex.data.point_in_time import Floats
from finnex.data.tables import Tables
from finnex.data.universe import Mask

Features = dict[str, Floats]
"""Feature name to one float64 per session, in the feature's own unit, NaN where not known."""


NO_MASKS: Mapping[str, Mask] = MappingProxyType({})
T = TypeVar("T")


def masked(values: Mapping[str, pd.Series[float] | Floats], masks: Mapping[str, Mask], sessions: int) -> pd.DataFrame:
    """Return a column for each company, NaN at the sessions that its mask, where it has one, leaves out."""
    columns = {name: np.where(masks[name], one, np.nan) if name in masks else one for name, one in values.items()}
    return pd.DataFrame(columns, index=range(sessions))


@dataclass(frozen=True)
class Context:
    """One symbol's view of the tables.

    Attributes
    ----------
    section
        The run's tables on the symbol's calendar: its sessions from its first bar to its last.
    bars
        Sessions on which the symbol traded: open, high, low, close, volume, indexed by session position, each in a
        unit of its own (`price_basis`). TA-Lib sees these rows only: one missing close would make some of its
        recursions zero for ever.
    peers
        Symbols that are competitors of this one; sorted.
    """

    symbol: str
    section: Section
    bars: pd.DataFrame
    peers: tuple[str, ...]

    @property
    def tables(self) -> Tables:
        """The input tables."""
        return self.section.tables

    @property
    def calendar(self) -> SessionCalendar:
        """Sessions."""
        return self.section.calendar

    @property
    def sessions(self) -> int:
        """Number of sessions."""
        return self.section.sessions

    def on_sessions(self, traded: pd.Series[float] | Floats) -> Floats:
        """Spread values of the traded sessions over all sessions, NaN between."""
        spread = np.full(self.sessions, np.nan)
        spread[self.bars.index.to_numpy()] = np.asarray(traded, dtype="float64")
        return spread

    @cached_property
    def masks(self) -> Mapping[str, Mask]:
        """Sessions at which a peer is one to compare with, of the peers that are not always (`Section.compared`)."""
        found = {name: self.section.compared(self.symbol, name) for name in self.peers}
        return {name: mask for name, mask in found.items() if mask is not None}

    def of_group(self, work: Callable[..., T]) -> T:
        """Return what a function gives of the peers; computed once for all companies that always have the same."""
        if self.masks:
            return work(self.section, self.peers, self.masks)
        return self.section.of_some(work, self.peers)

    @cached_property
    def close(self) -> pd.Series[float]:
        """The symbol's own close on all sessions, in a unit of its own."""
        return pd.Series(self.on_sessions(self.bars["close"]))

    @cached_property
    def returns(self) -> pd.Series[float]:
        """Log returns, close to close, on all sessions."""
        return log_returns(self.close)
