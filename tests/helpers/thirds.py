"""Of a matrix of cases, those that every run takes: each row and each column with a third of the others."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def every_third(cases: Iterable[tuple[str, str]]) -> list[object]:
    """Return the cases as parameters, all but every third of a row and of a column marked for `make accept`."""
    every = list(cases)
    rows, columns = (list(dict.fromkeys(case[axis] for case in every)) for axis in (0, 1))
    return [
        pytest.param(row, column, marks=pytest.mark.accept if (rows.index(row) + columns.index(column)) % 3 else ())
        for row, column in every
    ]
