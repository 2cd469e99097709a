"""Folders that are named key=value, as Hive, Spark and pandas write a table in parts: files, and what names say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

KEY_VALUE: Final = re.compile(r"([^=/]+)=(.*)")
NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
MOST_KEYS: Final = 8
"""Folders within each other: a link to a folder above would have no end."""


def files_below(folder: Path, depth: int = MOST_KEYS) -> list[Path]:
    """Return the files of a folder and of folders in it that are named key=value, in the order of their paths.

    Raises
    ------
    OSError
        A folder may not be looked into.
    """
    found: list[Path] = []
    for one in folder.iterdir():
        if one.is_file():
            found.append(one)
        elif depth and KEY_VALUE.fullmatch(one.name) and one.is_dir():
            found += files_below(one, depth - 1)
    return sorted(found)


def words_of_folders(path: Path) -> dict[str, str]:
    """Return what the folders directly above a file say: key to value, '' where they say that there is none.

    Examples
    --------
    >>> words_of_folders(Path("bars/Symbol=BRK%2FB/year=2020/part-0.parquet"))
    {'Symbol': 'BRK/B', 'year': '2020'}
    >>> words_of_folders(Path("bars/ACME.csv"))
    {}
    """
    found: list[tuple[str, str]] = []
    for folder in path.parents:
        if (pair := KEY_VALUE.fullmatch(folder.name)) is None:
            break
        found.append((pair[1], "" if pair[2] == NO_VALUE else unquote(pair[2])))
    return dict(reversed(found))
