"""A table's file before its cells are read: how large it becomes, whether it is whole, whether its rows fit its header.

One pass in bounded memory; only then is the file handed to a parser.
"""

from __future__ import annotations

import csv
import gzip
import io
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow.parquet as pq

from finnex.errors import InputError, Problem

JUST_WRITTEN_SECONDS = 600.0
"""A file that changed so lately may still be arriving; a night waits for it, a build refuses it."""
MOST_BYTES = 8 << 30
"""Unpacked. Fifty years of daily bars of 3,000 companies are 2.5 GB."""
MOST_LINE_BYTES = 4 << 20
"""A header of 20,000 columns is a tenth of it."""
MOST_COLUMNS = 20_000
MOST_CELLS = 2_000_000_000
"""Of a Parquet file, whose pages may hold a value a million times in a few bytes."""
BLOCK_BYTES = 1 << 20
ARRIVING = "The rest may be on its way: wait until it has arrived. If it is whole, {mend}."


@dataclass(frozen=True)
class Facts:
    """What the pass over a CSV file found.

    Attributes
    ----------
    ended
        Whether the last line has its end.
    """

    unpacked_bytes: int
    ended: bool


def is_young(path: Path) -> bool:
    """Return whether a file changed within the last ten minutes."""
    try:
        return time.time() - path.stat().st_mtime < JUST_WRITTEN_SECONDS
    except OSError:
        return False


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a file that a parser refuses as a whole; a young one may be arriving."""
    said = " ".join(str(error).split())
    if is_young(path):
        what, remedy = f"is still arriving, or damaged: {said}", "Wait until it has arrived, or give it again."
    else:
        what, remedy = f"cannot be read: {said}", "Give a whole CSV or Parquet file, plain or gzip."
    return InputError([Problem(str(path), what, remedy)])


def _opened(path: Path) -> BinaryIO:
    """Open a CSV file, unpacking `.gz`."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _refused(path: Path, what: str, remedy: str) -> InputError:
    return InputError([Problem(str(path), what, remedy)])


def facts_of(path: Path) -> Facts:
    """Go through a CSV file once, 1 MB at a time.

    Raises
    ------
    InputError
        It is no text, a line or all of it is longer than any table's, or its last line is still arriving.
    OSError, EOFError, zlib.error
        It cannot be read, or its gzip stream is cut or damaged.
    """
    about = path.stat()
    facts = _facts_of(path, about.st_mtime_ns, about.st_size)
    if not facts.ended and is_young(path):
        mend = "end its last line (a newline at the end of the file)"
        raise _refused(path, "is still arriving: its last line has no end", ARRIVING.format(mend=mend))
    return facts


@lru_cache(maxsize=64)
def _facts_of(path: Path, changed_ns: int, size: int) -> Facts:
    total, line, last = 0, 0, b"\n"
    with _opened(path) as file:
        while block := file.read(BLOCK_BYTES):
            if b"\0" in block:
                raise _refused(
                    path, "is no text: it holds zero bytes", "Give a CSV file in UTF-8, or Parquet named .parquet."
                )
            total += len(block)
            head, _, tail = block.rpartition(b"\n")
            longest = max(map(len, head.split(b"\n"))) if len(block) > MOST_LINE_BYTES else len(block)
            line = len(tail) if b"\n" in block else line + len(block)
            if max(line, longest) > MOST_LINE_BYTES:
                raise _refused(
                    path,
                    f"has a line of more than {MOST_LINE_BYTES >> 20} MB",
                    "Give one row a line; no cell is that long.",
                )
            if total > MOST_BYTES:
                raise _refused(
                    path,
                    f"unpacks to more than {MOST_BYTES >> 30} GB",
                    "Give only the symbols and columns that are used, or Parquet.",
                )
            last = block[-1:]
    return Facts(total, last == b"\n" or total == 0)


def is_unended(path: Path) -> bool:
    """Return whether a CSV file that was read has a last line without its end; its last cell may be cut."""
    if path.suffix == ".parquet":
        return False
    try:
        about = path.stat()
        return not _facts_of(path, about.st_mtime_ns, about.st_size).ended
    except (OSError, EOFError, zlib.error, InputError):
        return False


def read_csv(path: Path) -> pd.DataFrame:
    """Return a CSV file's cells as text, '' where empty.

    A delimiter at the end of every row (one empty cell more than the header has) is read as such.

    Raises
    ------
    InputError
        A row has fewer or more cells than the header, or see `facts_of`.
    """
    facts_of(path)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, engine="pyarrow")
    except pd.errors.ParserError:
        header = _header_of_trailing(path)
        if header:
            columns = [*header, "(nothing)"]
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, header=0, names=columns).iloc[:, :-1]
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if len(frame.columns) > MOST_COLUMNS:
        raise _refused(
            path, f"has {len(frame.columns)} columns, more than {MOST_COLUMNS}", "Leave out those that nothing reads."
        )
    return frame


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file with the line, from 1, on which each ends."""
    with io.TextIOWrapper(_opened(path), encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        for row in rows:
            yield rows.line_num, row


def _header_of_trailing(path: Path) -> list[str]:
    """Return the header where every row ends with a delimiter, nothing where every row has as many cells as it.

    Raises
    ------
    InputError
        A row has another number of cells than the header.
    """
    rows = _rows(path)
    try:
        header = next(rows, (0, []))[1]
        wanted = len(header)
        wrong = [(line, row) for line, row in rows if row and len(row) != wanted]
        plain = 0 if not wrong else sum(1 for _, row in _rows(path) if row) - 1
    except csv.Error as error:
        raise unreadable(path, error) from None
    if wrong and len(wrong) == plain and all(len(row) == wanted + 1 and not row[-1].strip() for _, row in wrong):
        return header
    if not wrong:
        return []
    arriving = is_young(path) and len(wrong) == 1 and len(wrong[0][1]) < wanted
    raise InputError(
        [
            Problem(
                str(path),
                f"{'is still arriving: this row' if arriving else 'the row'} has {len(row)} cells, the header {wanted}",
                ARRIVING.format(mend="complete the row")
                if arriving
                else "Complete the row, or quote cells that hold the delimiter.",
                row=line,
            )
            for line, row in wrong
        ]
    )


def check_parquet(path: Path) -> None:
    """Refuse a Parquet file that would unpack to more cells than any table has, by its metadata.

    Raises
    ------
    InputError
        It has too many columns or cells.
    OSError, ValueError
        It is no Parquet file, or cut.
    """
    about = pq.read_metadata(path)
    if about.num_columns > MOST_COLUMNS or about.num_rows * max(1, about.num_columns) > MOST_CELLS:
        raise _refused(
            path,
            f"has {about.num_rows} rows of {about.num_columns} columns, more than a table of daily data has",
            "Leave out the rows and columns that nothing reads.",
        )
