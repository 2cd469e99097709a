"""A quotation mark that is not closed never takes rows of the table away in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config import TableSource
from finnex.data import parse
from finnex.data.readers import READERS
from finnex.errors import InputError, Problem

NAMES = ("<TICKER>", "<DATE>", "<OPEN>", "<VOL>", "<OPENINT>")
ROWS = [("ACME.US", f"201908{day:02}", f"{500 + day / 4}", f"{day}000", "0") for day in range(1, 29)]


def text_of(rows: list[tuple[str, ...]], end: str = "\n") -> str:
    return end.join([",".join(row) for row in (NAMES, *rows)]) + end


def read(path: Path, *, typed: bool) -> Any:
    return parse.read_cells(path, TableSource(path=path.name), typed=typed)[0]


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("row", [0, 11, 27])
def test_a_mark_that_is_open_at_the_end_is_refused_with_its_row(
    row: int, end: str, typed: bool, tmp_path: Path
) -> None:
    rows = [*ROWS]
    rows[row] = (*rows[row][:-1], '"0')
    path = tmp_path / "p.csv"
    path.write_bytes(text_of(rows, end).encode())
    with pytest.raises(InputError, match=rf"row {row + 2}: a quotation mark is not closed.*Close it"):
        read(path, typed=typed)


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("column", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("rows_between", [1, 2, 9])
def test_two_marks_in_different_rows_are_refused_with_the_row_of_the_first(
    rows_between: int, column: int, typed: bool, tmp_path: Path
) -> None:
    rows = [list(row) for row in ROWS]
    for row in (4, 4 + rows_between):
        rows[row][column] = '"' + rows[row][column]
    path = tmp_path / "p.csv"
    path.write_text(text_of([tuple(row) for row in rows]))
    with pytest.raises(InputError, match="row 6: a cell holds rows of the table"):
        read(path, typed=typed)


def test_a_mark_within_a_word_does_not_hide_one_that_is_open(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text_of([('A"CME', *ROWS[0][1:]), *ROWS[1:9], (*ROWS[9][:-1], '"0'), *ROWS[10:]]))
    with pytest.raises(InputError, match="row 11: a quotation mark is not closed"):
        read(path, typed=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_marks_in_any_places_are_refused_or_take_no_row_away(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = text_of(ROWS)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(len(text_of([])), len(text)))
        text = f'{text[:at]}"{text[at:]}'
    path = tmp_path_factory.mktemp("marks") / "p.csv"
    path.write_text(text)
    try:
        frame = read(path, typed=False)
    except InputError:
        return
    assert len(frame) == len(ROWS)


def test_texts_of_several_lines_and_marks_within_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(
        "symbol,timestamp,source,score,text\n"
        'ACME,2024-03-07T14:00:00Z,news,0.5,"two lines:\nyes, I, think, so, too"\n'
        'ACME,2024-03-07T15:00:00Z,news,0.5,"a list:\n1, 2, 3\n4, 5"\n'
        'ACME,2024-03-07T16:00:00Z,news,0.5,a 27" screen\n'
    )
    problems: list[Problem] = []
    found = READERS["sentiment"](path, problems)
    assert problems == []
    assert len(found) == 3
