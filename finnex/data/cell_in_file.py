"""Cells as their CSV file has them: a message shows what an editor finds there, not what a sign was read as."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from finnex.config import TableSource
from finnex.data.csv_file import rows_of
from finnex.data.csv_format import format_of
from finnex.data.file_kind import DAMAGED, kind_of
from finnex.errors import InputError

Place = tuple[int, str]
"""The line on which a row begins, from 1, as `line_of` returns it, and the file's name of a column."""


def cells_of(path: Path, places: Iterable[Place], source: TableSource | None = None) -> dict[Place, str]:
    """Return the texts of some cells, by their places; the file is gone through one time, to the last of the lines.

    Parameters
    ----------
    path
        The file.
    places
        Of the cells.
    source
        How the file is written, as far as that is known.

    Returns
    -------
    dict
        Empty where the cells that are read are the file's own: its numbers are written as Python writes them, or it is
        no CSV file. Without places whose column has no name of its own.
    """
    wanted: dict[int, list[str]] = {}
    for line, column in places:
        wanted.setdefault(line, []).append(column)
    found: dict[Place, str] = {}
    try:
        if not wanted or kind_of(path) != "text":
            return {}
        written = format_of(path, source)
        if written.is_plain or written.levels > 1:
            return {}
        at = {name: number for number, name in enumerate(written.names) if written.names.count(name) == 1}
        last = max(wanted)
        for line, row in rows_of(path, written):
            for column in wanted.get(line, ()):
                if column in at and at[column] < len(row):
                    found[line, column] = row[at[column]].strip()
            if line >= last:
                break
    except (*DAMAGED, UnicodeDecodeError, InputError):
        return found
    return found
