"""What a reader found in a table's files and left out: kept with the frame, and said with the other warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from finnex.data.names import unread
from finnex.errors import shortened

KEY = "finnex"
"""In the frame's `attrs`: a table has the columns that its features read, and no room for sentences."""
SHOWN = 3


class Caution(str):
    """A sentence about a file that says that values were changed or left out, or may be wrong: a warning.

    Other sentences about a file are notes on how it is read.
    """


@dataclass(frozen=True)
class FileReport:
    """What was found in one file of a table.

    Attributes
    ----------
    table, path
        Table that it was read for, and the file.
    kind
        `CSV` or `Parquet`, with the compression: `CSV, gzip`.
    detected
        How it is written, where that is no plain CSV and the configuration does not say it, in words.
    notes
        What else was taken for given, as ends of a sentence that begins with the file.
    said
        What the preset says of such a file, and what was assumed, as sentences without a full stop; those of the
        type `Caution` are warnings.
    rows, kept
        Rows of cells, and those that the table has of it; fewer where rows are no bars or of other companies, more
        where a column is a series of its own.
    names
        Symbols, series or events of the kept rows, in the order of their names.
    first, last
        First and last day of the kept rows; None without any.
    used
        Our column to the file's name of it.
    ignored
        The file's columns that are left out on purpose, by the preset or the configuration.
    unread
        Our or other names of columns that the table's reader does not ask for.
    others
        Symbols that the run does not use, with their rows; '' for rows without one.
    """

    table: str
    path: Path
    kind: str
    detected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    rows: int = 0
    kept: int = 0
    names: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    used: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Kept:
    """What a frame carries. pandas copies `attrs` with every frame that is made of another: this is not copied."""

    sentences: tuple[str, ...] = ()
    reports: tuple[FileReport, ...] = ()

    def __deepcopy__(self, memo: object) -> _Kept:
        return self


def _kept(frame: pd.DataFrame | None) -> _Kept:
    found = _Kept() if frame is None else frame.attrs.get(KEY, _Kept())
    assert isinstance(found, _Kept)
    return found


def remark(frame: pd.DataFrame, sentences: Sequence[str]) -> pd.DataFrame:
    """Return the frame with sentences about what was not read of its file."""
    frame.attrs[KEY] = replace(_kept(frame), sentences=(*_kept(frame).sentences, *sentences))
    return frame


def remarks(frame: pd.DataFrame | None) -> list[str]:
    """Return the sentences that a reader left with a frame."""
    return list(_kept(frame).sentences)


def with_reports(frame: pd.DataFrame, found: Sequence[FileReport]) -> pd.DataFrame:
    """Return the frame with what was found in its files."""
    frame.attrs[KEY] = replace(_kept(frame), reports=tuple(found))
    return frame


def reports(frame: pd.DataFrame | None) -> tuple[FileReport, ...]:
    """Return what a reader found in each file of a table, in the order given."""
    return _kept(frame).reports


def left_out(frame: pd.DataFrame | None) -> dict[str, int]:
    """Return how many rows of each symbol a reader left out, because the run does not use it."""
    total: Counter[str] = Counter()
    for report in reports(frame):
        total.update(report.others)
    total.pop("", None)
    return dict(total)


def rows_by_symbol(frame: pd.DataFrame) -> dict[str, int]:
    """Return how many rows each symbol has in the files, those that were left out included."""
    return {str(name): int(count) for name, count in frame["symbol"].value_counts().items()} | left_out(frame)


def some(words: Sequence[object] | npt.NDArray[Any]) -> str:
    """Return the first words, or days, of a list, and how many more there are."""
    shown = ", ".join(shortened(word) for word in words[:SHOWN])
    return shown if len(words) <= SHOWN else f"{shown} and {len(words) - SHOWN} more"


def unread_columns(table: str, given: Iterable[str], read: Iterable[str]) -> list[str]:
    """Say which columns of a file nothing reads, each with the nearest name that is read and that the file lacks."""
    # pandas calls a column without a name so: an index that was written, or a delimiter at the header's end.
    columns, known = [name for name in given if not name.startswith("Unnamed: ")], list(read)
    absent = [name for name in known if name not in columns]
    names = unread([name for name in columns if name not in known], absent)
    if not names:
        return []
    one = len(names) == 1
    return [
        f"{table}: the column{'' if one else 's'} {some(names)} {'is' if one else 'are'} not read. Correct the name "
        "where it is misspelt; otherwise remove the column, or leave it."
    ]


def empty_series(frame: pd.DataFrame) -> list[str]:
    """Say which macro series have rows and no value in any of them."""
    filled = set(frame.loc[frame["value"].notna(), "series"])
    empty = [name for name in frame["series"].unique().tolist() if name and name not in filled]
    return (
        [f"macro: the series {some(empty)}: every value is empty. Give the values, or remove the rows."]
        if empty
        else []
    )


def where_notes_are(notes: Sequence[str], command: str = "finnex inputs") -> str:
    """Say in one sentence how many notes there are on how files are read, and which command prints them."""
    return f"{len(notes)} note{'' if len(notes) == 1 else 's'} on how files are read: {command}"
