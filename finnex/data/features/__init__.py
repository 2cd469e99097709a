"""Stage 1: every feature of one symbol on every session, from the tables, in its own unit.

`compute` is the whole of it: a `Context` (what may be looked at) goes in, named arrays come out. Each module owns
one family and knows nothing of images.
"""

from __future__ import annotations

import pandas as pd

from finnex.config import Config
from finnex.data.calendar import SessionCalendar, session_calendar
from finnex.data.features.calendar_events import calendar_events
from finnex.data.features.competitive import competitive
from finnex.data.features.context import Context, Features
from finnex.data.features.fundamental import fundamental
from finnex.data.features.macro import macro
from finnex.data.features.market import market
from finnex.data.features.options import options
from finnex.data.features.price_basis import scale_free
from finnex.data.features.regime import regime
from finnex.data.features.sentiment import sentiment
from finnex.data.features.technical import technical
from finnex.data.features.volatility import volatility
from finnex.data.point_in_time import macro_observations
from finnex.data.tables import Tables

__all__ = ["FAMILIES", "Context", "Features", "compute", "make_context", "symbol_bars", "symbol_calendar"]

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
    days = tables.prices.loc[tables.prices["symbol"] == symbol, "date"]
    return session_calendar(config.exchange, days.iloc[0].date(), days.iloc[-1].date())


def symbol_bars(tables: Tables, symbol: str, calendar: SessionCalendar) -> pd.DataFrame:
    """Return a symbol's bars on the sessions it traded, indexed by session position."""
    own = tables.prices[tables.prices["symbol"] == symbol]
    return _on_positions(own, calendar)[["open", "high", "low", "close", "volume"]]


def make_context(tables: Tables, config: Config, symbol: str) -> Context:
    """Return what the features of a symbol may look at: its sessions from the first bar to the last."""
    prices = tables.prices
    calendar = symbol_calendar(tables, config, symbol)
    symbols = sorted(set(prices["symbol"]))
    peers = config.peers or tuple(name for name in symbols if name not in config.sectors)
    closes = _wide(prices, "close", calendar)
    return Context(
        symbol=symbol,
        calendar=calendar,
        bars=relative_bars(symbol_bars(tables, symbol, calendar), calendar),
        closes=closes.apply(scale_free, days=calendar.days),
        volumes=_wide(prices, "volume", calendar).apply(scale_free, days=calendar.days),
        quotes=closes,
        observations=macro_observations(tables.macro, calendar, config.inputs.quote_delay_minutes),
        tables=tables,
        sectors=config.sectors,
        peers=tuple(name for name in sorted(peers) if name != symbol),
    )


def relative_bars(bars: pd.DataFrame, calendar: SessionCalendar) -> pd.DataFrame:
    """Return bars, indexed by session position, in units of their own: see `finnex.data.features.price_basis`."""
    days = calendar.days[bars.index.to_numpy()]
    prices = {name: scale_free(bars[name], days, bars["close"]) for name in ("open", "high", "low", "close")}
    return pd.DataFrame(prices | {"volume": scale_free(bars["volume"], days)})


def _on_positions(rows: pd.DataFrame, calendar: SessionCalendar) -> pd.DataFrame:
    position = calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    return rows.assign(position=position)[position >= 0].set_index("position")


def _wide(prices: pd.DataFrame, column: str, calendar: SessionCalendar) -> pd.DataFrame:
    placed = _on_positions(prices, calendar)
    table = placed.pivot(columns="symbol", values=column)
    return table.reindex(index=range(len(calendar)), columns=sorted(set(prices["symbol"])))


def compute(context: Context) -> Features:
    """Return all Stage 1 features of the context's symbol: name to float64 per session, NaN where not known."""
    found: Features = {}
    for family in FAMILIES.values():
        found |= family(context)
    return found
