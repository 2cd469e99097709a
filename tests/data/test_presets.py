"""A vendor's file, made up in the vendor's own shape, comes out as our table: the right value in each cell."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from finnex.config.table_source import TableSource
from finnex.data.arrange import FILE_NAMES, arranged
from finnex.data.preset import preset_of
from finnex.errors import Problem
from tests.helpers.vendor_files import bar, cells_of, parts_of, refused, rows_of, said, typed

HISTORY = """
Date,Open,High,Low,Close,Volume,Dividends,Stock Splits
2024-03-06 00:00:00-05:00,10,11,9,10.5,1000,0.0,0.0
2024-03-11 00:00:00-04:00,2.1,2.2,2,2.15,5000,0.1,5.0
"""
DAYS = ("2024-03-06 00:00:00-05:00", "2024-03-11 00:00:00-04:00")


def test_yfinance_history() -> None:
    (part,) = parts_of(HISTORY, "prices", "yfinance", symbol="ACME")
    assert rows_of(part) == [bar(DAYS[0], 10, 11, 9, 10.5, 1000), bar(DAYS[1], 2.1, 2.2, 2, 2.15, 5000)]
    assert "no Adj Close" in said(part)


def test_yfinance_splits_feed_the_table_of_splits() -> None:
    (part,) = parts_of(HISTORY, "splits", "yfinance", symbol="ACME")
    assert rows_of(part) == [{"date": DAYS[1], "ratio": 5.0, "symbol": "ACME"}]
    assert list(part.index) == [1]


def test_yfinance_close_is_read_where_there_is_an_adjusted_close_too() -> None:
    text = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-03-06,10,11,9,10.5,9.9,1000\n"
    (part,) = parts_of(text, "prices", "yfinance", symbol="ACME")
    assert rows_of(part) == [bar("2024-03-06", 10, 11, 9, 10.5, 1000)]
    assert "Close is used" in said(part)


TWO_TICKERS = {
    "Price first": "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
    "Ticker,ACME,LOW,ACME,LOW,ACME,LOW,ACME,LOW,ACME,LOW\nDate,,,,,,,,,,\n"
    "2024-03-06,10.5,,11,,9,,10,,1000,\n2024-03-07,10.6,20.5,11,21,9,19,10,20,1100,500\n",
    "Ticker first": "Ticker,LOW,LOW,LOW,LOW,LOW,ACME,ACME,ACME,ACME,ACME\n"
    "Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume\nDate,,,,,,,,,,\n"
    "2024-03-06,,,,,,10,11,9,10.5,1000\n2024-03-07,20,21,19,20.5,500,10,11,9,10.6,1100\n",
    "merged cells": "Ticker,LOW,,,,,ACME,,,,\n"
    "Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume\nDate,,,,,,,,,,\n"
    "2024-03-06,,,,,,10,11,9,10.5,1000\n2024-03-07,20,21,19,20.5,500,10,11,9,10.6,1100\n",
}


@pytest.mark.parametrize("text", TWO_TICKERS.values(), ids=TWO_TICKERS)
def test_yfinance_download_of_several_tickers_in_either_order(text: str) -> None:
    frame, levels = cells_of(text, 3)
    for cells in (frame, typed(frame)):
        problems: list[Problem] = []
        source = TableSource(path="all.csv", preset="yfinance", symbol="LOW")  # the header's tickers go before
        parts = arranged(cells, levels, "prices", preset_of("yfinance", "prices", Path()), source, Path("x"), problems)
        assert not problems
        found = {row["symbol"]: rows_of(part) for part in parts for row in rows_of(part)}
        wanted = {
            "ACME": [bar("2024-03-06", 10, 11, 9, 10.5, 1000), bar("2024-03-07", 10, 11, 9, 10.6, 1100)],
            "LOW": [bar("2024-03-07", 20, 21, 19, 20.5, 500, symbol="LOW")],
        }
        assert found == wanted
        low = next(part for part in parts if rows_of(part)[0]["symbol"] == "LOW")
        assert list(low.index) == [1]
        assert low.attrs[FILE_NAMES]["close"] == "Close, LOW"
        assert "LOW: a row is left out" in said(low)


@pytest.mark.parametrize(
    "names",
    [
        ["('Close', 'ACME')", "('High', 'ACME')", "('Low', 'ACME')", "('Open', 'ACME')", "('Volume', 'ACME')"],
        ["('ACME', 'Close')", "('ACME', 'High')", "('ACME', 'Low')", "('ACME', 'Open')", "('ACME', 'Volume')"],
        ["Close_ACME", "High_ACME", "Low_ACME", "Open_ACME", "Volume_ACME"],
        ["ACME Close", "ACME High", "ACME Low", "ACME Open", "ACME Volume"],
    ],
)
def test_yfinance_parquet_has_its_day_last_and_levels_in_one_name(names: list[str]) -> None:
    columns = {name: [value] for name, value in zip(names, (10.5, 11.0, 9.0, 10.0, 1000.0), strict=True)}
    frame = pd.DataFrame(columns | {"Date": [pd.Timestamp("2024-03-06")]})
    (part,) = parts_of(frame, "prices", "yfinance")
    assert rows_of(part) == [bar("2024-03-06", 10, 11, 9, 10.5, 1000)]


@pytest.mark.parametrize(
    "text",
    [
        "Price,Date,Close,High,Low,Open,Volume\nTicker,,ACME,ACME,ACME,ACME,ACME\n0,2024-03-06,10.5,11,9,10,1000\n",
        "Date,Close,High,Low,Open,Volume\n,ACME,ACME,ACME,ACME,ACME\n2024-03-06,10.5,11,9,10,1000\n",
        ",Close,High,Low,Open,Volume\n,ACME,ACME,ACME,ACME,ACME\n2024-03-06,10.5,11,9,10,1000\n",
    ],
)
def test_yfinance_tickers_in_a_second_row_without_one_for_the_day(text: str) -> None:
    (part,) = parts_of(text, "prices", "yfinance")
    assert rows_of(part) == [bar("2024-03-06", 10, 11, 9, 10.5, 1000)]
    assert list(part.index) == [1]


@pytest.mark.parametrize("at", [0, 2, 5])
def test_the_day_may_be_any_column_of_a_header_of_two_levels(at: int) -> None:
    names = ["Close", "High", "Low", "Open", "Volume"]
    frame = pd.DataFrame([[10.5, 11.0, 9.0, 10.0, 1000.0]], columns=names)
    frame.insert(at, "Date", pd.Series([pd.Timestamp("2024-03-06")]))
    level = ["ACME"] * 5
    level.insert(at, "")
    problems: list[Problem] = []
    source = TableSource(path="x.parquet", preset="yfinance")
    preset = preset_of("yfinance", "prices", Path())
    (part,) = arranged(frame, (tuple(level),), "prices", preset, source, Path("x"), problems)
    assert not problems
    assert rows_of(part) == [bar("2024-03-06", 10, 11, 9, 10.5, 1000)]


def test_yfinance_splits_of_several_tickers() -> None:
    text = (
        "Price,Close,Close,Stock Splits,Stock Splits\nTicker,ACME,LOW,ACME,LOW\nDate,,,,\n"
        "2024-03-06,10.5,20.5,0.0,0.0\n2024-03-07,5.3,20.5,2.0,0.0\n2024-03-08,5.3,2.1,0.0,10.0\n"
    )
    parts = parts_of(text, "splits", "yfinance", levels=3)
    assert [row for part in parts for row in rows_of(part)] == [
        {"date": "2024-03-07", "symbol": "ACME", "ratio": 2.0},
        {"date": "2024-03-08", "symbol": "LOW", "ratio": 10.0},
    ]


def test_a_field_that_a_ticker_has_twice_is_refused() -> None:
    text = "Price,Close,Close\nTicker,ACME,ACME\nDate,,\n2024-03-06,10.5,20.5\n"
    frame, levels = cells_of(text, 3)
    problems: list[Problem] = []
    source = TableSource(path="x.csv", preset="yfinance")
    assert not arranged(frame, levels, "prices", preset_of("yfinance", "prices", Path()), source, Path("x"), problems)
    assert [one.column for one in problems] == ["Close, ACME"]


ADJUSTED = """
timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient
2024-03-08,21,22,20,21.5,21.5,400,0.0000,1.0
2024-03-07,20,21,19,20,20,500,0.0000,2.0
2024-03-06,40,42,38,41,20.5,100,0.0000,1.0
2024-03-05,120,126,114,123,20.4,10,0.0000,3.0
2024-03-04,360,378,342,369,20.3,1,0.5000,1.0
"""


def test_alpha_vantage_daily_adjusted_is_adjusted_by_its_split_coefficients() -> None:
    (part,) = parts_of(ADJUSTED, "prices", "alpha_vantage", "daily_adjusted_ACME.csv")
    assert rows_of(part) == [
        bar("2024-03-08", 21, 22, 20, 21.5, 400),
        bar("2024-03-07", 20, 21, 19, 20, 500),
        bar("2024-03-06", 20, 21, 19, 20.5, 200),
        bar("2024-03-05", 60, 63, 57, 61.5, 20),
        bar("2024-03-04", 60, 63, 57, 61.5, 6),
    ]
    assert "adjusted for 2 splits by split_coefficient" in said(part)


def test_alpha_vantage_splits() -> None:
    (part,) = parts_of(ADJUSTED, "splits", "alpha_vantage", symbol="ACME")
    assert rows_of(part) == [
        {"date": "2024-03-07", "ratio": 2.0, "symbol": "ACME"},
        {"date": "2024-03-05", "ratio": 3.0, "symbol": "ACME"},
    ]


def test_alpha_vantage_daily_says_that_its_prices_are_as_traded() -> None:
    text = "timestamp,open,high,low,close,volume\n2024-03-08,21,22,20,21.5,400\n"
    (part,) = parts_of(text, "prices", "alpha_vantage", "daily_ACME (1).csv")
    assert rows_of(part) == [bar("2024-03-08", 21, 22, 20, 21.5, 400)]
    assert "as they were traded" in said(part)


def test_a_split_ratio_that_is_none_is_refused_with_its_row() -> None:
    problems = refused(ADJUSTED.replace("2.0\n", "-2\n"), "prices", "alpha_vantage", symbol="ACME")
    assert [(one.row, one.column, one.value) for one in problems] == [(3, "split_coefficient", "'-2'")]


def test_nasdaq() -> None:
    text = (
        'Date,Close/Last,Volume,Open,High,Low\n03/08/2024,"$1,224.93","1,294,380",$1200,"$1,230.5",$1199.0\n'
        "11/07/2023,$9.5,N/A,$9.4,$9.6,$9.3\n"
    )
    (part,) = parts_of(text, "prices", "nasdaq", symbol="ACME")
    assert rows_of(part) == [
        bar("2024-03-08", 1200, 1230.5, 1199, 1224.93, 1294380),
        {**bar("2023-11-07", 9.4, 9.6, 9.3, 9.5, 0), "volume": ""},
    ]


def test_nasdaq_a_cell_that_is_no_amount_is_refused_and_its_row_left_out() -> None:
    text = (
        "Date,Close/Last,Volume,Open,High,Low\n"
        "03/08/2024,$1,2,$1,$1,$1\n03/07/2024,$x,2,$1,$1,$1\n13/45/2024,$1,2,$1,$1,$1\n"
    )
    problems = refused(text, "prices", "nasdaq", symbol="ACME")
    assert [(one.row, one.column, one.value) for one in problems] == [
        (4, "date", "'13/45/2024'"),
        (3, "close", "'$x'"),
    ]
    assert "date_format" in problems[0].remedy


def test_fred_one_series_and_when_its_values_count_as_known() -> None:
    # 2023-12-29 is a Friday, followed by a weekend and a holiday; 2024-01-02 is the first business day after it.
    text = "observation_date,DGS10\n2023-12-29,3.88\n2024-01-01,.\n2024-01-02,3.95\n"
    (part,) = parts_of(text, "macro", "fred")
    assert rows_of(part) == [
        {"date": "2023-12-29", "value": 3.88, "series": "DGS10", "available_date": "2024-01-02"},
        {"date": "2024-01-01", "value": "", "series": "DGS10", "available_date": "2024-01-02"},
        {"date": "2024-01-02", "value": 3.95, "series": "DGS10", "available_date": "2024-01-03"},
    ]
    assert "1 business day after its date" in said(part)
    assert "as published today, after later revisions" in said(part)


def test_fred_several_series_side_by_side() -> None:
    text = "DATE,UNRATE,GDP\n2024-01-01,3.7,27956.9\n2024-02-01,3.9,\n2024-03-01,3.8,\n2024-04-01,3.9,28269.1\n"
    parts = parts_of(text, "macro", "fred")
    found = {part["series"].iloc[0]: rows_of(part) for part in parts}
    assert [(row["date"], row["value"], row["available_date"]) for row in found["UNRATE"]] == [
        ("2024-01-01", 3.7, "2024-02-11"),
        ("2024-02-01", 3.9, "2024-03-11"),
        ("2024-03-01", 3.8, "2024-04-11"),
        ("2024-04-01", 3.9, "2024-05-11"),
    ]
    assert [(row["date"], row["value"], row["available_date"]) for row in found["GDP"] if row["value"] != ""] == [
        ("2024-01-01", 27956.9, "2024-05-03"),
        ("2024-04-01", 28269.1, "2024-08-02"),
    ]
    assert [part.attrs[FILE_NAMES]["value"] for part in parts] == ["GDP", "UNRATE"]


def test_a_file_under_our_own_names_is_named_as_such() -> None:
    ours = "symbol,date,open,high,low,close,volume\nACME,2024-03-08,1,2,1,2,5"
    [problem] = refused(ours, "prices", "yahoo")
    assert "leave preset out" in str(problem)
    [problem] = refused("Date,Close/Last,Volume,Open,High,Low\n03/08/2024,$2,5,$1,$2,$1", "prices", "yahoo")
    assert 'preset = "nasdaq"' in str(problem)
    assert "columns = { close =" in str(problem)
