"""Stooq, Yahoo, Investing.com, Cboe, ALFRED: cell by cell; and what holds for every preset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from finnex.config.table_source import TableSource
from finnex.data.arrange import FILE_NAMES, IGNORED, arranged
from finnex.data.preset import preset_of
from finnex.errors import Problem
from tests.helpers.vendor_files import bar, cells_of, parts_of, refused, rows_of, said

STOOQ_BULK = """
<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>
ACME.US,D,20240306,000000,10,11,9,10.5,1000,0
BRK-B.US,D,20240307,000000,20,21,19,20.5,500,0
"""


def test_stooq_bulk() -> None:
    (part,) = parts_of(STOOQ_BULK, "prices", "stooq", symbols_as={"BRK-B": "BRK.B"})
    assert rows_of(part) == [
        bar("2024-03-06", 10, 11, 9, 10.5, 1000),
        bar("2024-03-07", 20, 21, 19, 20.5, 500, symbol="BRK.B"),
    ]
    assert set(part.attrs[IGNORED]) == {"<PER>", "<TIME>", "<OPENINT>"}


@pytest.mark.parametrize("name", ["acme_us_d.csv", "acme.us.txt", "ACME.US.csv.gz", "acme_us_d (2).csv"])
def test_stooq_web_csv_is_of_the_symbol_in_its_name(name: str) -> None:
    text = "Date,Open,High,Low,Close,Volume\n2024-03-06,10,11,9,10.5,1000\n"
    (part,) = parts_of(text, "prices", "stooq", name)
    assert rows_of(part) == [bar("2024-03-06", 10, 11, 9, 10.5, 1000)]


def test_yahoos_own_csv_has_the_word_null() -> None:
    text = (
        "Date,Open,High,Low,Close,Adj Close,Volume\n"
        "2024-03-06,10,11,9,10.5,9.9,1000\n2024-03-07,null,null,null,null,null,null\n"
    )
    (part,) = parts_of(text, "prices", "yahoo", symbol="ACME")
    first, second = rows_of(part)
    assert first == bar("2024-03-06", 10, 11, 9, 10.5, 1000)
    assert [second[name] for name in ("date", "open", "close", "volume")] == ["2024-03-07", "", "", ""]


INVESTING = {
    "English": (
        '"Date","Price","Open","High","Low","Vol.","Change %"\n'
        '"03/08/2024","1,210.50","1,200.00","1,211.00","1,190.25","1.25M","0.88%"\n'
        '"03/07/2024","1,200.00","990.00","1,201.00","980.00","950.33K","-1.10%"\n'
        '"02/28/2024","10.00","10.00","11.00","9.00","2.01B","-1.10%"\n'
    ),
    "German": (
        '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"\n'
        '"08.03.2024","1.210,50","1.200,00","1.211,00","1.190,25","1,25M","0,88%"\n'
        '"07.03.2024","1.200,00","990,00","1.201,00","980,00","950,33K","-1,10%"\n'
        '"28.02.2024","10,00","10,00","11,00","9,00","2,01B","-1,10%"\n'
    ),
    "words": (
        '"Date","Price","Open","High","Low","Vol.","Change %"\n'
        '"Mar 08, 2024","1,210.50","1,200.00","1,211.00","1,190.25","1.25M","0.88%"\n'
        '"Mar 07, 2024","1,200.00","990.00","1,201.00","980.00","950.33K","-1.10%"\n'
        '"Feb 28, 2024","10.00","10.00","11.00","9.00","2.01B","-1.10%"\n'
    ),
    "days first, in an order that shows it": (
        '"Date","Price","Open","High","Low","Vol.","Change %"\n'
        '"08/03/2024","1,210.50","1,200.00","1,211.00","1,190.25","1.25M","0.88%"\n'
        '"07/03/2024","1,200.00","990.00","1,201.00","980.00","950.33K","-1.10%"\n'
        '"28/02/2024","10.00","10.00","11.00","9.00","2.01B","-1.10%"\n'
    ),
}


@pytest.mark.parametrize("text", INVESTING.values(), ids=INVESTING)
def test_investing(text: str) -> None:
    (part,) = parts_of(text, "prices", "investing", "ACME Historical Data.csv")
    assert rows_of(part) == [
        bar("2024-03-08", 1200, 1211, 1190.25, 1210.5, 1250000),
        bar("2024-03-07", 990, 1201, 980, 1200, 950330),
        bar("2024-02-28", 10, 11, 9, 10, 2010000000),
    ]


def test_investing_three_decimals_are_no_thousands_where_another_column_shows_the_sign() -> None:
    text = (
        '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"\n'
        '"08.03.2024","147,060","148,050","148,110","146,480","","-0,67%"\n'
    )
    (part,) = parts_of(text, "macro", "investing", "JPY Historical Data.csv", series="DEXJPUS")
    assert rows_of(part)[0]["value"] == 147.06


def test_dates_that_are_both_days_and_months_first_are_refused_with_the_remedy() -> None:
    text = '"Date","Price","Open","High","Low","Vol."\n"03/04/2024","1","1","1","1","1K"\n'
    (problem,) = refused(text, "prices", "investing", symbol="ACME")
    assert "%m/%d/%Y and of %d/%m/%Y" in problem.what
    assert 'date_format = "%m/%d/%Y"' in problem.remedy
    (part,) = parts_of(text, "prices", "investing", symbol="ACME", date_format="%d/%m/%Y")
    assert rows_of(part)[0]["date"] == "2024-04-03"


def test_cboe_history_is_the_series_that_its_name_says_and_vix_otherwise() -> None:
    text = "DATE,OPEN,HIGH,LOW,CLOSE\n03/08/2024,14.4,15.1,14.2,14.74\n"
    wanted = {"date": "2024-03-08", "value": 14.74, "available_date": "2024-03-08"}
    for name, series in (("VIX_History.csv", "VIX"), ("VIX9D_History.csv", "VIX9D"), ("cboe.csv", "VIX")):
        (part,) = parts_of(text, "macro", "cboe", name)
        assert rows_of(part) == [{**wanted, "series": series}]
    (part,) = parts_of("DATE,VVIX\n03/08/2024,79.5\n", "macro", "cboe")
    assert rows_of(part) == [{**wanted, "value": 79.5, "series": "VVIX"}]


VINTAGES = """
realtime_start,realtime_end,date,value
2024-02-02,2024-03-07,2024-01-01,3.7
2024-03-08,9999-12-31,2024-01-01,3.8
2024-03-08,9999-12-31,2024-02-01,3.9
"""


def test_alfred_vintages_count_from_the_day_they_were_known() -> None:
    (part,) = parts_of(VINTAGES, "macro", "fred", "UNRATE.csv")
    assert [(row["date"], row["available_date"], row["value"], row["series"]) for row in rows_of(part)] == [
        ("2024-01-01", "2024-02-02", 3.7, "UNRATE"),
        ("2024-01-01", "2024-03-08", 3.8, "UNRATE"),
        ("2024-02-01", "2024-03-08", 3.9, "UNRATE"),
    ]
    assert "after later revisions" not in said(part)


def test_alfred_vintages_side_by_side_keep_what_is_new_in_each() -> None:
    text = (
        "observation_date,GDP_20240425,GDP_20240328,GDP_20240530\n"
        "2023-10-01,27957.0,27956.9,27957.0\n2024-01-01,28284.5,,28255.9\n"
    )
    parts = parts_of(text, "macro", "fred")
    found = [
        (row["date"], row["available_date"], row["value"], row["series"]) for part in parts for row in rows_of(part)
    ]
    assert found == [
        ("2023-10-01", "2024-03-28", 27956.9, "GDP"),
        ("2023-10-01", "2024-04-25", 27957.0, "GDP"),
        ("2024-01-01", "2024-04-25", 28284.5, "GDP"),
        ("2024-01-01", "2024-05-30", 28255.9, "GDP"),
    ]


def test_the_day_of_the_download_is_no_release_date() -> None:
    text = (
        "realtime_start,realtime_end,date,value\n"
        "2024-06-01,2024-06-01,2024-01-01,3.7\n2024-06-01,2024-06-01,2024-02-01,3.9\n"
    )
    (part,) = parts_of(text, "macro", "fred", series="UNRATE")
    assert [row["available_date"] for row in rows_of(part)] == ["2024-02-11", "2024-03-11"]
    assert "no release date" in said(part)


def test_fred_a_monthly_mean_of_a_daily_series_is_not_known_before_the_month_is_over() -> None:
    (part,) = parts_of("observation_date,DGS10\n2024-01-01,4.06\n2024-02-01,4.21\n2024-03-01,4.21\n", "macro", "fred")
    assert [row["available_date"] for row in rows_of(part)] == ["2024-02-02", "2024-03-04", "2024-04-02"]


def test_a_lag_of_the_configuration_goes_before_the_presets() -> None:
    (part,) = parts_of("observation_date,DGS10\n2024-01-05,4.06\n", "macro", "fred", lag_days=3)
    assert rows_of(part)[0]["available_date"] == "2024-01-08"
    (part,) = parts_of("series,date,value\nDGS10,2024-01-05,4.06\n", "macro", None, lag_days=1)
    assert rows_of(part)[0]["available_date"] == "2024-01-06"


@pytest.mark.parametrize("name", ["DGS10.csv", "fred_dgs10.csv", "DGS10 (1).csv.gz", "rates-DGS10-daily.csv"])
def test_the_series_of_a_column_called_value_is_in_the_files_name(name: str) -> None:
    (part,) = parts_of("DATE,VALUE\n2024-01-05,4.06\n", "macro", "fred", name)
    assert [(row["series"], row["value"]) for row in rows_of(part)] == [("DGS10", 4.06)]
    assert "from the file's name" in said(part)


def test_a_preset_that_knows_no_lag_of_a_series_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    path.write_text('title = "x"\nsource = "y"\n[macro]\nlags = { A = { days = 1 } }\nnames.date = ["Day"]\n')
    source = TableSource(path="x.csv", preset=str(path))
    frame, levels = cells_of("Day,series,value\n2024-01-05,A,1\n2024-01-05,B,1\n")
    problems: list[Problem] = []
    assert not arranged(frame, levels, "macro", preset_of(str(path), "macro", tmp_path), source, path, problems)
    assert "of the series B" in problems[0].what
    assert "lag_days = 30" in problems[0].remedy


def test_values_without_a_series_are_refused_with_the_remedy() -> None:
    (problem,) = refused("DATE,CLOSE\n2024-01-05,4\n", "macro", "investing")
    assert 'preset = "cboe"' in problem.remedy
    (problem,) = refused('"Date","Price"\n"01/25/2024","4"\n', "macro", "investing")
    assert 'series = "DGS10"' in problem.remedy


def test_a_preset_is_named_where_the_files_columns_are_anothers() -> None:
    (problem,) = refused("Date,Close/Last,Volume,Open,High,Low\n03/08/2024,$1,2,$1,$1,$1\n", "prices", "alpha_vantage")
    assert 'preset = "nasdaq"' in problem.remedy
    assert "'timestamp'" in problem.what


@pytest.mark.parametrize(
    ("text", "table", "preset"),
    [
        ("Date,Close/Last,Volume,Open,High,Low\n03/08/2024,$1,2,$1,$1,$1\n", "prices", "nasdaq"),
        ("observation_date,DGS10\n2024-01-05,4.06\n", "macro", "fred"),
        ("series,date,value\nDGS10,2024-01-05,4.06\n", "macro", "fred"),
        ("headline,publisher,date,stock\nfine,Zacks,2024-01-05,ACME\n", "sentiment", "kaggle_news"),
    ],
)
def test_a_file_without_a_preset_is_refused_with_the_one_that_reads_it(text: str, table: str, preset: str) -> None:
    (problem,) = refused(text, table, None)
    assert f'preset = "{preset}"' in problem.remedy
    assert parts_of(text, table, preset, symbol="ACME")


def test_a_column_that_the_configuration_names_goes_before_the_preset() -> None:
    text = "Date,Open,High,Low,Close,Raw,Volume\n2024-03-06,10,11,9,10.5,10.7,1000\n"
    (part,) = parts_of(text, "prices", "yfinance", symbol="ACME", columns={"close": "raw"})
    assert rows_of(part)[0]["close"] == 10.7
    assert part.attrs[FILE_NAMES]["close"] == "Raw"
    (problem,) = refused(text, "prices", "yfinance", symbol="ACME", columns={"close": "Row"})
    assert "Did you mean" in problem.remedy


def test_scale_missing_and_folder() -> None:
    text = "Date,Open,High,Low,Close,Volume\n2024-03-06,1000,1100,900,1050,1000\n2024-03-07,-,-,-,-,0\n"
    (part,) = parts_of(text, "prices", "yfinance", symbol="ACME", scale=0.01, missing=("-",))
    first, second = rows_of(part)
    assert first == bar("2024-03-06", 10, 11, 9, 10.5, 1000)
    assert second["close"] == ""
    (part,) = parts_of(text, "prices", "yfinance", symbol="ACME", scale={"Close": 0.1}, missing=("-",))
    assert [row["close"] for row in rows_of(part)] == [105.0, ""]
    (problem,) = refused(text, "prices", "yfinance", symbol="ACME", scale={"Clos": 0.1})
    assert "Did you mean 'Close'?" in problem.remedy


def test_numbers_of_days_and_epochs_are_days() -> None:
    header = "symbol,date,open,high,low,close,volume\n"
    for written in ("20240306", "1709683200", "1709683200000", "1709701200", "1709683200000000000"):
        (part,) = parts_of(f"{header}ACME,{written},10,11,9,10.5,1000\n", "prices", None)
        assert rows_of(part)[0]["date"] == "2024-03-06", written
    frame = pd.DataFrame({"symbol": ["ACME"], "date": [1709683200000]})
    (part,) = parts_of(frame, "prices", None)
    assert rows_of(part)[0]["date"] == "2024-03-06"
