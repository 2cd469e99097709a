"""A table's file before its cells are read: may it still be arriving, and how it is refused as a whole."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from finnex.errors import LONGEST_SENTENCE, InputError, Problem, shortened

JUST_WRITTEN_SECONDS = 600.0
"""A file that changed so lately may still be arriving; a night waits for it, a build refuses it."""
MOST_COLUMNS = 10_000
"""Each takes a millisecond to read; an image has room for a few hundred."""

NO_NAME = re.compile(r"[-+.,:/ T\d]*\d[-+.,:/ TZ\d]*")
LEAST_CELLS = 3
"""Numbers of a first row that can hardly be names."""


def is_young(path: Path) -> bool:
    """Return whether a file changed within the last ten minutes."""
    try:
        return time.time() - path.stat().st_mtime < JUST_WRITTEN_SECONDS
    except OSError:
        return False


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a file that a parser refuses as a whole; a young one may be arriving."""
    said = shortened(" ".join(str(error).split()), LONGEST_SENTENCE // 2)
    if is_young(path):
        what, remedy = f"is still arriving, or damaged: {said}", "Wait until it has arrived, or give it again."
    else:
        what, remedy = f"cannot be read: {said}", "Give a whole CSV or Parquet file, plain or gzip."
    return InputError([Problem(str(path), what, remedy)])


def refused(path: Path, what: str, remedy: str, column: str | None = None) -> InputError:
    """Return the error for a file, or one of its columns, that is refused as a whole.

    Parameters
    ----------
    path
        File that is refused.
    what
        What is wrong.
    remedy
        What to do.
    column
        The column that is wrong; None where it is the whole file.

    Returns
    -------
    InputError
        The error, to be raised.
    """
    return InputError([Problem(str(path), what, remedy, column=column)])


def check_columns(path: Path, names: Sequence[str]) -> None:
    """Refuse the header of a table.

    Raises
    ------
    InputError
        It has more columns than any table, no names of columns, or the same column twice.
    """
    if without_header(names):
        row = shortened(", ".join(names), LONGEST_SENTENCE // 4)
        raise refused(
            path, f"has no names of columns, but {row}",
            "Name them, in CSV by a row above the others; docs/inputs.md and docs/presets.md list what is read.",
        )  # fmt: skip
    if len(names) > MOST_COLUMNS:
        raise refused(
            path, f"has {len(names)} columns, more than {MOST_COLUMNS}", "Leave out those that nothing reads."
        )
    again = [name for name, times in Counter(names).items() if times > 1]
    if again:
        raise refused(path, "the column appears twice", "Keep one, or give each a name of its own.", again[0])


def without_header(names: Iterable[str]) -> bool:
    """Return whether a file's first row is of numbers, times and blanks: no names of columns.

    Examples
    --------
    >>> without_header(["1709856000000", "10.5", "11", "9.8", ""])
    True
    >>> without_header(["date", "2020", "2021", "2022"])
    False
    """
    given = [name for name in names if name and not name.startswith("Unnamed: ")]
    return len(given) >= LEAST_CELLS and all(NO_NAME.fullmatch(name) for name in given)
