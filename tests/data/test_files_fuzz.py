"""Files as vendors and people write them, whole and altered: right values, or a message; never a traceback."""

from __future__ import annotations

import pytest

from benchmarks.fuzz_files import ALTERATIONS, run_case, written_case
from benchmarks.random_files import SHAPES

CASES = 120


def test_whole_files_give_what_was_written_and_altered_ones_give_it_or_a_message() -> None:
    found = [run_case(case, seed=7) for case in range(CASES)]
    assert [f"case {case}: {one.fault}" for case, one in enumerate(found) if one.fault] == []
    whole = [one for one in found if not one.altered]
    assert len(whole) > CASES / 4
    assert {one.answer for one in whole} == {"read"}
    assert len({one.shape for one in whole}) == len({shape.__name__ for shape in SHAPES})
    assert {one.altered for one in found} >= set(ALTERATIONS)
    assert sum(one.answer == "InputError" for one in found) > CASES / 10, "alterations are noticed"


def test_the_run_finds_a_price_that_is_read_wrong() -> None:
    case = next(number for number in range(100) if not written_case(number, 7)[1])
    assert "bars are not what was written" in run_case(case, seed=7, control=True).fault


@pytest.mark.parametrize("case", [3, 8])
def test_a_case_is_the_same_each_time(case: int) -> None:
    first, second = written_case(case, 7), written_case(case, 7)
    assert first[1] == second[1]
    assert first[0].bars.equals(second[0].bars)
    assert first[0].source == second[0].source


@pytest.mark.parametrize("case", [758, 1048])
def test_parquet_with_damaged_pages_is_refused(case: int) -> None:
    """An index beyond its dictionary, and a text that is no UTF-8: both once ended in a traceback."""
    found = run_case(case, seed=1)
    assert (found.shape, found.altered, found.answer, found.fault) == ("parquet", "byte replaced", "InputError", "")
