"""The column `direction` of a catalogue: it describes features and draws nothing, so that no hash contains it."""

from __future__ import annotations

import csv
import io
import re
from functools import cache
from importlib import resources
from typing import Literal

from finnex.errors import shortened

Direction = Literal["bullish", "stress", "none"]
DIRECTIONS: tuple[Direction, ...] = ("bullish", "stress", "none")
COLUMN = "direction"
UNSTATED: Direction = "none"
"""Direction of a feature of its own in a catalogue that has no column `direction`."""

_CELL = re.compile(r'((?:"(?:[^"]|"")*+")?+[^,\r\n]*+)(,|\r\n|\n|\r|\Z)')
"""A cell as it is written, quotation marks included, and what ends it."""


def read_direction(word: str) -> Direction:
    """Return the direction that a cell names.

    Raises
    ------
    ValueError
        It names none.
    """
    for direction in DIRECTIONS:
        if word == direction:
            return direction
    raise ValueError(
        f"direction '{shortened(word)}' is unknown. Write bullish where brighter is more bullish, stress where it is "
        "more stress, none where it is neither."
    )


def bundled_text() -> str:
    """Return the text of the bundled catalogue."""
    return (resources.files("finnex.layout") / "catalogue.csv").read_text(encoding="utf-8")


@cache
def bundled_directions() -> dict[str, Direction]:
    """Return the direction of every bundled feature by name: what a catalogue without the column goes by."""
    return {row["name"]: read_direction(row[COLUMN]) for row in csv.DictReader(io.StringIO(bundled_text()))}


def has_directions(catalogue: str) -> bool:
    """Whether a catalogue's text has the column."""
    return drawn_text(catalogue) != catalogue


def drawn_text(catalogue: str) -> str:
    """Return a catalogue's text without the cells of its column `direction`; every other character stays.

    A catalogue draws the same with the column, with other directions, and without it. The text need not be valid.
    """
    rows: list[tuple[list[str], list[str]]] = [([], [])]
    for cell, end in _CELL.findall(catalogue):
        rows[-1][0].append(cell)
        rows[-1][1].append(end)
        if end != ",":
            rows.append(([], []))
    header = [cell.strip('"') for cell in rows[0][0]]
    if COLUMN not in header:
        return catalogue
    at = header.index(COLUMN)
    for cells, ends in rows:
        if at < len(cells) and len(cells) > 1:
            last = at == len(cells) - 1
            del cells[at]
            del ends[at - 1 if last else at]  # the comma after it; of the last cell, the comma before it
    return "".join(part for cells, ends in rows for pair in zip(cells, ends, strict=True) for part in pair)
