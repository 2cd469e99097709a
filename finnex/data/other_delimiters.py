"""A CSV file whose cells another character parts than it is read by: the refusal names the character, and its line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

from finnex.config import TableSource
from finnex.data.csv_format import DELIMITERS, CsvFormat, head_of, rows_in, word_of
from finnex.data.matched_columns import UNDER_INPUTS
from finnex.data.table_file import refused, without_header
from finnex.errors import shortened

IN_NAMES: Final = frozenset("-_.'\"()%/")
"""Signs that names of columns have."""
SHARE: Final = 0.9
"""Of the rows: so many have as many cells as the header."""


def refuse_other_delimiter(path: Path, written: CsvFormat, source: TableSource | None, *, ragged: bool = False) -> None:
    """Refuse a file whose header is one column, or whose cells another character parts.

    Parameters
    ----------
    path
        The file.
    written
        How it is read.
    source
        What the configuration says of it.
    ragged
        Whether its rows have other numbers of cells than its header.

    Raises
    ------
    InputError
        With the line of the configuration that names the character.
    """
    alone = len(written.names) == 1
    if not (alone or ragged or written.preamble):
        return
    _, text = head_of(path, written.encoding)
    first = text.lstrip().partition("\n")[0].strip()
    if not first:
        return
    found = None
    if alone or ragged or len(rows_in(first, written.delimiter)[0]) == 1:  # a header may be taken for a title
        found = _parting(text, first, written.delimiter, 2 if alone else 3 if ragged else max(3, len(written.names)))
    if found is None and not alone:
        return
    sign = found or "^"
    place = json.dumps(source.path if source is not None and source.path else path.name, ensure_ascii=False)
    line = f"{{ path = {place}, delimiter = {json.dumps(sign, ensure_ascii=False)} }}"
    if found is None:
        what = f"has one column, '{shortened(first)}': no {word_of(written.delimiter)} parts its cells"
        remedy = f"Write commas between them, or name what does {UNDER_INPUTS}, in the table's line: {line}."
    else:
        what = f"is read with the delimiter {word_of(written.delimiter)}; its first line is '{shortened(first)}'"
        remedy = f"Name what parts its cells {UNDER_INPUTS}, in the table's line: {line}."
    raise refused(path, what, remedy)


def _parting(text: str, first: str, given: str, least: int) -> str | None:
    """Return the character that gives the first line names, and nearly all rows as many cells; None without any."""
    best: tuple[int, bool, str] | None = None
    for sign in dict.fromkeys(first):
        if sign == given or sign.isalnum() or sign in IN_NAMES or not (sign.isprintable() or sign == "\t"):
            continue
        rows = rows_in(text, sign)
        names = [cell.strip() for cell in rows[0]] if rows else []
        if len(names) < least or not all(names) or len(set(names)) < len(names) or without_header(names):
            continue
        times = Counter(len(row) for row in rows)
        if times[len(names)] + times[len(names) + 1] >= SHARE * len(rows) and len(rows) > 1:
            best = max(best or (0, False, ""), (len(names), sign in DELIMITERS, sign))
    return best[2] if best else None
