"""Of a matrix of cases, those that every run takes, spread over its rows and columns; `make accept` takes all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from _pytest.mark import ParameterSet


def chosen(cases: Iterable[Sequence[str]], *, every: int = 1) -> set[tuple[str, ...]]:
    """Return one case of every n-th row, each in the next of its columns; a row is a case but for its last part."""
    rows: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for case in cases:
        rows.setdefault(tuple(case[:-1]), []).append(tuple(case))
    return {own[number % len(own)] for number, own in enumerate(list(rows.values())[::every])}


def sampled(cases: Iterable[Sequence[str]], *, every: int = 1) -> list[ParameterSet]:
    """Return the cases as parameters, all but the chosen ones marked for `make accept`."""
    each = [tuple(case) for case in cases]
    taken = chosen(each, every=every)
    return [pytest.param(*case, marks=() if case in taken else pytest.mark.accept) for case in each]
