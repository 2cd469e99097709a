"""Bars that are not of a day: of a week or longer by the steps between their dates, or several of one day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.cells import distinct, is_text
from finnex.data.faults import Faults
from finnex.data.remarks import some
from finnex.data.rows import Rows, Where, all_named, place_of
from finnex.errors import Problem

REMEDY: Final = 'An image is of a session: download daily bars, one for each session (yfinance: interval = "1d").'
LONGER: Final = {"week": (6, 8), "month": (26, 35), "quarter": (85, 97), "year": (355, 376)}
"""Days from a bar to the next: of bars that are dated by the first or the last session of their period too."""
LEAST_STEPS, LEAST_SHARE = 6, 0.75
"""Steps of a symbol that are judged, and the share of them that is of one length.

Daily bars of which at most 60 % are missing have a mean step of 4.2 days at most (2.75 sessions and a weekend); with
this share of steps of six days and more, and others of one, it is 4.75."""
LOOKED_AT = 50
"""First rows: without a time in any of them, the others are not gone through."""
CLOCK = r"^(.*\d)[T ]+(\d{1,2}:\d{2}.*)$"
LEAST_BARS = 3
"""Of a day, in the middle of all days of a symbol, where no time says that they are of a part of it: a file that holds
its rows twice has two."""


def longer_than_a_day(frame: pd.DataFrame, table: pd.DataFrame, where: Where) -> list[Problem]:
    """Refuse symbols whose bars are a week, a month, a quarter or a year apart.

    Parameters
    ----------
    frame
        Bars by their labels of `where`.
    table
        The same bars by symbol and date.
    where
        The rows' places.

    Returns
    -------
    list of Problem
        One for each length, in the file of the first such symbol.
    """
    if table.empty or table["date"].isna().any():
        return []
    days = table["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    symbols = table["symbol"].to_numpy()
    begins = np.flatnonzero(np.concatenate([[True], symbols[1:] != symbols[:-1]]))
    steps = np.diff(days)
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for first, stop in zip(begins, [*begins[1:], len(table)], strict=True):
        own = steps[first : stop - 1]
        if (length := _length(own[own > 0])) is not None:
            shown = [str(day) for day in days[first:stop][:3].astype("datetime64[D]")]
            found.setdefault(length, []).append((str(symbols[first]), shown))
    return [_longer(frame, where, length, alike) for length, alike in found.items()]


def _length(steps: npt.NDArray[np.int64]) -> str | None:
    """Return the period that most steps of a symbol, in days, have; None where they have none.

    Examples
    --------
    >>> _length(np.array([7, 7, 6, 8, 7, 14, 7])), _length(np.array([1, 1, 3, 7, 7, 1, 1]))
    ('week', None)
    """
    if len(steps) < LEAST_STEPS:
        return None
    shares = {length: np.mean((steps >= least) & (steps <= most)) for length, (least, most) in LONGER.items()}
    return next((length for length, share in shares.items() if share >= LEAST_SHARE), None)


def _longer(frame: pd.DataFrame, where: Where, length: str, alike: list[tuple[str, list[str]]]) -> Problem:
    symbols, days = [symbol for symbol, _ in alike], alike[0][1]
    file, _ = place_of(where, int(frame.index[(frame["symbol"] == symbols[0]).to_numpy()][0]))
    what = f"the bars of {some(symbols)} are a {length} apart, so they are not of a session each"
    return Problem(file, what, REMEDY, column="date", value=", ".join(days), companies=all_named(symbols))


def several_of_a_day(frame: pd.DataFrame, where: Where) -> list[Problem]:
    """Refuse symbols with some bars a day in one file, of dates without a time.

    Parameters
    ----------
    frame
        Bars by their labels of `where`, of which a symbol and date may come several times.
    where
        The rows' places.

    Returns
    -------
    list of Problem
        One for each file; none where few days have several bars, which are the same twice.
    """
    sound = frame[["symbol", "date"]].dropna()
    sound = sound.assign(file=where.file[sound.index] if isinstance(where, Rows) else 0)
    bars = sound.groupby(["file", "symbol", "date"], sort=False).size()
    middle = bars.groupby(["file", "symbol"], sort=False).median()
    first = pd.Series(sound.index, index=sound["file"])[~sound["file"].duplicated().to_numpy()]
    return list(_intraday(first, where, middle[middle >= LEAST_BARS]))


def _intraday(first: pd.Series[int], where: Where, middle: pd.Series[Any]) -> Iterator[Problem]:
    for number, own in middle.groupby(level="file", sort=False):
        symbols = [str(symbol) for _, symbol in own.index]
        file, _ = place_of(where, int(first[number]))
        what = f"has {own.iloc[0]:.0f} bars a day of {some(symbols)}, as of hours or minutes"
        yield Problem(file, what, REMEDY, column="date", companies=all_named(symbols))


def refuse_times_of_a_day(frame: pd.DataFrame, file_names: Mapping[str, str], faults: Faults) -> None:
    """Refuse a file whose dates have times, of which most days have several.

    Parameters
    ----------
    frame
        Under our names.
    file_names
        Our name of a column to the file's.
    faults
        The file is added to it.
    """
    if "date" not in frame.columns or not _has_time(frame["date"].head(LOOKED_AT)):
        return
    codes, each = distinct(frame["date"])
    parts = each.str.extract(CLOCK)
    if not parts[1].groupby(parts[0]).nunique().gt(1).any():  # a time for each day: that of the close, or midnight
        return
    times = parts.take(codes).set_axis(frame.index).set_axis(["day", "time"], axis="columns")
    symbols = frame["symbol"].astype("str") if "symbol" in frame.columns else ""
    several = times.assign(symbol=symbols).dropna().groupby(["symbol", "day"], sort=False)["time"].nunique()
    if several.median() > 1:
        first = ", ".join(map(str, frame["date"].head(LEAST_BARS)))
        faults.of_file(
            f"has several bars of one day ({first}), as of hours or minutes", REMEDY, file_names.get("date", "date")
        )


def _has_time(cells: pd.Series[Any]) -> bool:
    """Return whether a cell has a time: midnight is one, unless the column is typed."""
    if not is_text(cells):
        days = cells.dropna()
        return cells.dtype.kind == "M" and bool((days != days.dt.normalize()).any())
    return bool(cells.astype("str").str.contains(":", regex=False).any())
