from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config import TableSource
from finnex.data.calendar import session_calendar
from finnex.data.point_in_time import known_from
from finnex.data.readers import READERS
from finnex.data.reading import Reading
from finnex.errors import InputError, Problem

PRICES = "symbol,date,open,high,low,close,volume\n"
GOOD = "A,2024-01-02,10,11,9,10.5,1000\nA,2024-01-03,10.5,12,10,11,1200\n"


def problems_of(table: str, text: str, folder: Path) -> list[Problem]:
    path = folder / f"{table}.csv"
    path.write_text(text, encoding="utf-8")
    found: list[Problem] = []
    try:
        READERS[table](path, found)
    except InputError as error:
        found += error.problems
    return found


def test_good_prices_have_no_problem(tmp_path: Path) -> None:
    assert problems_of("prices", PRICES + GOOD, tmp_path) == []


@pytest.mark.parametrize(
    ("row", "column", "value", "word"),
    [
        ("A,2024-01-04,x,12,10,11,1", "open", "'x'", "finite number"),
        ("A,2024-01-04,inf,12,10,11,1", "open", "'inf'", "finite number"),
        ("A,2024-01-04,-10,12,10,11,1", "open", "-10.0", "above zero"),
        ("A,2024-01-04,0,12,10,11,1", "open", "0.0", "above zero"),
        ("A,2024-01-04,10,9,10,9.5,1", "high", "9.0, low 10.0", "below low"),
        ("A,2024-01-04,10,10.2,9,11,1", "high", "10.2, close 11.0", "below open or close"),
        ("A,2024-01-04,10,12,10.5,11,1", "low", "10.5, open 10.0", "above open or close"),
        ("A,2024-01-04,10,12,10,11,-1", "volume", "-1.0", "negative"),
        ("A,04/01/2024,10,12,10,11,1", "date", "'04/01/2024'", "not a date"),
        ("A,2024-13-01,10,12,10,11,1", "date", "'2024-13-01'", "not a date"),
        ("A,2024-01-04,,12,10,11,1", "open", "''", "empty"),
        (",2024-01-04,10,12,10,11,1", "symbol", "''", "empty"),
        ("A,2024-01-03,10,12,10,11,1", "date", "(A, 2024-01-03)", "earlier row"),
    ],
)
def test_a_bad_cell_is_named_by_row_column_and_value(
    row: str, column: str, value: str, word: str, tmp_path: Path
) -> None:
    found = problems_of("prices", PRICES + GOOD + row + "\n", tmp_path)
    assert len(found) == 1
    assert (found[0].row, found[0].column, str(found[0].value)) == (4, column, value)
    assert word in found[0].what
    assert found[0].remedy


def test_all_problems_of_a_file_are_reported_together(tmp_path: Path) -> None:
    rows = "A,2024-01-04,x,12,10,11,1\nA,bad,10,12,10,11,1\nA,2024-01-05,-1,12,10,11,-5\n"
    found = problems_of("prices", PRICES + GOOD + rows, tmp_path)
    assert [(problem.row, problem.column) for problem in found] == [
        (5, "date"),
        (4, "open"),
        (6, "open"),
        (6, "volume"),
    ]


def test_a_missing_column_names_the_nearest_one(tmp_path: Path) -> None:
    found = problems_of("prices", "symbol,date,open,high,low,closing,volume\n" + GOOD, tmp_path)
    assert found[0].column == "close"
    assert "closing" in found[0].remedy


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    assert "no rows" in problems_of("prices", PRICES, tmp_path)[0].what


def test_a_sentiment_stamp_without_a_zone_is_refused(tmp_path: Path) -> None:
    header = "symbol,timestamp,source,score\n"
    assert problems_of("sentiment", header + "A,2024-01-02T10:00:00Z,news,0.5\n", tmp_path) == []
    assert "time zone" in problems_of("sentiment", header + "A,2024-01-02T10:00:00,news,0.5\n", tmp_path)[0].what


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-07",
        "20240307",
        "2024/03/07",
        "2024-03-07 00:00:00",
        "2024-03-07T00:00:00Z",
        "2024-03-07T00:00:00-05:00",
        "20240307T000000Z",
        "2024-03-07T0000Z",
        "2024-03-07T00Z",
        "2024-03-07 00+00:00",
        "2024-03-07 00:00:00 UTC",
        "2024-03-07T00:00:00,000Z",
        "2024-03-07T00:00:00+0530",
        "2024-3-7",
    ],
)
def test_exact_midnight_counts_as_the_date_that_is_written(written: str, tmp_path: Path) -> None:
    """A filing and a headline of 7 March are used from the session of the 8th on, however the date is written."""
    path = tmp_path / "table.csv"
    path.write_text(f'symbol,period_end,available_date,revenue\nACME,2023-12-31,"{written}",1\n')
    filings = READERS["fundamentals"](path, [])
    calendar = session_calendar("XNYS", date(2024, 3, 4), date(2024, 3, 15))
    known = known_from(filings["available"], filings["available_is_date"], calendar)
    assert str(calendar.days[known[0]]) == "2024-03-08"
    path.write_text(f'symbol,timestamp,source,score\nA,"{written}",news,0.5\n')
    stamps = READERS["sentiment"](path, [])["timestamp"].to_numpy()
    assert str(calendar.days[calendar.first_session_knowing(stamps)[0]]) == "2024-03-08"
    path.write_text("symbol,timestamp,source,score\nA,2024-03-07T00:00:01Z,news,0.5\n")
    stamps = READERS["sentiment"](path, [])["timestamp"].to_numpy()
    assert str(calendar.days[calendar.first_session_knowing(stamps)[0]]) == "2024-03-07"


@pytest.mark.parametrize(
    ("written", "session"),
    [
        ("2024-03-07T05:00:00Z", "2024-03-08"),
        ("2024-03-07T06:00:00+01:00", "2024-03-08"),
        ("2024-03-07T05:00:00.5Z", "2024-03-07"),
        ("2024-03-07T04:00:00Z", "2024-03-07"),
    ],
)
@pytest.mark.parametrize(
    ("table", "header", "row"),
    [
        ("macro", "series,date,available_date,value", "CPILFESL,2024-03-01,{},1"),
        ("fundamentals", "symbol,period_end,available_date,revenue", "A,2023-12-31,{},1"),
        ("sentiment", "symbol,timestamp,source,score", "A,{},news,0.5"),
    ],
)
def test_midnight_of_the_declared_zone_counts_as_its_date(
    table: str, header: str, row: str, written: str, session: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{header}\n{row.format(written)}\n")
    calendar = session_calendar("XNYS", date(2024, 3, 4), date(2024, 3, 15))

    def first_session(zone: str | None) -> str:
        reading = Reading(table, TableSource(path="", timezone=zone))
        frame = READERS[table](path, problems, reading)
        if table == "sentiment":
            known = calendar.first_session_knowing(frame["timestamp"].to_numpy())
        else:
            known = known_from(frame["available"], frame["available_is_date"], calendar)
        return str(calendar.days[known[0]])

    problems: list[Problem] = []
    assert first_session("America/New_York") == session
    assert first_session(None) == "2024-03-07", "without a declared zone it is a moment of the night"
    assert problems == []


def test_an_evening_that_is_midnight_elsewhere_is_a_moment(tmp_path: Path) -> None:
    """19:00 in New York is midnight in UTC; a naive stamp of it is neither that date nor used a session late."""
    path = tmp_path / "table.csv"
    path.write_text("symbol,timestamp,source,score\nA,2024-03-07 19:00:00,news,0.5\n")
    stamps = READERS["sentiment"](path, [], Reading("sentiment", TableSource(path="", timezone="America/New_York")))[
        "timestamp"
    ]
    assert stamps.tolist() == [pd.Timestamp("2024-03-08 00:00:00")]
    calendar = session_calendar("XNYS", date(2024, 3, 4), date(2024, 3, 15))
    assert str(calendar.days[calendar.first_session_knowing(stamps.to_numpy())[0]]) == "2024-03-08"


@pytest.mark.parametrize("written", ["2023", "2023-04", "2023/04", "2023-4"])
@pytest.mark.parametrize(
    ("table", "header", "row"),
    [
        ("events", "name,date,announced", "FOMC,2023-06-14,{}"),
        ("competitive", "symbol,date,peer,share", "A,{},B,1"),
        ("macro", "series,date,available_date,value", "VIX,{},2024-01-02,1"),
        ("macro", "series,date,available_date,value", "VIX,2022-01-01,{},1"),
        ("sentiment", "symbol,timestamp,source,score", "A,{},news,0.5"),
        ("prices", PRICES.strip(), "A,{},10,11,9,10,5"),
    ],
)
def test_a_date_without_a_day_is_refused(written: str, table: str, header: str, row: str, tmp_path: Path) -> None:
    found = problems_of(table, f"{header}\n{row.format(written)}\n", tmp_path)
    assert [(problem.what, problem.row, problem.value) for problem in found] == [("names no day", 2, repr(written))]
    assert "the day on which it was known" in found[0].remedy


@pytest.mark.parametrize("word", ["now", "today"])
def test_a_word_for_the_day_of_the_run_is_no_date(word: str, tmp_path: Path) -> None:
    found = problems_of("events", f"name,date,announced\nFOMC,2023-06-14,{word}\n", tmp_path)
    assert [problem.what for problem in found] == ["is not a date"]


def test_a_score_outside_its_range_and_an_unknown_source_are_refused(tmp_path: Path) -> None:
    text = "symbol,timestamp,source,score\nA,2024-01-02T10:00:00Z,news,1.5\nA,2024-01-02T10:00:00Z,blog,0.5\n"
    assert [problem.column for problem in problems_of("sentiment", text, tmp_path)] == ["source", "score"]


def test_a_filing_in_the_future_or_before_its_period_is_refused(tmp_path: Path) -> None:
    ahead = (pd.Timestamp.now() + pd.Timedelta(days=30)).date()
    text = f"symbol,period_end,available_date,revenue\nA,2024-03-31,{ahead},1\nA,2024-03-31,2024-02-01,1\n"
    words = " ".join(problem.what for problem in problems_of("fundamentals", text, tmp_path))
    assert "future" in words
    assert "before its period" in words


def test_parquet_and_csv_read_the_same(tmp_path: Path) -> None:
    csv = tmp_path / "prices.csv"
    csv.write_text(PRICES + GOOD, encoding="utf-8")
    parquet = tmp_path / "prices.parquet"
    frame = pd.read_csv(csv, parse_dates=["date"])
    frame.to_parquet(parquet)
    a, b = READERS["prices"](csv, []), READERS["prices"](parquet, [])
    pd.testing.assert_frame_equal(a, b)


@settings(max_examples=60, deadline=None)
@given(
    cell=st.text(max_size=8),
    column=st.sampled_from(["open", "high", "low", "close", "volume", "date", "symbol"]),
)
def test_any_text_in_a_cell_gives_a_problem_or_a_clean_frame(
    cell: str, column: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    frame = pd.DataFrame(
        {"symbol": ["A", "A"], "date": ["2024-01-02", "2024-01-03"], "open": ["10", "10"], "high": ["12", "12"],
         "low": ["9", "9"], "close": ["11", "11"], "volume": ["5", "5"]}
    )  # fmt: skip
    frame.loc[1, column] = cell
    path = folder / "prices.csv"
    frame.to_csv(path, index=False)
    found: list[Problem] = []
    try:
        table = READERS["prices"](path, found)
    except InputError:
        return
    if not found:
        assert table[["open", "high", "low", "close"]].gt(0).all(axis=None)
        assert (table["high"] >= table["low"]).all()
        assert table["date"].notna().all()
