"""One text cell to one typed value; every cell that cannot be parsed becomes a `Problem`, none is dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from finnex.data.csv_file import line_of, read_csv
from finnex.data.file_kind import DAMAGED, kind_of
from finnex.data.parquet_file import read_parquet
from finnex.data.table_file import refused, unreadable
from finnex.data.written_times import in_zone_midnight, names_no_day, read_times
from finnex.errors import InputError, Problem, first_of, nearest, shortened, shown

LARGEST = 1e24
"""Of every number: its ratio to the least price is then far from what float32 can hold."""
CELLS_AT_ONCE = 1_000_000
"""Text cells that become numbers in one call: a column of fifty years and 80 companies, or many short ones."""
END_OF_DAY = pd.Timedelta(hours=23, minutes=59, seconds=59)


def read_text(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file, by its first bytes, with every cell as text ('' where empty); `.gz` is unpacked.

    Text first, so that an error can show the cell as the file has it.

    Raises
    ------
    InputError
        The file is absent, unreadable, still arriving, or has no rows.
    """
    name = str(path)
    try:
        kind = kind_of(path)
        if kind == "json":
            raise refused(path, "is JSON, not a table of rows and columns", "Write it as CSV or Parquet.")
        frame = read_parquet(path) if kind == "parquet" else read_csv(path)
    except (*DAMAGED, ValueError) as error:
        raise unreadable(path, error) from None
    if frame.empty:
        raise InputError([Problem(name, "has no rows", "Give at least one row, or leave the table out.")])
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def require_columns(frame: pd.DataFrame, required: tuple[str, ...], path: Path) -> list[Problem]:
    """Return a problem for each required column that is absent, with the nearest column that is there."""
    spare = [column for column in frame.columns if column not in required]
    return [
        Problem(str(path), "the column is missing", nearest(column, spare or list(frame.columns)), column=column)
        for column in required
        if column not in frame.columns
    ]


def _problems(text: pd.Series[str], bad: pd.Series[bool], path: Path, what: str, remedy: str) -> list[Problem]:
    return [
        Problem(
            str(path), what, remedy, row=line_of(path, int(row)), column=str(text.name), value=shown(text[row]),
            further=further,
        )
        for row, further in first_of(text.index[bad].tolist())
    ]  # fmt: skip


def number(text: pd.Series[str], path: Path, problems: list[Problem], *, optional: bool) -> pd.Series[float]:
    """Return float64; empty cells are NaN where `optional`, a problem elsewhere.

    Infinities are problems, and numbers beyond `LARGEST` in size.

    Parameters
    ----------
    text
        Cells as text.
    path
        File of the column, for the problems.
    problems
        List that problems are added to.
    optional
        Whether a cell may be empty.

    Returns
    -------
    pandas.Series
        Index of `text`; NaN where a cell is empty or a problem.
    """
    empty = text.str.strip() == ""
    value = pd.to_numeric(text, errors="coerce").astype("float64")
    bad = (value.isna() & ~empty) | np.isinf(value)
    problems += _problems(
        text, bad, path, "is not a finite number", "Correct the cell or leave it empty where optional."
    )
    large = value.abs() > LARGEST
    large &= ~bad
    problems += _problems(text, large, path, "is larger than any quantity", "Correct the cell, or give another unit.")
    bad |= large
    if not optional:
        problems += _problems(text, empty, path, "is empty", "Every row needs this value; remove the row or fill it.")
    return value.where(~bad)


def numbers(text: pd.DataFrame, path: Path, problems: list[Problem]) -> pd.DataFrame:
    """Return columns as float64, NaN where empty, as `number` does; many columns in one call of pandas."""
    at_once = max(1, CELLS_AT_ONCE // max(1, len(text)))
    found: dict[str, pd.Series[float]] = {}
    for first in range(0, text.shape[1], at_once):
        names = list(text.columns[first : first + at_once])
        cells = pd.concat([text[name] for name in names], ignore_index=True)
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype="float64").reshape(len(names), -1)
        doubtful = ~(np.abs(values) <= LARGEST) & (cells.to_numpy(dtype=object) != "").reshape(values.shape)
        for name, column, doubt in zip(names, values, doubtful.any(axis=1), strict=True):
            found[name] = (
                number(text[name], path, problems, optional=True) if doubt else pd.Series(column, index=text.index)
            )
    return pd.DataFrame(found, index=text.index)


def day(text: pd.Series[str], path: Path, problems: list[Problem]) -> pd.Series[pd.Timestamp]:
    """Return midnights, `datetime64[ns]`, from ISO dates; a time part must be midnight, and its zone does not count."""
    times = read_times(text)
    problems += _no_times(text, ~times.midnight, path, "is not a date", "Write it as YYYY-MM-DD.")
    return times.clock.where(times.midnight)


def moment(
    text: pd.Series[str], path: Path, problems: list[Problem], zone: str | None = None
) -> tuple[pd.Series[pd.Timestamp], pd.Series[bool]]:
    """Return UTC moments, `datetime64[ns]` without zone, and where the text is a date without a time.

    Exactly midnight, as it is written or in `zone` (IANA, the one that is declared for the file), counts as the date:
    programs write midnight where they know no time. Another time without a zone is a problem: it does not say whether
    it came before the close.

    Parameters
    ----------
    text
        Cells as text.
    path
        File of the column, for the problems.
    problems
        List that problems are added to.
    zone
        IANA name of the zone that the file declares; None where it declares none.

    Returns
    -------
    tuple
        Moments, NaT where a cell cannot be read; and bool, true where the text is a date. Both with the index of
        `text`.
    """
    times = read_times(text)
    only_date = times.midnight
    value = times.clock.where(only_date, times.moment)
    if zone is not None:
        dates = in_zone_midnight(times, zone)
        local = dates.notna() & ~only_date
        value, only_date = value.mask(local, dates), only_date | local
    what, remedy = "is not a time stamp", "Write it as 2024-03-08T14:30:00Z, a date as 2024-03-08."
    problems += _no_times(text, value.isna(), path, what, remedy)
    naive = value.notna() & ~only_date & ~times.zoned
    problems += _problems(
        text, naive, path, "has no time zone", "Add one: 2024-03-08T14:30:00Z, or -05:00 for New York."
    )
    return value, only_date


def stamp(
    text: pd.Series[str], path: Path, problems: list[Problem], zone: str | None = None
) -> pd.Series[pd.Timestamp]:
    """Return UTC moments, `datetime64[ns]` without zone; a date without a time is the last second of that day.

    So what has a date alone enters the first session after that date. `zone` as in `moment`.

    Parameters
    ----------
    text
        Cells as text.
    path
        File of the column, for the problems.
    problems
        List that problems are added to.
    zone
        As of `moment`.

    Returns
    -------
    pandas.Series
        Index of `text`; NaT where a cell cannot be read.
    """
    value, only_date = moment(text, path, problems, zone)
    return value.where(~only_date, value + END_OF_DAY)


def _no_times(text: pd.Series[str], bad: pd.Series[bool], path: Path, what: str, remedy: str) -> list[Problem]:
    """Return a problem for each text that is no date or time, with a remedy of its own for a month or a year."""
    if not bad.any():
        return []
    short = bad & names_no_day(text)
    remedy_of_short = "Write it as YYYY-MM-DD; for the value of a month or a year, the day on which it was known."
    return _problems(text, bad & ~short, path, what, remedy) + _problems(
        text, short, path, "names no day", remedy_of_short
    )


def word(text: pd.Series[str], path: Path, problems: list[Problem], valid: tuple[str, ...] = ()) -> pd.Series[str]:
    """Return stripped text; empty cells are problems, and so are words outside `valid` where it is given.

    Parameters
    ----------
    text
        Cells as text.
    path
        File of the column, for the problems.
    problems
        List that problems are added to.
    valid
        The words that are known; empty where any word will do.

    Returns
    -------
    pandas.Series
        Stripped text with the index of `text`.
    """
    value = text.str.strip()
    problems += _problems(text, value == "", path, "is empty", "Every row needs this value.")
    if valid:
        strange = ~value.isin(valid) & (value != "")
        problems += _problems(text, strange, path, "is not one of the known words", f"Use one of: {', '.join(valid)}.")
    return value


def refuse(frame: pd.DataFrame, bad: pd.Series[bool], path: Path, column: str, what: str, remedy: str) -> list[Problem]:
    """Return a problem for each row where `bad` holds, showing the value of `column`.

    Parameters
    ----------
    frame
        Cells of a file, by row.
    bad
        bool, with the index of `frame`.
    path
        File, for the problems.
    column
        Column whose value is shown.
    what
        What is wrong, as the end of a sentence.
    remedy
        What to do.

    Returns
    -------
    list of Problem
        One for each of the first such rows; the last says how many more there are.
    """
    return [
        Problem(
            str(path), what, remedy, row=line_of(path, int(row)), column=column, value=frame.at[row, column],
            further=further,
        )
        for row, further in first_of(frame.index[bad.to_numpy(dtype=bool)].tolist())
    ]  # fmt: skip


def duplicates(frame: pd.DataFrame, key: list[str], path: Path) -> list[Problem]:
    """Return a problem for each row whose key appears in an earlier one."""
    again = frame.duplicated(key, keep="first") & frame[key].notna().all(axis=1)
    problems = []
    for row, further in first_of(frame.index[again].tolist()):
        key_of_row = ", ".join(
            str(value.date()) if isinstance(value, pd.Timestamp) else shortened(value) for value in frame.loc[row, key]
        )
        problems.append(
            Problem(
                str(path),
                f"the same ({', '.join(key)}) appears in an earlier row",
                "Keep one of the rows.",
                row=line_of(path, int(row)),
                column=key[-1],
                value=f"({key_of_row})",
                further=further,
            )
        )
    return problems
