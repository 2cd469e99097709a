"""What is wrong with a file while its cells are brought to our form: its problems, and the rows that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.csv_file import line_of
from finnex.data.rows import all_named
from finnex.errors import Problem, first_of, shown


@dataclass
class Faults:
    """Problems of one file.

    Attributes
    ----------
    path
        The file.
    problems
        List that problems are added to.
    source
        How the file is written, as far as that is known; to find the line of a row.
    rows
        Rows of the file with a cell at fault. They are left out of what is arranged, so that no reader refuses the
        same cell a second time, in other words.
    whole
        Whether the file cannot be read on.
    symbols
        Whose each row is, by the rows of the file; None before that is known.
    """

    path: Path
    problems: list[Problem]
    source: TableSource | None = None
    rows: set[Any] = field(default_factory=set)
    whole: bool = False
    symbols: pd.Series[Any] | None = None

    def of_cells(self, cells: pd.Series[Any], bad: npt.NDArray[np.bool_], column: str, what: str, remedy: str) -> None:
        """Add a problem for each of the first cells at fault; the last says how many more there are.

        Parameters
        ----------
        cells
            A column, by the rows of the file.
        bad
            (rows,) bool: which cells are at fault.
        column
            Our name of the column.
        what
            What is wrong, as the end of a sentence.
        remedy
            What to do.
        """
        labels = cells.index[bad].tolist()
        self.rows.update(labels)
        self.problems += [
            Problem(
                str(self.path), what, remedy, row=line_of(self.path, int(row), self.source), column=column,
                value=shown(str(cells.at[row])), further=further,
                companies=self._companies(labels[number : number + 1 + further]),
            )
            for number, (row, further) in enumerate(first_of(labels))
        ]  # fmt: skip

    def _companies(self, labels: Sequence[Any]) -> tuple[str, ...]:
        return () if self.symbols is None else all_named(self.symbols.loc[labels])

    def of_file(self, what: str, remedy: str, column: str | None = None) -> None:
        """Add a problem that keeps the file from being read."""
        self.whole = True
        self.problems.append(Problem(str(self.path), what, remedy, column=column))

    def without(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame without the rows that have a problem."""
        return frame if not self.rows else frame[~frame.index.isin(list(self.rows))]
