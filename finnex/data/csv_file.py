"""A CSV file, plain or gzip, to cells of text: it is whole, of a size that a table has, and its rows fit its header.

One pass in bounded memory; only then is the file handed to a parser.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from finnex.data.table_file import check_columns, is_young, refused, unreadable
from finnex.errors import InputError, Problem, first_of

MOST_BYTES = 8 << 30
"""Unpacked. Fifty years of daily bars of 3,000 companies are 2.5 GB."""
FREE_BYTES, MOST_RATIO = 64 << 20, 100
"""A file that unpacks to more than these bytes must not grow by more than this ratio: quantities shrink to a tenth."""
MOST_LINE_BYTES = 4 << 20
"""A header of 10,000 columns is a twentieth of it."""
BLOCK_BYTES = 1 << 20
_MOST_ROWS = 1 << 62
ARRIVING = "The rest may be on its way: wait until it has arrived. If it is whole, {mend}."


@dataclass(frozen=True)
class Facts:
    """Result of the pass over a CSV file.

    Attributes
    ----------
    ended
        Whether the last line has its end.
    """

    unpacked_bytes: int
    ended: bool


def _opened(path: Path) -> BinaryIO:
    """Open a CSV file, unpacking `.gz`."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


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
        raise refused(path, "is still arriving: its last line has no end", ARRIVING.format(mend=mend))
    return facts


@lru_cache(maxsize=64)
def _facts_of(path: Path, changed_ns: int, size: int) -> Facts:
    total, line, last = 0, 0, b"\n"
    with _opened(path) as file:
        while block := file.read(BLOCK_BYTES):
            if b"\0" in block:
                raise refused(
                    path, "is no text: it holds zero bytes", "Give a CSV file in UTF-8, or Parquet named .parquet."
                )
            total += len(block)
            head, _, tail = block.rpartition(b"\n")
            longest = max(map(len, head.split(b"\n"))) if len(block) > MOST_LINE_BYTES else len(block)
            line = len(tail) if b"\n" in block else line + len(block)
            if max(line, longest) > MOST_LINE_BYTES:
                raise refused(
                    path,
                    f"has a line of more than {MOST_LINE_BYTES >> 20} MB",
                    "Give one row a line; no cell is that long.",
                )
            if total > MOST_BYTES:
                raise refused(
                    path,
                    f"unpacks to more than {MOST_BYTES >> 30} GB",
                    "Give only the symbols and columns that are used, or Parquet.",
                )
            if total > max(FREE_BYTES, MOST_RATIO * size):
                raise refused(
                    path,
                    f"unpacks to more than {MOST_RATIO} times its size, which no table of quantities does",
                    "Give it as it was exported; rows that repeat each other are no table.",
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
    check_columns(path, [name.strip() for name in _header(path) if name.strip()])
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, engine="pyarrow")
    except pd.errors.ParserError:
        header = _header_of_trailing(path)
    if not header:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = [*header, "(nothing)"]
    return pd.read_csv(path, dtype=str, keep_default_na=False, header=0, names=columns).iloc[:, :-1]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not blank with the line, from 1, on which each begins.

    Raises
    ------
    InputError
        A cell is longer than the `csv` module reads (131,072 characters): a quotation mark was not closed.
    """
    with io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        line = 1
        try:
            for row in rows:
                if row:
                    yield line, row
                line = rows.line_num + 1
        except csv.Error as error:
            raise unreadable(path, error) from None


HEADER_ROWS = 2
"""A frame's first row is line 2 of its file, or is row 2 of a Parquet file: row 1 is the header."""


def line_of(path: Path, row: int) -> int:
    """Return where a row of a frame, from 0, is in its file: its line as an editor counts them.

    Blank lines and cells with line ends are counted, so the file is gone through again; of Parquet it is the row.
    """
    plain = int(row) + HEADER_ROWS
    if path.suffix == ".parquet":
        return plain
    try:
        about = path.stat()
        lines = _lines(path, about.st_mtime_ns, about.st_size)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, InputError):
        return plain
    return lines[row + 1] if row + 1 < len(lines) else plain


@lru_cache(maxsize=2)
def _lines(path: Path, changed_ns: int, size: int) -> Sequence[int]:
    """Return the lines on which the header and the rows begin; where each row is a line, without reading them."""
    if _a_line_each(path):
        return range(1, _MOST_ROWS)
    return array("q", (line for line, _ in _rows(path)))


def _a_line_each(path: Path) -> bool:
    """Return whether a file has neither blank lines nor quotation marks, nor line ends without a newline."""
    last = b"\n"
    with _opened(path) as file:
        while block := file.read(BLOCK_BYTES):
            text = last + block.replace(b"\r\n", b"\n")
            if b'"' in text or b"\n\n" in text or b"\r" in text:
                return False
            last = block[-1:]
    return True


def _header(path: Path) -> list[str]:
    return next((row for _, row in _rows(path)), [])


def _header_of_trailing(path: Path) -> list[str]:
    """Return the header where every row ends with a delimiter, nothing where every row has as many cells as it.

    Where rows without a delimiter at their end are few among those that have it, they are at fault: the delimiter ends
    the last cell, and without it the cell may be cut.

    Raises
    ------
    InputError
        A row has another number of cells than the header.
    """
    header: list[str] = []
    wrong: dict[int, list[int]] = {}  # number of cells to lines
    bare: list[int] = []
    trailing = 0
    for line, row in _rows(path):
        if not header:
            header = row
        elif len(row) == len(header):
            bare.append(line)
        else:
            trailing += len(row) == len(header) + 1 and not row[-1].strip()
            wrong.setdefault(len(row), []).append(line)
    if not wrong:
        return []
    if list(wrong) == [len(header) + 1] and len(wrong[len(header) + 1]) == trailing > len(bare):
        if not bare:
            return header
        what = "the row has no delimiter at its end, as most others have: its last cell may be cut"
        remedy = "Complete the row and end it with the delimiter, or end none with it."
        raise InputError(
            [Problem(str(path), what, remedy, row=line, further=further) for line, further in first_of(bare)]
        )
    raise InputError(sorted(_ragged(path, wrong, len(header)), key=lambda problem: problem.row or 0))


def _ragged(path: Path, wrong: dict[int, list[int]], wanted: int) -> Iterator[Problem]:
    """Yield the rows whose cells do not fit the header, by their number of cells."""
    single = len(wrong) == 1 and len(next(iter(wrong.values()))) == 1
    arriving = is_young(path) and single and next(iter(wrong)) < wanted
    start = "is still arriving: this row" if arriving else "the row"
    remedy = "Complete the row, or quote cells that hold the delimiter."
    if arriving:
        remedy = ARRIVING.format(mend="complete the row")
    for cells, lines in wrong.items():
        for line, further in first_of(lines):
            what = f"{start} has {cells} cells, the header {wanted}"
            yield Problem(str(path), what, remedy, row=line, further=further)
