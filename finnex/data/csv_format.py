"""How a CSV file is written, by its first rows: encoding, delimiter, rows before the header, signs within numbers."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from finnex.data.file_kind import compression_of, opened
from finnex.data.table_file import refused

HEAD_BYTES = 256 << 10
"""Of the unpacked file: what is looked at."""
HEAD_ROWS = 200
MOST_PREAMBLE = 20
"""Rows before the header (a title, a disclaimer)."""
DELIMITERS = (",", ";", "\t", "|")
POINT = re.compile(r"[-+]?\d+\.\d+")
COMMA = re.compile(r"[-+]?\d+,\d+")
POINT_GROUPS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
COMMA_GROUPS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
UTF8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written.

    Attributes
    ----------
    encoding
        As Python names it.
    delimiter
        Between cells.
    preamble
        Rows before the header: a title, a disclaimer.
    header
        Names of the columns, stripped.
    decimal, thousands
        Signs within numbers; '' for no thousands sign.
    compression
        gzip, bzip2, xz, zip or ''.
    """

    encoding: str
    delimiter: str
    preamble: int
    header: tuple[str, ...]
    decimal: str = "."
    thousands: str = ""
    compression: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python writes them."""
        return self.decimal == "." and not self.thousands

    def said(self) -> list[str]:
        """Return what was detected that a plain table does not have, in words."""
        words = {"\t": "tab", ";": "semicolon", "|": "bar"}
        found = [] if self.encoding in UTF8 else [f"the encoding {self.encoding}"]
        found += [f"the delimiter {words[self.delimiter]}"] if self.delimiter in words else []
        rows = "a row" if self.preamble == 1 else f"{self.preamble} rows"
        found += [f"{rows} before the header"] if self.preamble else []
        found += [] if self.decimal == "." else [f"the decimal sign '{self.decimal}'"]
        return found + ([f"the thousands sign '{self.thousands}'"] if self.thousands else [])


def format_of(path: Path) -> CsvFormat:
    """Return how a CSV file is written.

    Raises
    ------
    InputError
        Its bytes are no text.
    OSError, EOFError, zlib.error, lzma.LZMAError
        It cannot be read or unpacked.
    """
    about = path.stat()
    return _detected(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4096)
def _detected(path: Path, changed_ns: int, size: int) -> CsvFormat:
    with opened(path) as file:
        head = file.read(HEAD_BYTES)
    encoding = encoding_of(head)
    text = _text(path, head, encoding)
    if len(head) == HEAD_BYTES and "\n" in text:  # the last line is cut
        text = text[: text.rindex("\n") + 1]
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter)
    preamble = _preamble(rows)
    header = tuple(cell.strip() for cell in rows[preamble]) if rows else ()
    decimal, thousands = _signs(rows[preamble + 1 :])
    return CsvFormat(encoding, delimiter, preamble, header, decimal, thousands, compression_of(path))


def encoding_of(head: bytes) -> str:
    """Return a text's encoding by its first bytes: its byte order mark, UTF-8, UTF-16 without a mark, or cp1252."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > 0.3 * len(head) / 2 and min(even, odd) == 0:  # Latin letters have one zero byte each
            return "utf-16-be" if even > odd else "utf-16-le"
        return "utf-8"  # and the pass over the file refuses it
    return "utf-8" if is_utf8(head) else "cp1252"


def is_utf8(block: bytes) -> bool:
    """Return whether a block of bytes is UTF-8, cut within a character or not."""
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start >= len(block) - 3
    return True


def _text(path: Path, head: bytes, encoding: str) -> str:
    for cut in range(4):  # a character may be cut at the end of what was read
        try:
            return head[: len(head) - cut].decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                break
    raise refused(path, f"is no text in {encoding}", "Save it as UTF-8.")


def _rows(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == HEAD_ROWS:
                break
    except csv.Error:  # a quotation mark that is not closed: the pass over the file says so
        pass
    return rows


def _delimiter(text: str) -> str:
    """Return the delimiter that gives the rows the most cells, and most rows as many."""
    best, chosen = (0.0, 0), ","
    for delimiter in DELIMITERS:
        counts = [len(row) for row in _rows(text, delimiter)]
        if not counts:
            continue
        usual, times = Counter(counts).most_common(1)[0]
        if usual < 2:
            continue
        score = times / len(counts), usual
        # A comma within the numbers of a file of semicolons gives rows of one length too, but no header of that length.
        if counts[0] not in (usual, usual - 1) and counts[0] < usual:
            score = score[0] / 2, usual
        if score > best:
            best, chosen = score, delimiter
    return chosen


def _preamble(rows: list[list[str]]) -> int:
    """Return how many rows of one cell precede a table of several columns."""
    if len(rows) < 3:
        return 0
    usual, times = Counter(len(row) for row in rows).most_common(1)[0]
    if usual < 2 or times < len(rows) / 2:
        return 0
    found = 0
    while found < min(MOST_PREAMBLE, len(rows) - 2) and sum(bool(cell.strip()) for cell in rows[found]) <= 1:
        found += 1
    return found


def _signs(rows: list[list[str]]) -> tuple[str, str]:
    """Return decimal and thousands sign that the cells show; '.' and '' where they show none, or contradict each other.

    12,5 is no group of thousands, 1,234,567 and 1,234.5 are no decimals; 1,234 alone may be either.
    """
    cells = [cell.strip() for row in rows for cell in row]
    point = any(POINT.fullmatch(cell) and not POINT_GROUPS.fullmatch(cell) for cell in cells)
    decimal = any(COMMA.fullmatch(cell) and not COMMA_GROUPS.fullmatch(cell) for cell in cells)
    after_points = any(POINT_GROUPS.fullmatch(cell) and "," in cell for cell in cells)
    groups = [cell for cell in cells if COMMA_GROUPS.fullmatch(cell)]
    if decimal or after_points:
        return (".", "") if point else (",", "." if after_points else "")
    certain = point or any(cell.count(",") > 1 or "." in cell for cell in groups)
    return (".", ",") if groups and certain else (".", "")
