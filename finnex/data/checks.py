"""What is wrong with cells and rows, as problems with their places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.config.key_folders import words_of_folders
from finnex.config.table_source import CONSTANTS
from finnex.data.rows import Where, companies_of, place_of
from finnex.errors import Problem, first_of, nearest, shortened, shown

COLUMN_MISSING = "the column is missing"


def require_columns(frame: pd.DataFrame, required: tuple[str, ...], path: Path) -> list[Problem]:
    """Return a problem for each required column that is absent, with the nearest of the file or its folders."""
    spare = [column for column in (*frame.columns, *words_of_folders(path)) if column not in required]
    return [
        Problem(
            str(path), COLUMN_MISSING, f"{nearest(column, spare or list(frame.columns))} {_name_it(column)}",
            column=column,
        )
        for column in required
        if column not in frame.columns
    ]  # fmt: skip


def _name_it(column: str) -> str:
    """Return how the configuration says where a column is that a file does not name as we do."""
    one_word = f', {column} = "..." where all rows have one,' if column in CONSTANTS else ""
    if column == "volume":
        one_word = ', constants = { volume = "0" } where there is none,'
    return f'Say columns = {{ {column} = "its name" }}{one_word} or a preset (docs/inputs.md).'


def cell_problems(text: pd.Series[Any], bad: pd.Series[bool], path: Where, what: str, remedy: str) -> list[Problem]:
    """Return a problem for each cell where `bad` holds, showing the cell as it is given.

    Parameters
    ----------
    text
        A column.
    bad
        bool, with the index of `text`.
    path
        File, or the rows of several.
    what
        What is wrong, as the end of a sentence.
    remedy
        What to do.

    Returns
    -------
    list of Problem
        One for each of the first such cells; the last says how many more there are.
    """
    if not bad.any():
        return []
    found = []
    for row, further, companies in _first_of(text.index[bad].tolist(), path):
        file, line = place_of(path, row)
        found.append(Problem(file, what, remedy, line, str(text.name), shown(text[row]), further, companies))
    return found


def _first_of(labels: list[int], path: Where) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the first of some rows with the number of further ones, and whose they all are."""
    for number, (label, further) in enumerate(first_of(labels)):
        yield int(label), further, companies_of(path, labels[number : number + 1 + further])


def refuse(
    frame: pd.DataFrame, bad: pd.Series[bool], path: Where, column: str, what: str, remedy: str, than: str | None = None
) -> list[Problem]:
    """Return a problem for each row where `bad` holds, showing the value of `column`.

    Parameters
    ----------
    frame
        Cells of a file, by row.
    bad
        bool, with the index of `frame`.
    path
        File, or the rows of several, for the problems.
    column
        Column whose value is shown.
    what
        What is wrong, as the end of a sentence.
    remedy
        What to do.
    than
        Column that `column` was compared with, whose value is shown too; None where it was compared with none.

    Returns
    -------
    list of Problem
        One for each of the first such rows; the last says how many more there are.
    """
    found = []
    for row, further, companies in _first_of(frame.index[bad.to_numpy(dtype=bool)].tolist(), path):
        file, line = place_of(path, row)
        value: object = _plainly(frame.at[row, column])
        if than is not None:
            value = f"{value}, {than} {_plainly(frame.at[row, than])}"
        found.append(Problem(file, what, remedy, line, column, value, further, companies))
    return found


def _plainly(value: object) -> object:
    """Return a value as it is shown: a moment that is a day without its midnight."""
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return value.date()
    return value


def duplicates(frame: pd.DataFrame, key: list[str], path: Where) -> list[Problem]:
    """Return a problem for each row whose key appears in an earlier one, which may be in another file."""
    known = frame[key].notna().all(axis=1)
    again = frame.duplicated(key, keep="first") & known
    if not again.any():
        return []
    problems = []
    for row, further, companies in _first_of(frame.index[again].tolist(), path):
        key_of_row = ", ".join(
            str(value.date()) if isinstance(value, pd.Timestamp) else shortened(value) for value in frame.loc[row, key]
        )
        file, line = place_of(path, row)
        first = frame.index[(frame[key] == frame.loc[row, key]).all(axis=1)][0]
        before = place_of(path, int(first))
        where = "an earlier row" if before[0] == file else f"{before[0]} too"
        problems.append(
            Problem(
                file,
                f"the same ({', '.join(key)}) appears in {where}",
                "Keep one of the rows." if before[0] == file else "Keep one of the rows, or name one of the files.",
                row=line,
                column=key[-1],
                value=f"({key_of_row})" + ("" if before[0] == file else f" of its row {before[1]}"),
                further=further,
                companies=companies,
            )
        )
    return problems
