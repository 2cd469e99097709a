"""Whether the inputs of a night have arrived: the prices of the last session that has closed."""

from __future__ import annotations

from datetime import date

import numpy as np

from finnex.config import Config
from finnex.data.calendar import LONGEST_CLOSURE, last_close, session_calendar
from finnex.data.tables import Tables


def expected_session(config: Config, now: np.datetime64) -> date:
    """Return the newest session that a build at `now` (UTC) should draw: the last close, or the last up to `end`."""
    closed = last_close(config.exchange, now)
    if config.end is None or config.end >= closed:
        return closed
    last: date = session_calendar(config.exchange, config.end - LONGEST_CLOSURE, config.end).days[-1].item()
    return last


def late_inputs(tables: Tables, config: Config, expected: date) -> str:
    """Say whose prices end before the expected session, and where every table ends; '' where none does."""
    ends = tables.prices.groupby("symbol", sort=True)["date"].max()
    late = {symbol: ends[symbol].date() for symbol in config.symbols if ends[symbol].date() < expected}
    if not late:
        return ""
    told = ", ".join(f"{symbol} {day}" for symbol, day in late.items())
    others = ", ".join(f"{name} {last}" for name, (_, last) in tables.limits().items() if name != "prices")
    return f"the session of {expected} has closed, and its prices have not arrived. They end: {told}." + (
        f" The other tables end: {others}." if others else ""
    )
