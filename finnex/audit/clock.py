"""When a row of each table could be known: the audit's own reading of the rules.

It shares nothing with `finnex.data.point_in_time`, so that a mistake there does not hide itself here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import LeakedRow
from finnex.data import parse
from finnex.data.calendar import SessionCalendar
from finnex.data.csv_file import line_of
from finnex.data.parse import text_of
from finnex.data.reading import Reading

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Clock:
    """How a table's rows are named, kept and dated.

    Attributes
    ----------
    dated
        Column that says when a row became known.
    rule
        `close`: by the close of that date. `after`: from the session after that date on. `stamp`: at that moment.
        `release`: at that moment, or after that date where it has no time.
    order
        Columns by which the readers sort.
    """

    words: tuple[str, ...]
    dated: str
    rule: Literal["close", "after", "stamp", "release"]
    order: tuple[str, ...]
    about: str | None = None


CLOCKS: dict[str, Clock] = {
    "prices": Clock(("symbol",), "date", "close", ("symbol", "date")),
    "macro": Clock(("series",), "available", "release", ("series", "available", "date"), "date"),
    "fundamentals": Clock(
        ("symbol", "origin"), "available", "release", ("symbol", "available", "period_end"), "period_end"
    ),
    "sentiment": Clock(("symbol", "source", "provider"), "timestamp", "stamp", ("symbol", "timestamp")),
    "competitive": Clock(("symbol", "peer"), "date", "after", ("symbol", "date", "peer")),
    "options": Clock(("symbol",), "date", "after", ("symbol", "date")),
    "events": Clock(("name",), "announced", "after", ("name", "date"), "date"),
    "enhanced": Clock(("symbol",), "date", "close", ("symbol", "date")),
}
"""Table name to its clock."""
FILE_COLUMN = {"available": "available_date"}


def known_session(
    table: str, frame: pd.DataFrame, calendar: SessionCalendar, quote_delay_minutes: Mapping[str, int]
) -> npt.NDArray[np.intp]:
    """Return the first session whose decision may use each row; the number of sessions where none yet may.

    Parameters
    ----------
    table
        Name of the table, a key of `CLOCKS`.
    frame
        Rows of the table.
    calendar
        Sessions and their decision times.
    quote_delay_minutes
        Macro series to the minutes after the close of its date from which its quote is known.

    Returns
    -------
    numpy.ndarray
        (rows,) positions of sessions, from 0 to `len(calendar)`.
    """
    clock = CLOCKS[table]
    moment = frame[clock.dated].to_numpy().astype("datetime64[ns]")
    day = moment.astype("datetime64[D]")
    at_moment = np.searchsorted(calendar.decision_time, moment, side="left")
    after_day = np.searchsorted(calendar.days, day, side="right")
    if clock.rule == "close":
        known: npt.NDArray[np.intp] = np.searchsorted(calendar.days, day, side="left")
    elif clock.rule == "after":
        known = after_day
    elif clock.rule == "stamp":
        known = at_moment
    else:
        known = np.where(frame["available_is_date"].to_numpy(dtype=bool), after_day, at_moment)
    if table == "macro":
        for series, delay in quote_delay_minutes.items():
            own = (frame["series"] == series).to_numpy()
            observed = frame.loc[own, "date"].to_numpy().astype("datetime64[D]")
            session = calendar.index_of(observed)
            quoted = calendar.decision_time[np.maximum(session, 0)] + np.timedelta64(int(delay), "m")
            known[own] = np.where(
                session >= 0,
                np.searchsorted(calendar.decision_time, quoted, side="left"),
                np.searchsorted(calendar.days, observed, side="right"),
            )
    return known


def later_rows(
    table: str, frame: pd.DataFrame, calendar: SessionCalendar, position: int, quote_delay_minutes: Mapping[str, int]
) -> Mask:
    """Return which rows are not known at the decision of session `position`.

    Parameters
    ----------
    table
        Name of the table, a key of `CLOCKS`.
    frame
        Rows of the table.
    calendar
        Sessions and their decision times.
    position
        Position of the session whose decision is looked at.
    quote_delay_minutes
        As of `known_session`.

    Returns
    -------
    numpy.ndarray
        (rows,) bool.
    """
    return known_session(table, frame, calendar, quote_delay_minutes) > position


Files = Sequence[tuple[Path, Reading]]


def describe(table: str, row: pd.Series[Any], files: Files, *, added: bool = False) -> LeakedRow:
    """Return a row as a person finds it: its key, its date, its place in the file.

    Parameters
    ----------
    table
        Name of the table, a key of `CLOCKS`.
    row
        One row of the table.
    files
        Files that the table was read from, with how each is read; none where it comes from none.
    added
        Whether the row was made up by the audit, and so has no place in the file.

    Returns
    -------
    LeakedRow
        The row in words; its place is None for an added row, or without a file.
    """
    clock = CLOCKS[table]
    key = [str(row[word]) for word in clock.words if word in row.index and str(row[word])]
    if clock.about is not None:
        key.append(f"{clock.about} {pd.Timestamp(row[clock.about]).date()}")
    moment = pd.Timestamp(row[clock.dated])
    shown = str(moment.date()) if moment == moment.normalize() else f"{moment.isoformat()}Z"
    name, place = (files[0][0].name if files else ""), None
    if not added:
        for path, reading in files:
            if (found := _file_row(table, row, path, reading)) is not None:
                name, place = path.name, found
                break
    return LeakedRow(table, ", ".join(key), shown, name, place, added)


def _file_row(table: str, row: pd.Series[Any], path: Path, reading: Reading) -> int | None:
    """Return the line of a row in a file: readers sort, so the file is read again. None where it is not found."""
    for text in reading.parts(path, [], typed=False):
        if len(found := _alike(table, row, text, path, reading)):
            return line_of(path, int(found.index[0]), reading.written)
    return None


def _alike(table: str, row: pd.Series[Any], text: pd.DataFrame, path: Path, reading: Reading) -> pd.DataFrame:
    clock = CLOCKS[table]
    for word in clock.words:
        if word in text.columns:
            text = text[text_of(text[word]) == str(row[word])]
    for column in dict.fromkeys((clock.dated, clock.about or clock.dated)):
        name = FILE_COLUMN.get(column, column)
        if name not in text.columns:
            return text.iloc[:0]
        if clock.rule == "stamp":
            value = parse.stamp(text[name], path, [], reading.zone)
        else:
            value = parse.moment(text[name], path, [], reading.zone)[0]
        text = text[value == row[column]]
    if "score" in text.columns and len(text) > 1:
        text = text[parse.number(text["score"], path, [], optional=True) == row["score"]]
    return text
