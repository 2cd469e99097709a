"""Code that looks ahead, in the place of `finnex.data.panel.make_panel`: one function a leak.

Each is a function of a module with plain parameters (`functools.partial`), so that another process can be given it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

import finnex.data.features
from finnex.config import Config
from finnex.data.calendar import SessionCalendar
from finnex.data.features import symbol_bars, symbol_calendar
from finnex.data.normalize import FeatureSpec, normalize
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables
from finnex.exam.plant import patched

Specs = Sequence[FeatureSpec]
CAPPED = 250.0


def feature_of(panel: Panel, name: str) -> pd.Series[float]:
    """Return a feature's values by session."""
    return pd.Series(panel.original[:, panel.features.index(name)].copy())


def with_feature(panel: Panel, specs: Specs, name: str, values: pd.Series[float]) -> Panel:
    """Return a panel with other values of a feature, normalised by the shipped normaliser.

    Parameters
    ----------
    panel
        Panel to change; it stays as it is.
    specs
        Normaliser of each feature, in the order of the panel's columns.
    name
        Feature to change.
    values
        (sessions,) original values; NaN where not known.

    Returns
    -------
    Panel
        A copy in which only that column differs.
    """
    at = panel.features.index(name)
    one = normalize(values.to_numpy(dtype="float64"), specs[at])
    arrays = {"original": one.original, "normalized": one.brightness, "location": one.location, "scale": one.scale}
    changed = {array: getattr(panel, array).copy() for array in arrays}
    for array, column in arrays.items():
        changed[array][:, at] = column
    return replace(panel, **changed)


def shifted(
    tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str, lag: int = 1, when: str = "always"
) -> Panel:
    """Give a feature of `lag` sessions ahead: on all sessions, or only on some (`SESSIONS_WHEN`).

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature that looks ahead.
    lag
        Sessions ahead.
    when
        A key of `SESSIONS_WHEN`.

    Returns
    -------
    Panel
        The panel that leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    values = feature_of(panel, feature)
    here = SESSIONS_WHEN[when](panel)
    return with_feature(panel, specs, feature, values.where(~here, values.shift(-lag)))


def _always(panel: Panel) -> npt.NDArray[np.bool_]:
    return np.ones(len(panel.calendar), dtype=bool)


def _month_ends(panel: Panel) -> npt.NDArray[np.bool_]:
    days = panel.calendar.days
    following = np.busday_offset(days, 1, roll="forward")
    return np.asarray(following.astype("datetime64[M]") != days.astype("datetime64[M]"))


def _half_days(panel: Panel) -> npt.NDArray[np.bool_]:
    local = pd.DatetimeIndex(panel.calendar.decision_time).tz_localize("UTC").tz_convert("America/New_York")
    return np.asarray(local.hour < 14)


def _mondays(panel: Panel) -> npt.NDArray[np.bool_]:
    return np.asarray(pd.DatetimeIndex(panel.calendar.days.astype("datetime64[ns]")).day_of_week == 0)


def _third_fridays(panel: Panel) -> npt.NDArray[np.bool_]:
    days = panel.calendar.days
    return np.isin(days, np.busday_offset(days.astype("datetime64[M]"), 2, roll="forward", weekmask="Fri"))


def _first_of_a_year(panel: Panel) -> npt.NDArray[np.bool_]:
    years = panel.calendar.days.astype("datetime64[Y]")
    return np.concatenate([[False], years[1:] != years[:-1]])


SESSIONS_WHEN: dict[str, Callable[[Panel], npt.NDArray[np.bool_]]] = {
    "always": _always,
    "month ends": _month_ends,
    "half days": _half_days,
    "mondays": _mondays,
    "third fridays": _third_fridays,
    "first of a year": _first_of_a_year,
}
"""Word to the sessions on which a feature looks ahead; none depends on where the tables end."""


def centred(tables: Tables, config: Config, symbol: str, specs: Specs, *, span: int = 21) -> Panel:
    """Compare the close with a mean of closes around it.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    span
        Sessions of the mean, half of them ahead.

    Returns
    -------
    Panel
        The panel; `close_to_sma_20` leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    bars = symbol_bars(tables, symbol, panel.calendar)
    close = np.log(bars["close"].reindex(range(len(panel.calendar))))
    return with_feature(panel, specs, "close_to_sma_20", close - close.rolling(span, center=True).mean())


def carried_backwards(tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str) -> Panel:
    """Fill a figure backwards from the filing that brings it.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature that is filled.

    Returns
    -------
    Panel
        The panel that leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    values = feature_of(panel, feature)
    return with_feature(panel, specs, feature, values.where(values != values.shift(1)).bfill())


def late_closes(
    tables: Tables, config: Config, symbol: str, specs: Specs, *, minutes: int, summer: bool = False
) -> Panel:
    """Decide with a calendar that closes late: all year, or in summer as one without daylight saving time.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    minutes
        Minutes that the close is late.
    summer
        Whether it is late in summer only.

    Returns
    -------
    Panel
        The panel that leaks.
    """

    def late(tables: Tables, config: Config, symbol: str) -> SessionCalendar:
        right = symbol_calendar(tables, config, symbol)
        hours = pd.DatetimeIndex(right.decision_time)
        added = np.full(len(right), np.timedelta64(minutes, "m"))
        if summer:
            offset = hours.tz_localize("UTC").tz_convert("America/New_York").tz_localize(None) - hours
            added = np.where(offset == pd.Timedelta(hours=-4), added, np.timedelta64(0, "m"))
        return SessionCalendar(right.exchange, right.days, right.decision_time + added)

    with patched(finnex.data.features, "symbol_calendar", late):
        return make_panel(tables, config, symbol, specs)


def next_split(tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str) -> Panel:
    """Give the number of sessions to the symbol's next split, from the table of splits.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature in whose place the number is given.

    Returns
    -------
    Panel
        The panel that leaks; the number is 250 at most.
    """
    panel = make_panel(tables, config, symbol, specs)
    days = panel.calendar.days
    splits = tables.splits
    known = np.array([], dtype="datetime64[D]")
    if splits is not None:
        known = np.sort(splits.loc[splits["symbol"] == symbol, "date"].to_numpy().astype("datetime64[D]"))
    following = np.searchsorted(known, days, side="right")
    after = np.append(known, np.datetime64("2200-01-01"))[following]
    left = np.minimum(np.busday_count(days, after).astype("float64"), CAPPED)
    return with_feature(panel, specs, feature, pd.Series(left))


def hard_coded_crises(
    tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str, crises: tuple[tuple[str, str], ...]
) -> Panel:
    """Call a crisis what is known today to have been one, from its first session on.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature in whose place the flag, 0 or 1, is given.
    crises
        First and last date of each crisis.

    Returns
    -------
    Panel
        The panel that leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    days = panel.calendar.days
    flag = np.zeros(len(days))
    for first, last in crises:
        flag[(days >= np.datetime64(first)) & (days <= np.datetime64(last))] = 1.0
    return with_feature(panel, specs, feature, pd.Series(flag))


def of_changed_tables(
    tables: Tables, config: Config, symbol: str, specs: Specs, *, change: Callable[[Tables], Tables]
) -> Panel:
    """Read the tables under other dates than they have.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    change
        Gives the tables that are read in place of `tables`.

    Returns
    -------
    Panel
        The panel of the changed tables.
    """
    return make_panel(change(tables), config, symbol, specs)


def brittle(tables: Tables, config: Config, symbol: str, specs: Specs, *, needed: str) -> Panel:
    """Stop where the prices do not reach a day.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    needed
        Date that the prices must reach.

    Returns
    -------
    Panel
        The panel, as `make_panel` gives it.

    Raises
    ------
    ValueError
        The prices end before that date.
    """
    if tables.prices["date"].max() < pd.Timestamp(needed):
        raise ValueError(f"there is no bar of {needed}")
    return make_panel(tables, config, symbol, specs)
