"""A cell as its CSV file has it: a message shows what an editor finds there, not what a sign was read as."""

from __future__ import annotations

from pathlib import Path

from finnex.config import TableSource
from finnex.data.csv_file import rows_of
from finnex.data.csv_format import format_of
from finnex.data.file_kind import DAMAGED, kind_of
from finnex.errors import InputError


def cell_of(path: Path, line: int, column: str, source: TableSource | None = None) -> str | None:
    """Return a cell's text, by the line on which its row begins and the name of its column.

    Parameters
    ----------
    path
        The file; it is gone through up to the line.
    line
        From 1, as `line_of` returns it.
    column
        The file's name of the column.
    source
        How the file is written, as far as that is known.

    Returns
    -------
    str or None
        None where the cells that are read are the file's own: its numbers are written as Python writes them, or it is
        no CSV file; and where no one column has the name.
    """
    try:
        if kind_of(path) != "text":
            return None
        written = format_of(path, source)
        if written.is_plain or written.levels > 1 or written.names.count(column) != 1:
            return None
        at = written.names.index(column)
        row = next((cells for start, cells in rows_of(path, written) if start == line), [])
    except (*DAMAGED, UnicodeDecodeError, InputError):
        return None
    return row[at].strip() if at < len(row) else None
