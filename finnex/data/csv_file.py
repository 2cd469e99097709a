"""A CSV file, plain or gzip, to cells of text: it is whole, of a size that a table has, and its rows fit its header.

One pass in bounded memory; only then is the file handed to a parser.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
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
    """Yield the rows of a CSV file with the line, from 1, on which each ends.

    Raises
    ------
    InputError
        A cell is longer than the `csv` module reads (131,072 characters): a quotation mark was not closed.
    """
    with io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        try:
            for row in rows:
                yield rows.line_num, row
        except csv.Error as error:
            raise unreadable(path, error) from None


def _header(path: Path) -> list[str]:
    return next((row for _, row in _rows(path) if row), [])


def _header_of_trailing(path: Path) -> list[str]:
    """Return the header where every row ends with a delimiter, nothing where every row has as many cells as it.

    Raises
    ------
    InputError
        A row has another number of cells than the header.
    """
    header: list[str] = []
    wrong: dict[int, list[int]] = {}  # number of cells to lines
    plain = trailing = 0
    for number, (line, row) in enumerate(_rows(path)):
        if number == 0:
            header = row
        elif row:
            plain += 1
            trailing += len(row) == len(header) + 1 and not row[-1].strip()
            if len(row) != len(header):
                wrong.setdefault(len(row), []).append(line)
    if not wrong:
        return []
    if trailing == plain:
        return header
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
