"""What the build of a run makes again of a company: what a repair may empty, as it comes back."""

from __future__ import annotations

from datetime import date

import numpy as np

from finnex.data.calendar import Days
from finnex.data.features import symbol_bars, symbol_calendar
from finnex.data.label_kinds import membership
from finnex.errors import ConfigError
from finnex.pipeline.run_inputs import Run, sessions_wanted
from finnex.store import Reach


def reach_of(run: Run, symbol: str, *, start: date | None = None, end: date | None = None) -> Reach:
    """Return the sessions of a company that a build makes again; none where the run has no session of it.

    Parameters
    ----------
    run
        Inputs and layout.
    symbol
        Symbol of the run.
    start, end
        Range of the build; absent, as `sessions_wanted` says.

    Returns
    -------
    Reach
        Dates of the images, features and outcomes that are made again.
    """
    try:
        wanted = sessions_wanted(run, symbol, start, end)
    except ConfigError:
        return Reach()
    days = symbol_calendar(run.tables, run.config, symbol).days
    asked = days[wanted]
    return Reach(
        images=asked[np.isin(asked, traded_days(run, symbol))], features=days[: int(wanted[-1]) + 1], outcomes=days
    )


def traded_days(run: Run, symbol: str) -> Days:
    """Return the sessions on which a symbol has a bar and is a member of the universe."""
    calendar = symbol_calendar(run.tables, run.config, symbol)
    found: Days = calendar.days[symbol_bars(run.tables, symbol, calendar).index.to_numpy(dtype=np.intp)]
    return found[membership(run.tables, symbol, found)]
