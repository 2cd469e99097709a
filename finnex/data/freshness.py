"""Whether the inputs of a night have arrived: what must be there for an image of the last session that has closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.config import Config
from finnex.data.calendar import LONGEST_CLOSURE, last_close, session_calendar
from finnex.data.table_file import is_young
from finnex.data.tables import Tables
from finnex.errors import InputError


def expected_session(config: Config, now: np.datetime64) -> date:
    """Return the newest session that a build at `now` (UTC) should draw: the last close, or the last up to `end`."""
    closed = last_close(config.exchange, now)
    if config.end is None or config.end >= closed:
        return closed
    last: date = session_calendar(config.exchange, config.end - LONGEST_CLOSURE, config.end).days[-1].item()
    return last


def late_inputs(tables: Tables, config: Config, expected: date) -> str:
    """Return a sentence on the late tables, and on where every other table ends; '' where none is late.

    A night waits for the bars of the configured symbols that are members of the universe then, and of peers, for these
    symbols' rows of the enhanced table, and for the market quotes of the macro table that `quote_delay_minutes` calls
    known by the close. It does not wait for other tables, and what ends more than fifteen days before the newest bar is
    not waited for: `ended` names it.
    """
    late = {name: found for name, found in _late(tables, config, expected) if found}
    if not late:
        return ""
    words = "; ".join(
        f"{name} of " + ", ".join(f"{one} {day}" for one, day in found.items()) for name, found in late.items()
    )
    others = ", ".join(f"{name} {last}" for name, (_, last) in tables.limits().items() if name not in late)
    return (
        f"the session of {expected} has closed, and its inputs have not all arrived. They end: {words}."
        + (f" The other tables end: {others}." if others else "")
        + (" If quotes always come so late, say so in [inputs] quote_delay_minutes." if "macro" in late else "")
    )


def _late(tables: Tables, config: Config, expected: date) -> Iterator[tuple[str, dict[str, date]]]:
    """Yield what is late of each table that is waited for: its name, and where it ends."""
    newest = tables.prices["date"].max().date()

    def before(found: dict[str, date], due: dict[str, date]) -> dict[str, date]:
        going_on = found.keys() - ended(found, newest).keys()
        return {name: found[name] for name, day in due.items() if name in going_on and found[name] < day}

    universe = tables.universe
    symbols = [
        name for name in config.symbols if universe is None or universe.is_member_within(name, expected, expected)
    ]
    traded = dict.fromkeys((*symbols, *config.peers), expected)
    yield "prices", before(ends(tables.prices, "symbol"), traded)
    if tables.enhanced is not None and config.inputs.prices:
        yield "enhanced", before(ends(tables.enhanced, "symbol"), dict.fromkeys(symbols, expected))
    if tables.macro is not None:
        delays = config.inputs.quote_delay_minutes
        quotes = tables.macro[tables.macro["series"].isin(list(delays))]
        calendar = session_calendar(config.exchange, expected - LONGEST_CLOSURE, expected)
        due = {}
        for series, minutes in delays.items():
            known = calendar.decision_time + np.timedelta64(minutes, "m") <= calendar.decision_time[-1]
            if known.any():
                due[series] = calendar.days[known][-1].item()
        yield "macro", before(ends(quotes, "series"), due)


def ends(table: pd.DataFrame, key: str) -> dict[str, date]:
    """Return the last day of every symbol or series of a table."""
    return {str(name): day.date() for name, day in table.groupby(key, sort=True)["date"].max().items()}


def ended(found: dict[str, date], newest: date) -> dict[str, date]:
    """Return those that end long before the newest bar: companies that are no longer traded, series of the past."""
    return {name: day for name, day in found.items() if newest - day > LONGEST_CLOSURE}


def still_written(error: InputError) -> bool:
    """Whether a file with a problem changed lately: it may not be whole yet."""
    return any(is_young(Path(problem.file)) for problem in error.problems)
