"""Files that users write for FinNeX, read with limits: their text, and its parsed TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finnex.errors import first_line, shortened, shown

MOST_BYTES = 1 << 20
"""Five times the bundled catalogue and more than a hundred thousand symbols."""
DEEPEST = 20
"""Tables and lists within each other; no key of FinNeX lies deeper than four."""
LONGEST = 4096
"""Characters of a key or a text: the longest path that Linux takes."""
LARGEST = 2**63 - 1
PARTS = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
TOO_DEEP = re.compile(rf"(?<![\w-]){PARTS}(?:[ \t]*+\.[ \t]*+{PARTS}){{{DEEPEST}}}")
"""A dotted key of many parts: the parser takes the square of their number."""


def read_text(path: Path) -> str:
    """Return the text of a small file, without a byte order mark.

    Raises
    ------
    ValueError
        It cannot be read, is no UTF-8 or is longer than `MOST_BYTES`; the sentence follows the file's name.
    """
    try:
        if not path.is_file():
            raise ValueError("cannot be read (no such file)")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    if len(data) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES >> 20} MB, and is no file of settings. Take out what is not used")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start}). Save it as UTF-8") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text says.

    Raises
    ------
    ValueError
        It is no TOML, or holds what no settings hold: long texts, control characters, numbers beyond 64 bits, deep
        nesting. The sentence follows the file's name.
    """
    if (dotted := TOO_DEEP.search(_without_comments(text))) is not None:
        raise ValueError(f"has a key of more than {DEEPEST} parts: {shortened(dotted.group(), 40)}. Correct it")
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python reads
        raise ValueError(f"is not valid TOML: {first_line(error)}") from None
    except RecursionError:
        raise ValueError(f"is nested deeper than {DEEPEST} tables and lists. Correct it") from None
    if fault := next(_faults(document, (), 0), None):
        raise ValueError(fault)
    return document


def _without_comments(text: str) -> str:
    return re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE)


def _faults(value: Any, place: tuple[str, ...], depth: int) -> Iterator[str]:
    where = f"key '{shortened('.'.join(place))}'"
    if depth > DEEPEST:
        yield f"is nested deeper than {DEEPEST} tables and lists at {where}. Correct it"
    elif isinstance(value, dict):
        for key, inner in value.items():
            if fault := _fault_of_text(key):
                yield f"has a key that {fault}: {shown(key)}. Correct it"
            yield from _faults(inner, (*place, key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _faults(inner, place, depth + 1)
    elif isinstance(value, str):
        if fault := _fault_of_text(value):
            yield f"{where}: the text {fault}: {shown(value)}. Correct it"
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield f"{where}: the number has more than 64 bits. Correct it"


def _fault_of_text(text: str) -> str:
    if len(text) > LONGEST:
        return f"has {len(text)} characters, more than {LONGEST}"
    return "holds a control character" if any(one < " " and one not in "\n\t" for one in text) else ""
