"""What a reader leaves out of a sound table: kept with the frame, and said with the other warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import pandas as pd

from finnex.data.names import unread
from finnex.errors import shortened

KEY = "finnex_remarks"
"""In the frame's `attrs`: a table has the columns that its features read, and no room for sentences."""
LEFT_OUT = "finnex_left_out"
SHOWN = 3


def remark(frame: pd.DataFrame, sentences: Sequence[str]) -> pd.DataFrame:
    """Return the frame with sentences about what was not read of its file."""
    frame.attrs[KEY] = [*remarks(frame), *sentences]
    return frame


def remarks(frame: pd.DataFrame | None) -> list[str]:
    """Return the sentences that a reader left with a frame."""
    return [] if frame is None else list(frame.attrs.get(KEY, ()))


def with_left_out(frame: pd.DataFrame, counts: Sequence[Mapping[str, int]]) -> pd.DataFrame:
    """Return the frame with how many rows of symbols that the run does not use were left out of it."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    frame.attrs[LEFT_OUT] = dict(total)
    return frame


def left_out(frame: pd.DataFrame | None) -> dict[str, int]:
    """Return how many rows of each symbol a reader left out, because the run does not use it."""
    return {} if frame is None else dict(frame.attrs.get(LEFT_OUT, {}))


def rows_by_symbol(frame: pd.DataFrame) -> dict[str, int]:
    """Return how many rows each symbol has in the files, those that were left out included."""
    return {str(name): int(count) for name, count in frame["symbol"].value_counts().items()} | left_out(frame)


def some(words: Sequence[object] | npt.NDArray[Any]) -> str:
    """Return the first words, or days, of a list, and how many more there are."""
    shown = ", ".join(shortened(word) for word in words[:SHOWN])
    return shown if len(words) <= SHOWN else f"{shown} and {len(words) - SHOWN} more"


def unread_columns(table: str, given: Iterable[str], read: Iterable[str]) -> list[str]:
    """Say which columns of a file nothing reads, each with the nearest name that is read and that the file lacks."""
    # pandas calls a column without a name so: an index that was written, or a delimiter at the header's end.
    columns, known = [name for name in given if not name.startswith("Unnamed: ")], list(read)
    absent = [name for name in known if name not in columns]
    names = unread([name for name in columns if name not in known], absent)
    if not names:
        return []
    one = len(names) == 1
    return [
        f"{table}: the column{'' if one else 's'} {some(names)} {'is' if one else 'are'} not read. Correct the name "
        "where it is misspelt; otherwise remove the column, or leave it."
    ]


def empty_series(frame: pd.DataFrame) -> list[str]:
    """Say which macro series have rows and no value in any of them."""
    filled = set(frame.loc[frame["value"].notna(), "series"])
    empty = [name for name in frame["series"].unique().tolist() if name and name not in filled]
    return (
        [f"macro: the series {some(empty)}: every value is empty. Give the values, or remove the rows."]
        if empty
        else []
    )
