"""Of a matrix of cases, those that every run takes: a fifth, spread over all rows and columns."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def every_fifth(cases: Iterable[tuple[str, str]]) -> list[object]:
    """Return the cases as parameters, all but every fifth of a row and of a column marked for `make accept`."""
    every = list(cases)
    rows, columns = (list(dict.fromkeys(case[axis] for case in every)) for axis in (0, 1))
    return [
        pytest.param(row, column, marks=pytest.mark.accept if (rows.index(row) + columns.index(column)) % 5 else ())
        for row, column in every
    ]
