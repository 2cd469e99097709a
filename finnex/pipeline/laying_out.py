"""Calendars of companies are laid out ahead of their turn, many at a time: the root then changes once for all.

A company whose calendar cannot be laid out is left to its own turn, which says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import date

from finnex.config import Config
from finnex.data.calendar import Days, SessionCalendar, planned_sessions
from finnex.data.features import symbol_calendar
from finnex.errors import ConfigError, InputError
from finnex.pipeline.run_inputs import Run, sessions_wanted
from finnex.store import StoreWriter

LAID_OUT_TOGETHER = 256
"""Companies. A crash undoes no more than these, and none of them is drawn before all are laid out, a minute; one entry
of the journal, 17 KB a company that grows, stays at 4 MB."""


def axis_of(config: Config, calendar: SessionCalendar) -> Days:
    """Return the sessions that are laid out for a company: from the year of its first bar to the end of next year.

    Parameters
    ----------
    config
        Of the run.
    calendar
        From the company's first bar to its last.

    Returns
    -------
    Days
        Whole years, as far as the exchange has planned them.
    """
    first, last = (calendar.days[row].astype("datetime64[Y]") for row in (0, -1))
    # The last day asked for is 1 January two years on: never a session, so whole years are laid out.
    return planned_sessions(
        config.exchange, first.astype("datetime64[D]").item(), (last + 2).astype("datetime64[D]").item()
    ).days


def lay_out_ahead(
    run: Run, store: StoreWriter, symbols: Iterable[str], start: date | None = None, end: date | None = None
) -> None:
    """Lay out and extend the calendars of companies that are drawn next.

    Parameters
    ----------
    run
        Inputs and layout.
    store
        Store to write to.
    symbols
        Companies, at most `LAID_OUT_TOGETHER`; those that lack nothing cost a look at the root record.
    start, end
        Range that is drawn: a company without a session in it is not laid out.
    """
    axes = {}
    for symbol in symbols:
        with suppress(ConfigError, InputError):
            sessions_wanted(run, symbol, start, end)
            axes[symbol] = axis_of(run.config, symbol_calendar(run.tables, run.config, symbol))
    store.ensure_symbols(axes, run.template)
