"""Which sessions are rebuilt: some at random, some at the edges of silences, and one of each special kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.clock import CLOCKS
from finnex.data.calendar import SessionCalendar
from finnex.errors import InputError
from finnex.pipeline import Run, sessions_wanted

Positions = npt.NDArray[np.intp]


def sampled(
    days: npt.NDArray[np.datetime64],
    wanted: Positions,
    frames: Mapping[str, pd.DataFrame],
    symbol: str,
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    """Return the sessions to rebuild: `count` at random, and one more for every four of them at the edge of a gap.

    An edge is the last session before a table's next row after its longest silence: where a value carried backwards
    from the future shows.

    Parameters
    ----------
    days
        (sessions,) dates, ascending.
    wanted
        Positions in `days` of the sessions that may be chosen.
    frames
        Table name to its rows.
    symbol
        Whose rows count, in a table with a symbol column.
    count
        Number of random sessions.
    rng
        Source of the choice.

    Returns
    -------
    list of int
        Positions in `days`, ascending, each once.
    """
    chosen = set(rng.permutation(wanted)[:count].tolist())
    room = -(-count // 4)
    for table in ("fundamentals", "sentiment", "macro", "events", "competitive", "options", "enhanced", "prices"):
        if table not in frames or room == 0:
            continue
        frame = frames[table]
        own = frame[frame["symbol"] == symbol] if "symbol" in frame.columns else frame
        dated = np.unique(own[CLOCKS[table].dated].to_numpy().astype("datetime64[D]"))
        before = np.searchsorted(days, dated, side="left") - 1
        silent = np.diff(before, prepend=-1)
        silent[~np.isin(before, wanted)] = 0
        if len(silent) and silent.max() > 1 and int(before[silent.argmax()]) not in chosen:
            chosen.add(int(before[silent.argmax()]))
            room -= 1
    return sorted(chosen)


def special(
    calendar: SessionCalendar, wanted: Positions, splits: pd.DataFrame | None, symbol: str, rng: np.random.Generator
) -> dict[str, int]:
    """Return one session of each special kind, those that code treats in a way of its own.

    Last of a month and of a quarter, first of a month and of a year, expiry of monthly options (the third Friday, or
    the session before where that is a holiday), before a holiday, half day, before a split.

    Parameters
    ----------
    calendar
        Sessions and their decision times.
    wanted
        Positions of the sessions that may be chosen.
    splits
        Table of splits: symbol and date; None where there is none.
    symbol
        Whose splits count.
    rng
        Source of the choice.

    Returns
    -------
    dict
        Kind to position; a kind without a session among `wanted` is absent.
    """
    days = calendar.days
    months = days.astype("datetime64[M]")
    last = np.concatenate([months[1:] != months[:-1], [False]])
    quarter = last & (months.astype(np.int64) % 3 == 2)
    of_day = (calendar.decision_time - days.astype("datetime64[ns]")).astype("timedelta64[m]").astype(np.int64)
    half = of_day < np.median(of_day) - 90  # summer time moves the close by an hour, a half day by three
    first = np.concatenate([[False], months[1:] != months[:-1]])
    january = months.astype(np.int64) % 12 == 0
    gap_days = np.append(np.diff(days).astype(np.int64), 1)
    kinds = {
        "month end": last & ~quarter, "quarter end": quarter, "half day": half, "month start": first & ~january,
        "year start": first & january, "option expiry": _expiries(days),
        "before a holiday": (gap_days == 2) | (gap_days > 3),  # a weekend is a gap of three, on every exchange
    }  # fmt: skip
    if splits is not None:
        own = splits.loc[splits["symbol"] == symbol, "date"].to_numpy().astype("datetime64[D]")
        before = np.zeros(len(days), dtype=bool)
        at = np.searchsorted(days, own) - 1
        before[at[at >= 0]] = True
        kinds["split"] = before
    found = {}
    for name, where in kinds.items():
        among = wanted[where[wanted]]
        if len(among):
            found[name] = int(rng.choice(among))
    return found


def _expiries(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    """Whether monthly options expire at each session: the last one up to the third Friday of its month."""
    months = np.unique(days.astype("datetime64[M]"))
    fridays = np.busday_offset(months, 2, roll="forward", weekmask="Fri")
    at = np.searchsorted(days, fridays, side="right") - 1
    is_one = np.zeros(len(days), dtype=bool)
    is_one[at[(at >= 0) & (days[at] > fridays - 7) & (fridays <= days[-1])]] = True
    return is_one


def companies_to_audit(run: Run, symbols: Iterable[str] | None) -> tuple[str, ...]:
    """Return the companies to audit; raise where one is left out, is not configured or has no session to audit."""
    chosen = tuple(dict.fromkeys(symbols or run.config.symbols))
    if refused := [problem for one in run.bad if one.symbol in chosen for problem in one.problems]:
        raise InputError(refused)
    for symbol in chosen:
        sessions_wanted(run, symbol)
    return chosen
