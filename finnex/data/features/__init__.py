"""Stage 1: every feature of one symbol on every session, from the tables, in its own unit.

`compute` is the whole of it: a `Context` (what may be looked at) goes in, named arrays come out. Each module owns
one family and knows nothing of images.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from finnex.config import Config
from finnex.data.calendar import SessionCalendar, session_calendar
from finnex.data.features.calendar_events import calendar_events
from finnex.data.features.competitive import competitive
from finnex.data.features.context import Context, Features
from finnex.data.features.cross_section import SECTION_FEATURES, cross_section
from finnex.data.features.fundamental import fundamental
from finnex.data.features.macro import macro
from finnex.data.features.market import market
from finnex.data.features.options import options
from finnex.data.features.price_basis import scale_free
from finnex.data.features.regime import regime
from finnex.data.features.section import Section, latest, on_positions
from finnex.data.features.sentiment import sentiment
from finnex.data.features.technical import technical
from finnex.data.features.volatility import volatility
from finnex.data.peers import peers_of
from finnex.data.point_in_time import macro_observations
from finnex.data.tables import Tables

__all__ = [
    "FAMILIES",
    "SECTION_FEATURES",
    "Context",
    "Features",
    "compute",
    "make_context",
    "make_section",
    "symbol_bars",
    "symbol_calendar",
]

MOST_SECTIONS = 4
"""Calendars of which a run keeps the section: some megabytes a hundred companies."""
FAMILIES = {
    "technical": technical,
    "volatility": volatility,
    "market": market,
    "regime": regime,
    "macro": macro,
    "calendar_events": calendar_events,
    "sentiment": sentiment,
    "fundamental": fundamental,
    "competitive": competitive,
    "options": options,
}
"""Family name to the function that computes it."""


def symbol_calendar(tables: Tables, config: Config, symbol: str) -> SessionCalendar:
    """Return a symbol's sessions, from its first bar to its last."""
    days = tables.of("prices", symbol)["date"]
    return session_calendar(config.exchange, days.iloc[0].date(), days.iloc[-1].date())


def symbol_bars(tables: Tables, symbol: str, calendar: SessionCalendar) -> pd.DataFrame:
    """Return a symbol's bars on the sessions it traded, indexed by session position."""
    return on_positions(tables.of("prices", symbol), calendar)[["open", "high", "low", "close", "volume"]]


def make_section(tables: Tables, config: Config, calendar: SessionCalendar) -> Section:
    """Return the tables of a run on one calendar.

    The sections of a run's tables are kept, those of its latest calendars: most companies of a panel share one.
    """
    kept: dict[Any, Section] = tables.memo.setdefault(make_section, {})
    delays = tuple(sorted(config.inputs.quote_delay_minutes.items()))
    key = calendar.days.tobytes(), calendar.decision_time.tobytes(), config.sectors, delays

    def made() -> Section:
        observations = macro_observations(tables.macro, calendar, config.inputs.quote_delay_minutes)
        return Section(tables, calendar, config.sectors, observations, frozenset(tables.prices["symbol"].unique()))

    return latest(kept, key, made, MOST_SECTIONS)


def make_context(tables: Tables, config: Config, symbol: str) -> Context:
    """Return what the features of a symbol may look at: its sessions from the first bar to the last."""
    section = make_section(tables, config, symbol_calendar(tables, config, symbol))
    return Context(
        symbol=symbol,
        section=section,
        bars=relative_bars(symbol_bars(tables, symbol, section.calendar), section.calendar),
        peers=peers_of(config, symbol, section.priced, tables.universe),
    )


def relative_bars(bars: pd.DataFrame, calendar: SessionCalendar) -> pd.DataFrame:
    """Return bars, indexed by session position, in units of their own: see `finnex.data.features.price_basis`."""
    days = calendar.days[bars.index.to_numpy()]
    prices = {name: scale_free(bars[name], days, bars["close"]) for name in ("open", "high", "low", "close")}
    return pd.DataFrame(prices | {"volume": scale_free(bars["volume"], days)})


def compute(context: Context, wanted: Collection[str] = ()) -> Features:
    """Return the Stage 1 features of the context's symbol: name to float64 per session, NaN where not known.

    Parameters
    ----------
    context
        What the features may look at.
    wanted
        Names of features; the ranks of `SECTION_FEATURES`, which need the bars of all members of the universe, are
        computed where one of them is among the names.

    Returns
    -------
    dict of str to numpy.ndarray
        All features of `FAMILIES`, wanted or not.
    """
    found: Features = {}
    for family in FAMILIES.values():
        found |= family(context)
    if not set(SECTION_FEATURES).isdisjoint(wanted):
        found |= cross_section(context)
    return found
