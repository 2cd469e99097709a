"""Seeded alterations of a table as rows of cells: what `benchmarks.mutations` makes of a CSV file that still is one."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable

CELLS = (
    "", " ", "nan", "NaN", "inf", "-inf", "1e400", "-1e308", "1e308", "1e-308", "5e-324", "0", "-0.0", "-1",
    "99999999999999999999999999", "9223372036854775808", "1" * 5000, "0x10", "1_000", "1,000", "١٢", "1e", "--1",
    "True", "0000-01-01", "0001-01-01", "1677-09-20", "1699-12-31", "1700-01-01", "1900-01-01", "2014-13-01",
    "2014-02-30", "2100-01-01", "2262-04-12", "9999-12-31", "99999-01-01", "10000-01-01", "2015-03-10T25:00:00Z",
    "2015-03-10T12:00:00+99:99", "2015-03-10T12:00:00.123456789012Z", "2015-W10-1", "2015-069", "20150310",
    "03/10/2015", "2015-03-10T16:00:00Z", "2015-03-10 00:00:00", "1425945600", "now", "today", "NaT", "None",
    "null", "a\x1b[31mb", "a\x07b", "a\u202eb", "a\u2028b", "a\u0085b", "\u200b", "é" * 200, "x" * 5000, "[/b]x",
    "{0}", "%s", "../../etc", "BP.", ".", "zarr.json", "A$^$", "NVDA ", "nvda", "\ud7ff\uffff", "\U0001f600",
)  # fmt: skip
"""What cells become: quantities, dates and words at the ends of what types can hold."""
NAMES = (
    "",
    " ",
    "nan",
    "symbol",
    "date",
    "Date",
    "a\x1bb",
    "x" * 3000,
    "position",
    "index",
    "0",
    "é",
    "close",
    "[/b]",
    "available",
    "timestamp",
)
Text = Callable[[list[list[str]], random.Random], list[list[str]]]


def cells(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Change some cells of one column."""
    column = rng.randrange(len(rows[0]))
    for _ in range(rng.choice((1, 1, 5, 50))):
        row = rng.choice(rows[1:] or rows)
        if column < len(row):
            row[column] = rng.choice(CELLS)
    return rows


def whole_column(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Give one column the same odd cell in every row."""
    column, cell = rng.randrange(len(rows[0])), rng.choice(CELLS)
    for row in rows[1:]:
        if column < len(row):
            row[column] = cell
    return rows


def distinct_column(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Give one column another wrong word in every row."""
    column = rng.randrange(len(rows[0]))
    for number, row in enumerate(rows[1:]):
        if column < len(row):
            row[column] = f"word {number} {'z' * rng.randrange(40)}"
    return rows


def scaled_column(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Multiply a column of numbers by a power of ten."""
    column, power = rng.randrange(len(rows[0])), rng.choice((-300, -100, -20, 20, 100, 250, 300))
    for row in rows[1:]:
        if column < len(row):
            try:
                row[column] = repr(float(row[column]) * 10.0**power)
            except ValueError:
                continue
    return rows


def renamed(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Give a column another name, perhaps that of another one."""
    rows[0][rng.randrange(len(rows[0]))] = rng.choice((*NAMES, *rows[0]))
    return rows


def dropped(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Take a column out."""
    column = rng.randrange(len(rows[0]))
    return [row[:column] + row[column + 1 :] for row in rows]


def doubled(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Let a column stand twice."""
    column = rng.randrange(len(rows[0]))
    return [[*row, *row[column : column + 1]] for row in rows]


def widened(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Add columns, up to thousands."""
    number, cell = rng.choice((1, 50, 8000, 21_000)), rng.choice(("", "1.5", "x"))
    rows = rows[: 20 if number > 50 else len(rows)]
    return [row + ([f"extra_{i}" for i in range(number)] if row is rows[0] else [cell] * number) for row in rows]


def ragged(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Give some rows fewer or more cells."""
    for _ in range(rng.choice((1, 20))):
        row = rng.choice(rows)
        if rng.random() < 0.5 and row:
            row.pop()
        else:
            row.append(rng.choice(CELLS))
    return rows


def shuffled(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Change the order of rows."""
    body = rows[1:]
    rng.shuffle(body)
    return [rows[0], *body]


def repeated(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Repeat rows."""
    return rows + rows[1:] * rng.choice((1, 30)) if len(rows) < 1000 else rows + rows[1:]


def header_only(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Keep the header and at most two rows."""
    return rows[: rng.choice((1, 2, 3))]


def huge_cell(rows: list[list[str]], rng: random.Random) -> list[list[str]]:
    """Make one cell long."""
    row = rng.choice(rows)
    row[rng.randrange(len(row))] = rng.choice(("x", "1", "é", "a b ", "1,2\n")) * rng.choice(
        (10_000, 300_000, 10_000_000)
    )
    return rows


ROWS: tuple[Text, ...] = (
    cells, cells, cells, whole_column, distinct_column, scaled_column, renamed, dropped, doubled, widened, ragged,
    shuffled, repeated, header_only, huge_cell,
)  # fmt: skip


def in_rows(data: bytes, rng: random.Random) -> bytes:
    """Alter a CSV file as rows of cells."""
    # The limit belongs to the whole process: other readers of it keep theirs.
    limit = csv.field_size_limit(1 << 30)
    try:
        # What was altered before may hold any line ends, NUL characters, and lines without a cell.
        rows = list(csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline="")))
    finally:
        csv.field_size_limit(limit)
    for _ in range(rng.choice((1, 1, 2))):
        if rows:
            rows = rng.choice(ROWS)([row or [""] for row in rows], rng)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")
