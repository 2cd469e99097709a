"""From a row of a frame to its place: a file, and a line of it as an editor counts them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import TableSource
from finnex.data.csv_file import line_of


@dataclass(frozen=True)
class Rows:
    """Where the rows of a frame that was put together from files came from.

    Attributes
    ----------
    files
        Path of each file, and how it is read.
    file, row
        (rows,) integers: for each row of the frame, by its label, the file's number and the row in it, from 0.
    symbols
        By label, whose each row is; None in a table of no companies.
    """

    files: Sequence[tuple[Path, TableSource | None]]
    file: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    symbols: pd.Series[Any] | None = None

    def place(self, label: int) -> tuple[str, int]:
        """Return file and line of a row."""
        path, source = self.files[int(self.file[label])]
        return str(path), line_of(path, int(self.row[label]), source)


Where = Path | Rows
"""The file of a column, whose index is the row in it, or the rows of several."""


def place_of(where: Where, label: int) -> tuple[str, int]:
    """Return file and line of a row of a frame."""
    return (str(where), line_of(where, label)) if isinstance(where, Path) else where.place(label)


def companies_of(where: Where, labels: Sequence[int]) -> tuple[str, ...]:
    """Return whose some rows of a frame are; none where that is not known of each."""
    if isinstance(where, Path) or where.symbols is None:
        return ()
    return all_named(where.symbols.loc[list(labels)])


def all_named(symbols: Iterable[Any]) -> tuple[str, ...]:
    """Return the symbols, each one time; none where one of them is empty."""
    found = tuple(dict.fromkeys("" if pd.isna(one) else str(one).strip() for one in symbols))
    return () if "" in found else found
