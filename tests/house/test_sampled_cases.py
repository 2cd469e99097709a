"""What every run takes of two matrices of damages has each kind and each array; `make accept` takes all."""

from __future__ import annotations

from _pytest.mark import ParameterSet

from tests.helpers.sampled_cases import sampled
from tests.pipeline import test_damaged_builds as builds
from tests.store import test_repair as repairs


def taken(cases: list[ParameterSet]) -> list[tuple[str, str]]:
    return [(str(one.values[0]), str(one.values[1])) for one in cases if not one.marks]


def array(place: str) -> str:
    """Return the array of a file of a company, its metadata's or a chunk's; the place itself elsewhere."""
    inside = place.removeprefix("NVDA/").removeprefix("A/")
    return inside.partition("/")[0] if "/c" in inside or inside.endswith("/zarr.json") else place


def test_one_case_of_every_nth_row_is_taken_each_in_the_next_column() -> None:
    square = [(row, column) for row in "abcd" for column in "wxyz"]
    assert taken(sampled(square)) == [("a", "w"), ("b", "x"), ("c", "y"), ("d", "z")]
    assert taken(sampled(square, every=2)) == [("a", "w"), ("c", "x")]
    assert [one.values for one in sampled(square, every=2)] == square
    assert {mark.name for one in sampled(square, every=2) for mark in one.marks} == {"accept"}  # type: ignore[union-attr]


def test_every_kind_of_damage_and_every_array_is_in_every_run() -> None:
    for cases in (builds.CASES, repairs.CASES, repairs.OF_METADATA):
        assert {kind for _, kind in taken(cases)} == {str(one.values[1]) for one in cases}
        assert len(taken(cases)) < len(cases) / 3
    every = [*builds.CASES, *repairs.CASES, *repairs.OF_METADATA]
    found = {array(place) for place, _ in taken(every)} | {array(f"A/{name}") for name in repairs.ONLY_WITH_CONSENT}
    folders = set(builds.FOLDERS)
    assert {array(str(one.values[0])) for one in every} - folders - found == set()
    assert len(folders & {place for place, _ in taken(builds.CASES)}) >= 3


def test_every_change_and_every_state_of_a_company_is_in_every_run() -> None:
    marks = repairs.test_no_entry_of_the_journal_keeps_a_repaired_store_from_being_built.pytestmark
    (cases,) = (mark.args[1] for mark in marks if mark.name == "parametrize")
    kept = [one.values for one in cases if not one.marks]
    assert {case[:2] for case in kept} == {one.values[:2] for one in cases}
    assert {case[2] for case in kept} == {one.values[2] for one in cases}
