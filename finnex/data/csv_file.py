"""A CSV file before its cells are read: it is whole, of a size that a table has, and its rows fit its header.

One pass in bounded memory; only then is the file handed to a parser (`finnex.data.csv_cells`).
"""

from __future__ import annotations

import codecs
import csv
import io
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from finnex.config import TableSource
from finnex.data.csv_format import UTF8, CsvFormat, format_of
from finnex.data.file_kind import DAMAGED, kind_of, opened
from finnex.data.table_file import is_young, refused, unreadable
from finnex.errors import InputError, Problem, first_of

MOST_BYTES = 8 << 30
"""Unpacked. Fifty years of daily bars of 3,000 companies are 2.5 GB."""
FREE_BYTES, MOST_RATIO = 64 << 20, 100
"""A file that unpacks to more than these bytes must not grow by more than this ratio: quantities shrink to a tenth."""
MOST_LINE_BYTES = 4 << 20
"""A header of 10,000 columns is a twentieth of it."""
BLOCK_BYTES = 1 << 20
_MOST_ROWS = 1 << 62
NAME_ENCODING = 'Name its encoding: { path = "...", encoding = "cp1252" }, or save it as UTF-8.'
ARRIVING = "The rest may be on its way: wait until it has arrived. If it is whole, {mend}."

NO_ROW = "remove it where it is no row of the table, such as a note, a total or blanks"


@dataclass(frozen=True)
class Facts:
    """Result of the pass over a CSV file.

    Attributes
    ----------
    ended
        Whether the last line has its end.
    quoted
        Whether it holds a quotation mark, so that a cell may hold delimiters and line ends.
    odd_quotes
        Whether it holds an odd number of them: one of them may not be closed.
    """

    ended: bool
    quoted: bool
    odd_quotes: bool


def facts_of(path: Path, encoding: str) -> Facts:
    """Go through a CSV file once, 1 MB at a time.

    Raises
    ------
    InputError
        It is not text in its encoding, a line or all of it is longer than any table's, or its last line is still
        arriving.
    OSError, EOFError, zlib.error, lzma.LZMAError
        It cannot be read, or its compressed stream is cut or damaged.
    """
    about = path.stat()
    facts = _facts_of(path, about.st_mtime_ns, about.st_size, encoding)
    if not facts.ended and is_young(path):
        mend = "end its last line (a newline at the end of the file)"
        raise refused(path, "is still arriving: its last line has no end", ARRIVING.format(mend=mend))
    return facts


@lru_cache(maxsize=4096)
def _facts_of(path: Path, changed_ns: int, size: int, encoding: str) -> Facts:
    total, line, last, quotes = 0, 0, b"\n", 0
    for block in in_utf8(path, encoding):
        if b"\0" in block:
            raise refused(
                path, "is not text: it holds zero bytes", "Give a CSV file in UTF-8, or Parquet named .parquet."
            )
        total += len(block)
        head, _, tail = block.rpartition(b"\n")
        longest = max(map(len, head.split(b"\n"))) if len(block) > MOST_LINE_BYTES else len(block)
        line = len(tail) if b"\n" in block else line + len(block)
        quotes += block.count(b'"')
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
    return Facts(last in (b"\n", b"\r") or total == 0, quotes > 0, quotes % 2 == 1)


def in_utf8(path: Path, encoding: str) -> Iterator[bytes]:
    """Yield the blocks of a text file, in UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened(path) as file:
        while block := file.read(BLOCK_BYTES):
            try:
                text = "" if block.isascii() and encoding in UTF8 else decoder.decode(block)
            except UnicodeDecodeError:
                raise refused(path, f"is not text in {encoding}", NAME_ENCODING) from None
            block = block if encoding in UTF8 else text.encode()
            if block:
                yield block


def is_unended(path: Path, source: TableSource | None = None) -> bool:
    """Return whether a CSV file that was read has a last line without its end; its last cell may be cut."""
    try:
        if kind_of(path) != "text":
            return False
        about = path.stat()
        return not _facts_of(path, about.st_mtime_ns, about.st_size, format_of(path, source).encoding).ended
    except (*DAMAGED, InputError):
        return False


def rows_of(path: Path, written: CsvFormat) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not blank with the line, from 1, on which each begins.

    Raises
    ------
    InputError
        A cell is longer than the `csv` module reads (131,072 characters): a quotation mark was not closed.
    """
    with io.TextIOWrapper(opened(path), encoding=written.encoding, newline="") as file:
        rows = csv.reader(file, delimiter=written.delimiter)
        line = 1
        try:
            for row in rows:
                if row:
                    yield line, row
                line = rows.line_num + 1
        except csv.Error as error:
            raise unreadable(path, error) from None


FIRST_ROW = 2
"""A frame's first row is row 2 of a Parquet file: row 1 is the header."""


def line_of(path: Path, row: int, source: TableSource | None = None) -> int:
    """Return where a row of a frame, from 0, is in its file: its line as an editor counts them.

    Blank lines and cells with line ends are counted, so the file is gone through again; of Parquet it is the row.
    """
    try:
        if kind_of(path) == "json":
            return int(row) + 1
        if kind_of(path) != "text":
            return int(row) + FIRST_ROW
        about = path.stat()
        lines, before = _lines(path, about.st_mtime_ns, about.st_size, format_of(path, source))
    except (*DAMAGED, UnicodeDecodeError, InputError):
        return int(row) + FIRST_ROW
    at = int(row) + before
    return lines[at] if at < len(lines) else at + 1


@lru_cache(maxsize=2)
def _lines(path: Path, changed_ns: int, size: int, written: CsvFormat) -> tuple[Sequence[int], int]:
    """Return the lines on which the rows begin, and how many rows precede the cells.

    Where each row is a line, without reading them.
    """
    if _a_line_each(path):
        return range(1, _MOST_ROWS), written.rows_before
    return array("q", (line for line, _ in rows_of(path, written))), written.rows_before


def _a_line_each(path: Path) -> bool:
    """Return whether a file has neither blank lines nor quotation marks, nor line ends without a newline."""
    last = b"\n"
    with opened(path) as file:
        while block := file.read(BLOCK_BYTES):
            text = last + block.replace(b"\r\n", b"\n")
            if b'"' in text or b"\n\n" in text or b"\r" in text or b"\0" in text:
                return False
            last = block[-1:]
    return True


def has_trailing_delimiter(path: Path, written: CsvFormat) -> bool:
    """Return whether every row ends with a delimiter; False where every row has as many cells as the header.

    Where rows without a delimiter at their end are few among those that have it, they are at fault: the delimiter ends
    the last cell, and without it the cell may be cut.

    Raises
    ------
    InputError
        A row has another number of cells than the header.
    """
    wanted = len(written.names)
    wrong: dict[int, list[int]] = {}  # number of cells to lines
    bare: list[int] = []
    trailing = last = 0
    for number, (line, row) in enumerate(rows_of(path, written)):
        last = line
        if number < written.rows_before:
            continue
        if len(row) == wanted:
            bare.append(line)
        else:
            trailing += len(row) == wanted + 1 and not row[-1].strip()
            wrong.setdefault(len(row), []).append(line)
    if not wrong:
        return False
    if list(wrong) == [wanted + 1] and len(wrong[wanted + 1]) == trailing > len(bare):
        if not bare:
            return True
        what = "the row has no delimiter at its end, as most others have: its last cell may be cut"
        remedy = "Complete the row and end it with the delimiter, or end none with it."
        raise InputError(
            [Problem(str(path), what, remedy, row=line, further=further) for line, further in first_of(bare)]
        )
    raise InputError(sorted(_ragged(path, wrong, wanted, last), key=lambda problem: problem.row or 0))


def _ragged(path: Path, wrong: dict[int, list[int]], wanted: int, last: int) -> Iterator[Problem]:
    """Yield the rows whose cells do not fit the header, by their number of cells."""
    single = list(wrong.values()) == [[last]]
    arriving = is_young(path) and single and next(iter(wrong)) < wanted
    start = "is still arriving: this row" if arriving else "the row"
    remedy = f"Complete the row, or quote cells that hold the delimiter; {NO_ROW}."
    if arriving:
        remedy = ARRIVING.format(mend=f"complete the row; {NO_ROW}")
    for cells, lines in wrong.items():
        for line, further in first_of(lines):
            what = f"{start} has {cells} cells, the header {wanted}"
            yield Problem(str(path), what, remedy, row=line, further=further)
