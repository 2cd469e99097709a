"""One text cell to one typed value; every cell that cannot be parsed becomes a `Problem`, none is dropped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import TableSource
from finnex.data.cells import by_word, is_words
from finnex.data.checks import cell_problems
from finnex.data.columns import NeedsText
from finnex.data.csv_cells import read_csv
from finnex.data.day_remedies import remedy_of
from finnex.data.file_kind import DAMAGED, kind_of
from finnex.data.json_tables import read_json
from finnex.data.parquet_file import read_parquet
from finnex.data.rows import Where
from finnex.data.table_file import unreadable
from finnex.data.written_numbers import floats
from finnex.data.written_times import in_utc, in_zone_midnight, names_no_day, read_times
from finnex.errors import InputError, Problem

LARGEST = 1e24
"""Of every number: its ratio to the least price is then far from what float32 can hold."""
CELLS_AT_ONCE = 1_000_000
"""Text cells that become numbers in one call: a column of fifty years and 80 companies, or many short ones."""
WRITE_MOMENT = "Write it as 2024-03-08T14:30:00Z, a date as 2024-03-08."
Levels = tuple[tuple[str, ...], ...]
END_OF_DAY = pd.Timedelta(hours=23, minutes=59, seconds=59)


def read_cells(
    path: Path,
    source: TableSource | None = None,
    *,
    typed: bool = False,
    missing: Iterable[str] = (),
    as_written: bool = False,
) -> tuple[pd.DataFrame, Levels]:
    """Read a CSV or Parquet file, by its first bytes; compressed CSV is unpacked.

    Parameters
    ----------
    path
        File.
    source
        How it is written, as far as the configuration says.
    typed
        Whether columns are typed (`finnex.data.csv_cells`, `parquet_file`) or all text, '' where empty. Only the text
        of a cell can be shown in a message.
    missing
        Words for "no value" among numbers.
    as_written
        Whether the texts of a CSV file keep its own decimal and thousands signs.

    Returns
    -------
    tuple
        Cells, rows numbered from 0; and the further levels of the header, by column.

    Raises
    ------
    InputError
        The file is absent, unreadable, still arriving, or has no rows.
    NeedsText
        With `typed`, something only the text can show.
    """
    try:
        kind = kind_of(path)
        levels: tuple[tuple[str, ...], ...] = ()
        if kind == "json":
            frame = read_json(path, source.ignore if source else ())
        elif kind == "parquet":
            frame, levels = read_parquet(path, typed=typed, ignore=source.ignore if source else ())
        else:
            frame, levels = read_csv(path, source, typed=typed, missing=missing, as_written=as_written)
    except (*DAMAGED, ValueError) as error:
        raise unreadable(path, error) from None
    if frame.empty:
        raise InputError([Problem(str(path), "has no rows", "Give at least one row, or leave the table out.")])
    frame.columns = pd.Index([str(column).strip() for column in frame.columns], dtype="str")
    return frame, levels


def read_text(path: Path, source: TableSource | None = None) -> pd.DataFrame:
    """Return a file's cells as text, '' where empty: see `read_cells`."""
    return read_cells(path, source)[0]


def text_of(cells: pd.Series[Any]) -> pd.Series[str]:
    """Return a column of words as stripped text, '' where empty."""
    found: pd.Series[str] = by_word(cells, lambda text: text.str.strip())
    return found


def number(cells: pd.Series[Any], path: Where, problems: list[Problem], *, optional: bool) -> pd.Series[float]:
    """Return float64; empty cells are NaN where `optional`, a problem elsewhere.

    Infinities are problems, and numbers beyond `LARGEST` in size. A text is read to the nearest float64.

    Parameters
    ----------
    cells
        Text, words and their codes, or float64.
    path
        File of the column, or the rows of several, for the problems.
    problems
        List that problems are added to.
    optional
        Whether a cell may be empty.

    Returns
    -------
    pandas.Series
        Index of `cells`; NaN where a cell is empty or a problem.
    """
    if cells.dtype == "float64":
        value, empty = cells, cells.isna()
        bad = value.abs() == np.inf
    elif is_words(cells) or pd.api.types.is_string_dtype(cells.dtype):
        value, empty = by_word(cells, floats), by_word(cells, lambda text: text.str.strip() == "")
        bad = (value.isna() & ~empty) | np.isinf(value)
    else:
        value, empty = pd.Series(np.nan, index=cells.index, name=cells.name), cells.isna()
        bad = ~empty
    problems += cell_problems(cells, bad, path, "is not a finite number", _number_remedy(cells[bad]))
    large = (value.abs() > LARGEST) & ~bad
    problems += cell_problems(
        cells, large, path, "is larger than any quantity", "Correct the cell, or give another unit."
    )
    bad |= large
    if not optional:
        problems += cell_problems(
            cells, empty, path, "is empty", "Every row needs this value; remove the row or fill it."
        )
    return value if not bad.any() else value.where(~bad)


def _number_remedy(bad: pd.Series[Any]) -> str:
    """Return what to do about cells that are no numbers: a word without a digit may say that there is no value."""
    remedy = "Correct the cell or leave it empty where optional"
    word = str(bad.iloc[0]).strip() if len(bad) else ""
    if not word or any(letter.isdigit() for letter in word) or word.lower() in ("inf", "-inf", "+inf", "infinity"):
        return f"{remedy}."
    return f'{remedy}; where it says "no value": missing = ["{word[:40]}"].'


def numbers(cells: pd.DataFrame, path: Where, problems: list[Problem]) -> pd.DataFrame:
    """Return columns as float64, NaN where empty, as `number` does; many columns of text in one call."""
    found: dict[str, pd.Series[float]] = {}
    typed = (cells.dtypes == "float64").to_numpy()
    values = cells.loc[:, typed].to_numpy(dtype=np.float64)
    sound = (np.isnan(values) | (np.abs(values) <= LARGEST)).all(axis=0)
    if typed.all() and sound.all():
        return cells
    numbers_of = cells.loc[:, typed].loc[:, sound]
    found |= dict(numbers_of.items())
    texts = list(cells.columns[~typed])
    at_once = max(1, CELLS_AT_ONCE // max(1, len(cells)))
    for first in range(0, len(texts), at_once):
        found |= _sound(cells[texts[first : first + at_once]])
    for name in cells.columns:
        if name not in found:
            found[name] = number(cells[name], path, problems, optional=True)
    return pd.DataFrame({name: found[name] for name in cells.columns}, index=cells.index)


def _sound(cells: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Return the columns of words that hold numbers and empty cells alone, as float64."""
    each: dict[str, npt.NDArray[Any]] = {}
    codes: dict[str, npt.NDArray[Any]] = {}
    for name in cells.columns:
        column = cells[name]
        if is_words(column):
            each[name] = column.cat.categories.to_numpy(dtype=object)
            codes[name] = column.cat.codes.to_numpy()
        elif pd.api.types.is_string_dtype(column.dtype):
            each[name] = column.to_numpy(dtype=object)
    if not each:
        return {}
    together = np.concatenate(list(each.values()))
    values = floats(pd.Series(together, dtype="str")).to_numpy()
    doubtful = ~(np.abs(values) <= LARGEST) & (together != "")
    ends = np.cumsum([len(one) for one in each.values()])
    found = {}
    for name, begin, end in zip(each, [0, *ends[:-1]], ends, strict=True):
        if not doubtful[begin:end].any():
            own = values[begin:end]
            found[name] = pd.Series(own[codes[name]] if name in codes else own, index=cells.index)
    return found


def day(
    cells: pd.Series[Any], path: Where, problems: list[Problem], zone: str | None = None
) -> pd.Series[pd.Timestamp]:
    """Return midnights; a time part must be midnight, as it is written or in `zone`.

    Parameters
    ----------
    cells
        Text, words and their codes, or `datetime64`.
    path
        File of the column, or the rows of several, for the problems.
    problems
        List that problems are added to.
    zone
        IANA name of the zone that the file declares; None where it declares none.

    Returns
    -------
    pandas.Series
        `datetime64[ns]` with the index of `cells`; NaT where a cell is a problem.
    """
    if cells.dtype == "float64":
        problems += _no_times(cells, cells.abs() >= 0, path, "is not a date")
        return pd.Series(pd.NaT, index=cells.index, dtype="datetime64[ns]")
    times = read_times(cells)
    value, known = times.clock, times.midnight
    if zone is not None and not known.all():
        local = in_zone_midnight(times, zone)
        value, known = value.where(known, local), known | local.notna()
    problems += _no_times(cells, ~known, path, "is not a date")
    return value if known.all() else value.where(known)


def moment(
    cells: pd.Series[Any], path: Where, problems: list[Problem], zone: str | None = None
) -> tuple[pd.Series[pd.Timestamp], pd.Series[bool]]:
    """Return UTC moments, `datetime64[ns]` without zone, and where a cell is a date without a time.

    Exactly midnight, as it is written or in `zone`, counts as the date: programs write midnight where they know no
    time. Another time without a zone is one of `zone`; without that it is a problem, since it does not say whether it
    came before the close.

    Parameters
    ----------
    cells
        Text, words and their codes, or `datetime64`.
    path
        File of the column, or the rows of several, for the problems.
    problems
        List that problems are added to.
    zone
        IANA name of the zone that the file declares; None where it declares none.

    Returns
    -------
    tuple
        Moments, NaT where a cell cannot be read; and bool, true where the cell is a date. Both with the index of
        `cells`.
    """
    what = "is not a time stamp"
    if cells.dtype == "float64":
        problems += _no_times(cells, cells.abs() >= 0, path, what, WRITE_MOMENT)
        return pd.Series(pd.NaT, index=cells.index, dtype="datetime64[ns]"), cells.isna()
    times = read_times(cells)
    only_date = times.midnight
    value = times.clock.where(only_date, times.moment)
    zoned = times.zoned
    if zone is not None:
        naive = value.notna() & ~only_date & ~zoned
        if naive.any():
            value = value.mask(naive, in_utc(times.clock[naive], zone).reindex(value.index))
            zoned = zoned | naive
        dates = in_zone_midnight(times, zone)
        local = dates.notna() & ~only_date
        value, only_date = value.mask(local, dates), only_date | local
    problems += _no_times(cells, value.isna(), path, what, WRITE_MOMENT)
    naive = value.notna() & ~only_date & ~zoned
    problems += cell_problems(
        cells, naive, path, "has no time zone",
        'Add one (2024-03-08T14:30:00Z, or -05:00 for New York), or name it: timezone = "America/New_York".',
    )  # fmt: skip
    return value, only_date


def stamp(
    cells: pd.Series[Any], path: Where, problems: list[Problem], zone: str | None = None
) -> pd.Series[pd.Timestamp]:
    """Return UTC moments, `datetime64[ns]`; a date is the last second of its day, so that the next session knows it.

    Parameters
    ----------
    cells
        Text, words and their codes, or `datetime64`.
    path
        File of the column, or the rows of several, for the problems.
    problems
        List that problems are added to.
    zone
        As of `moment`.

    Returns
    -------
    pandas.Series
        Index of `cells`; NaT where a cell cannot be read.
    """
    value, only_date = moment(cells, path, problems, zone)
    return value.where(~only_date, value + END_OF_DAY)


def _no_times(
    cells: pd.Series[Any], bad: pd.Series[bool], path: Where, what: str, remedy: str | None = None
) -> list[Problem]:
    """Return a problem for each cell that is not a date or time, with a remedy of its own for a month or a year."""
    if not bad.any():
        return []
    remedy = remedy or remedy_of([str(cell) for cell in cells[bad].unique()])
    if cells.dtype.kind in "fM":
        return cell_problems(cells, bad, path, what, remedy)
    short = bad & by_word(cells, names_no_day).astype(bool)
    of_short = "Write it as YYYY-MM-DD; for the value of a month or a year, the day on which it was known."
    found = cell_problems(cells, bad & ~short, path, what, remedy)
    return found + cell_problems(cells, short, path, "names no day", of_short)


def word(cells: pd.Series[Any], path: Where, problems: list[Problem], valid: tuple[str, ...] = ()) -> pd.Series[str]:
    """Return stripped text; empty cells are problems, and so are words outside `valid` where it is given.

    Parameters
    ----------
    cells
        Text, or words and their codes.
    path
        File of the column, or the rows of several, for the problems.
    problems
        List that problems are added to.
    valid
        The words that are known; empty where any word will do.

    Returns
    -------
    pandas.Series
        Stripped text with the index of `cells`.
    """
    if not is_words(cells) and not pd.api.types.is_string_dtype(cells.dtype):
        raise NeedsText
    value = text_of(cells)
    problems += cell_problems(cells, value == "", path, "is empty", "Every row needs this value.")
    if valid:
        strange = ~value.isin(valid) & (value != "")
        problems += cell_problems(
            cells, strange, path, "is not one of the known words", f"Use one of: {', '.join(valid)}."
        )
    return value
