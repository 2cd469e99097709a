"""How a CSV file is written: encoding, delimiter, rows before the cells, decimal and thousands signs.

What the file's first rows show is detected; what the configuration or a preset says overrides it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from finnex.config import TableSource
from finnex.data.csv_header import POINT, levels_of, rows_before_header, tickers_below
from finnex.data.file_kind import opened
from finnex.data.table_file import refused

HEAD_BYTES = 256 << 10
"""Of the unpacked file: what is looked at."""
LEAST_LINES, LONGEST_HEAD_BYTES = 3, 16 << 20
"""More is looked at until there are so many lines: a header of thousands of columns is long."""
HEAD_ROWS = 200
SEP_LINE = re.compile(r"sep=(.)\r?\n")
"""First line of a file that is meant for a spreadsheet."""
DELIMITERS = (",", ";", "\t", "|")
MOST_WORDS = 8
"""Words of a column among its numbers that are kept: marks for "no value"."""
COMMA = re.compile(r"[-+]?\d+,\d+")
POINT_GROUPS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
COMMA_GROUPS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
SPACED_GROUPS = {
    sign: re.compile(rf"[-+]?\d{{1,3}}(?:{sign}\d{{3}})+(?:[.,]\d+)?")
    for sign in ("\u00a0", "\u202f", "\u2009", " ", "'", "\u2019")
}
"""Groups of thousands by their sign: spaces of several widths, and the apostrophes of Switzerland."""
CURRENCY = "$€£¥% "
"""Around a number; no sign of how it is written."""
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
        Rows before the header that are no cells.
    levels
        The header's rows: one, or two or three where columns are named by field and security.
    names
        Names of the columns, stripped: the cells of the header's first row; of several levels the first column's name
        is that of the last.
    further_levels
        Where there are several levels, the cells of each after the first, by column.
    decimal, thousands
        Signs within numbers; '' for no thousands sign.
    words
        For each column its first cells that are no numbers, at most `MOST_WORDS`; none for a column of numbers.
    returns
        Whether lines end with a carriage return alone.
    """

    encoding: str
    delimiter: str
    preamble: int
    levels: int
    names: tuple[str, ...]
    further_levels: tuple[tuple[str, ...], ...] = ()
    decimal: str = "."
    thousands: str = ""
    words: tuple[frozenset[str], ...] = ()
    returns: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python writes them."""
        return self.decimal == "." and not self.thousands

    @property
    def rows_before(self) -> int:
        """Rows before the first row of cells."""
        return self.preamble + self.levels

    def said(self, given: TableSource | None = None) -> list[str]:
        """Return what was detected that a plain table does not have, in words; what `given` gives was not detected."""
        given = given or TableSource(path="")
        signs = given.decimal or given.thousands
        found = [] if self.encoding in UTF8 or given.encoding else [f"the encoding {self.encoding}"]
        own = self.delimiter != "," and not given.delimiter
        found += [f"the delimiter {word_of(self.delimiter)}"] if own else []
        rows = "a row" if self.preamble == 1 else f"{self.preamble} rows"
        found += [f"{rows} before the header"] if self.preamble else []
        found += [f"a header of {self.levels} rows"] if self.levels > 1 else []
        found += [] if self.decimal == "." or signs else [f"the decimal sign '{self.decimal}'"]
        return found + ([f"the thousands sign '{self.thousands}'"] if self.thousands and not signs else [])


def word_of(delimiter: str) -> str:
    """Return what a delimiter is called; one without a name in quotes.

    Examples
    --------
    >>> word_of(";"), word_of("^")
    ('semicolon', "'^'")
    """
    words = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}
    return words.get(delimiter, f"'{delimiter}'")


KEYS_OF_WORDS = {
    "the encoding": "encoding",
    "the delimiter": "delimiter",
    "the decimal": "decimal",
    "the thousands": "thousands",
}
"""First words of what `CsvFormat.said` says, and the key of a table that says it instead."""


def remedy_of(said: Sequence[str]) -> str:
    """Return what to do where a detected format is wrong: its keys, of what has one, and the plain form of the file.

    Examples
    --------
    >>> remedy_of(["the delimiter semicolon"]).split(",")[1]
    ' say it with the key delimiter (docs/inputs.md)'
    >>> remedy_of(["a header of 3 rows"])
    'If that is wrong, write one row of names, and the cells from the next row on.'
    """
    keys = [key for words, key in KEYS_OF_WORDS.items() if any(one.startswith(words) for one in said)]
    if not keys:
        return "If that is wrong, write one row of names, and the cells from the next row on."
    named = f"the key{'' if len(keys) == 1 else 's'} {', '.join(keys)}"
    return (
        f"If that is wrong, say it with {named} (docs/inputs.md), or write plain CSV: UTF-8, commas, a decimal point."
    )


def format_of(path: Path, source: TableSource | None = None) -> CsvFormat:
    """Return how a CSV file is written; what `source` gives overrides what the file shows.

    Raises
    ------
    InputError
        Its bytes are no text in the encoding that is given.
    OSError, EOFError, zlib.error, lzma.LZMAError
        It cannot be read or unpacked.
    """
    about = path.stat()
    encoding, delimiter = (source.encoding, source.delimiter) if source is not None else (None, None)
    found = _detected(path, about.st_mtime_ns, about.st_size, encoding, delimiter)
    if source is not None and (source.decimal or source.thousands):
        decimal = source.decimal or ("." if source.thousands != "." else ",")
        found = replace(found, decimal=decimal, thousands=source.thousands or "")
    return found


@lru_cache(maxsize=4096)
def _detected(path: Path, changed_ns: int, size: int, encoding: str | None, delimiter: str | None) -> CsvFormat:
    encoding, text = head_of(path, encoding)
    delimiter = delimiter or _delimiter(text)
    rows = rows_in(text, delimiter)
    preamble = rows_before_header(rows)
    rows = rows[preamble:]
    levels = levels_of(rows)
    names = tuple(cell.strip() for cell in rows[0]) if rows else ()
    further: tuple[tuple[str, ...], ...] = ()
    if levels > 1:
        names = (rows[levels - 1][0].strip(), *names[1:])
        further = tuple(("", *(cell.strip() for cell in row[1:])) for row in rows[1 : levels - 1])
    if levels == 1 and tickers_below(rows):
        levels, names = 2, (names[0] or "Date", *names[1:])
        further = (("", *(cell.strip() for cell in rows[1][1:])),)
    decimal, thousands = _signs(rows[levels:])
    words = _words(rows[levels:], len(names), decimal)
    returns = "\r" in text and "\n" not in text.rstrip("\r\n")
    return CsvFormat(encoding, delimiter, preamble, levels, names, further, decimal, thousands, words, returns)


def head_of(path: Path, encoding: str | None = None) -> tuple[str, str]:
    """Return a file's encoding, detected where it is not given, and the text of its first lines.

    Raises
    ------
    InputError
        Its bytes are no text in the encoding.
    OSError, EOFError, zlib.error, lzma.LZMAError
        It cannot be read or unpacked.
    """
    with opened(path) as file:
        head = block = file.read(HEAD_BYTES)
        while block and head.count(b"\n") < LEAST_LINES and len(head) < LONGEST_HEAD_BYTES:
            head += (block := file.read(HEAD_BYTES))
    encoding = encoding or encoding_of(head)
    text = _text(path, head, encoding)
    end = max(text.rfind("\n"), text.rfind("\r"))
    if len(head) >= HEAD_BYTES and end > 0:  # the last line may be cut
        text = text[: end + 1]
    return encoding, text


def _words(rows: list[list[str]], columns: int, decimal: str) -> tuple[frozenset[str], ...]:
    number = re.compile(rf"\s*-?(?:\d+(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][-+]?\d+)?\s*|")
    found: list[set[str]] = [set() for _ in range(columns)]
    for row in rows:
        for words, cell in zip(found, row, strict=False):
            if len(words) < MOST_WORDS and number.fullmatch(cell) is None:
                words.add(cell.strip())
    return tuple(frozenset(words) for words in found)


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
    remedy = 'Give its encoding: { path = "...", encoding = "latin-1" }, or save it as UTF-8.'
    raise refused(path, f"is not text in {encoding}", remedy)


def rows_in(text: str, delimiter: str) -> list[list[str]]:
    """Return the first rows of a text that are not blank."""
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
    """Return the delimiter that the first line says, or that gives the rows the most cells, and most rows as many."""
    if said := SEP_LINE.match(text):
        return said[1]
    best, chosen = (0.0, 0), ","
    for delimiter in DELIMITERS:
        counts = [len(row) for row in rows_in(text, delimiter)]
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


def _signs(rows: list[list[str]]) -> tuple[str, str]:
    """Return decimal and thousands sign that the cells show; '.' and '' where they show none, or contradict each other.

    12,5 is no group of thousands; 1,234,567, 1.234.567 and 1,234.5 are no decimals; 1,234 alone may be either. Where
    another cell has a decimal comma, 1.234 is a group of thousands.
    """
    cells = [cell.strip(CURRENCY) for row in rows for cell in row]
    spaced = next((sign for sign, group in SPACED_GROUPS.items() if any(map(group.fullmatch, cells))), "")
    if spaced:
        cells = [cell.replace(spaced, "") for cell in cells]
    point = any(POINT.fullmatch(cell) and not POINT_GROUPS.fullmatch(cell) for cell in cells)
    decimal = any(COMMA.fullmatch(cell) and not COMMA_GROUPS.fullmatch(cell) for cell in cells)
    after_points = any(POINT_GROUPS.fullmatch(cell) and ("," in cell or cell.count(".") > 1) for cell in cells)
    groups = [cell for cell in cells if COMMA_GROUPS.fullmatch(cell)]
    if decimal or after_points:
        grouped = after_points or any(POINT_GROUPS.fullmatch(cell) for cell in cells)
        return (".", spaced) if point else (",", spaced or ("." if grouped else ""))
    if spaced:
        return ".", spaced
    certain = point or any(cell.count(",") > 1 or "." in cell for cell in groups)
    return (".", ",") if groups and certain else (".", "")
