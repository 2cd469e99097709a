"""Stooq, Yahoo, Investing.com, Cboe, ALFRED, EDGAR, Kaggle's collections, the specification's files: cell by cell."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from finnex.data.arrange import FILE_NAMES, IGNORED
from finnex.data.json_tables import frame_of, read_json
from finnex.errors import InputError
from tests.helpers.vendor_files import bar, parts_of, refused, rows_of, said

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


def test_values_without_a_series_are_refused_with_the_remedy() -> None:
    (problem,) = refused("DATE,CLOSE\n2024-01-05,4\n", "macro", "investing")
    assert 'preset = "cboe"' in problem.remedy
    (problem,) = refused('"Date","Price"\n"01/25/2024","4"\n', "macro", "investing")
    assert 'series = "DGS10"' in problem.remedy


FACTS = """
start,end,val,accn,fy,fp,form,filed,frame
2023-01-01,2023-03-31,100,a-1,2023,Q1,10-Q,2023-05-01,CY2023Q1
2023-01-01,2023-03-31,100,a-1,2023,Q1,10-Q,2023-05-01,
2023-01-01,2023-03-31,101,a-5,2024,Q1,10-Q,2024-05-01,
2023-01-01,2023-05-30,7,a-2,2023,Q2,10-QT,2023-06-01,
"""


def test_edgar_rows_of_one_tag() -> None:
    (part,) = parts_of(FACTS, "fundamentals", "edgar", "companyfacts_Revenues.csv", symbol="ACME")
    common = {"period_start": "2023-01-01", "period_end": "2023-03-31", "symbol": "ACME", "metric": "Revenues"}
    assert rows_of(part) == [
        {**common, "available_date": "2023-05-01", "value": 100.0, "origin": "sec"},
        {**common, "available_date": "2024-05-01", "value": 101.0, "origin": "sec"},
    ]
    assert "repeat a fact" in said(part)
    assert "no quarter" in said(part)


def fact(val: float, **others: str) -> dict[str, object]:
    return {"start": "2023-01-01", "end": "2023-03-31", "val": val, "filed": "2023-05-01", "form": "10-Q", **others}


def test_edgar_document_of_companyfacts() -> None:
    both = {"Revenues": 100, "RevenueFromContractWithCustomerExcludingAssessedTax": 90, "Goodwill": 1}
    document = {
        "cik": 99999,
        "entityName": "ACME CORP",
        "facts": {
            "us-gaap": {
                **{tag: {"label": tag, "units": {"USD": [fact(value)]}} for tag, value in both.items()},
                "Assets": {"units": {"USD": [{"end": "2023-03-31", "val": 500, "filed": "2023-05-01"}]}},
            },
            "dei": {
                "EntityCommonStockSharesOutstanding": {
                    "units": {"shares": [{"end": "2023-04-20", "val": 40, "filed": "2023-05-01"}]}
                }
            },
        },
    }
    (part,) = parts_of(frame_of(document), "fundamentals", "edgar", "CIK0000099999.json", symbol="ACME")
    found = [
        (row["metric"], row["value"], row["period_start"], row["period_end"], row["currency"]) for row in rows_of(part)
    ]
    assert found == [
        ("Revenues", 100.0, "2023-01-01", "2023-03-31", "USD"),
        ("Assets", 500.0, "", "2023-03-31", "USD"),
        ("EntityCommonStockSharesOutstanding", 40.0, "", "2023-04-20", "shares"),
    ]
    assert "a second tag" in said(part)


def test_edgar_document_of_companyconcept() -> None:
    document = {
        "cik": 99999,
        "taxonomy": "us-gaap",
        "tag": "GrossProfit",
        "units": {"USD": [fact(60), fact(61, filed="2023-06-01")]},
    }
    (part,) = parts_of(frame_of(document), "fundamentals", "edgar", symbol="ACME")
    assert [(row["metric"], row["value"], row["available_date"]) for row in rows_of(part)] == [
        ("GrossProfit", 60.0, "2023-05-01"),
        ("GrossProfit", 61.0, "2023-06-01"),
    ]


def test_json_of_alpha_vantage_and_of_fred_is_read_as_their_csv() -> None:
    bars = {"2024-03-08": {"1. open": "21", "2. high": "22", "3. low": "20", "4. close": "21.5", "5. volume": "400"}}
    document = {"Meta Data": {"1. Information": "Daily", "2. Symbol": "ACME"}, "Time Series (Daily)": bars}
    (part,) = parts_of(frame_of(document), "prices", "alpha_vantage")
    assert rows_of(part) == [bar("2024-03-08", 21, 22, 20, 21.5, 400)]
    known = {"realtime_start": "2024-02-02", "realtime_end": "9999-12-31", "date": "2024-01-01", "value": "3.7"}
    (part,) = parts_of(frame_of({"count": 1, "observations": [known]}), "macro", "fred", series="UNRATE")
    assert [(row["series"], row["value"], row["available_date"]) for row in rows_of(part)] == [
        ("UNRATE", 3.7, "2024-02-02")
    ]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Note": "Thank you for using us! 25 requests a day."}, "the source answered: Thank you"),
        ([1, 2], "not every entry"),
        ("text", "neither an object nor a list"),
        ({"a": 1, "b": 2}, "none of its keys"),
        ([{"a": {"b": 1}}], "holds a list or an object"),
    ],
)
def test_json_that_is_no_table_says_what_it_is(document: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        frame_of(document)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b'{"facts": ', "is no JSON"), (b"\xff", "is no JSON"), (b"[" * 100_000, "nested too deep"), (b"3", "no table")],
)
def test_a_file_that_is_no_json_is_refused_with_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_json(tmp_path / "facts.json")
    assert caught.value.problems[0].file == str(tmp_path / "facts.json")


def test_a_json_file_compressed_or_not_is_read(tmp_path: Path) -> None:
    content = b'{"tag": "Assets", "units": {"USD": [{"end": "2023-03-31", "val": 500, "filed": "2023-05-01"}]}}'
    for name, data in (("a.json", content), ("a.json.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(data)
        assert read_json(tmp_path / name)[["tag", "val", "start"]].to_numpy().tolist() == [["Assets", "500", ""]]


NEWS = """
,headline,url,publisher,date,stock
0,"Acme beats, again",https://a.example/1,Benzinga,2020-06-05 10:30:54-04:00,ACME
1,Nothing of note,https://a.example/2,Benzinga,2020-06-05 10:30:54-04:00,
2,Acme at midnight,https://a.example/3,Zacks,2020-05-22 00:00:00,ACME
"""


def test_kaggle_news() -> None:
    (part,) = parts_of(NEWS, "sentiment", "kaggle_news")
    assert rows_of(part) == [
        {
            "symbol": "ACME", "timestamp": "2020-06-05 10:30:54-04:00", "text": "Acme beats, again",
            "provider": "Benzinga", "source": "news",
        },
        {
            "symbol": "ACME", "timestamp": "2020-05-22 00:00:00", "text": "Acme at midnight",
            "provider": "Zacks", "source": "news",
        },
    ]  # fmt: skip
    assert list(part.index) == [0, 2]
    assert "a row without 'stock' is left out" in said(part)


TWEETS = {
    "Date,Tweet,Stock Name,Company Name\n"
    "2022-09-29 23:41:16+00:00,to the moon,ACME,Acme Corp\n": "2022-09-29 23:41:16+00:00",
    "tweet_id,writer,post_date,body,comment_num,retweet_num,like_num,ticker_symbol\n"
    "550441509175443456,someone,1420070457,to the moon,0,0,1,ACME\n": "2015-01-01 00:00:57+00:00",
    "ticker_symbol,created_utc,text\nACME,1420070457.0,to the moon\n": "2015-01-01 00:00:57+00:00",
    "created_at,full_text,symbol\nWed Oct 10 20:19:24 +0000 2018,to the moon,ACME\n": "2018-10-10 20:19:24+00:00",
}


@pytest.mark.parametrize(("text", "time"), TWEETS.items())
def test_kaggle_tweets(text: str, time: str) -> None:
    (part,) = parts_of(text, "sentiment", "kaggle_tweets")
    assert rows_of(part) == [{"symbol": "ACME", "timestamp": time, "text": "to the moon", "source": "social"}]


def test_kaggle_reddit_counts_votes_as_engagement() -> None:
    text = (
        "title,score,id,url,comms_num,created,body,timestamp\n"
        "To the moon,3072,l6,https://r,4,1611862661.0,,2021-01-28 21:37:41\n"
    )
    (part,) = parts_of(text, "sentiment", "kaggle_reddit", symbol="ACME")
    assert rows_of(part) == [
        {
            "timestamp": "2021-01-28 19:37:41+00:00", "text": "To the moon", "engagement": 3072.0,
            "source": "social", "provider": "reddit", "symbol": "ACME",
        }
    ]  # fmt: skip


def test_the_specifications_records() -> None:
    text = (
        "timestamp,platform,source,sentiment_score,confidence,engagement_score,text\n"
        "2024-01-02T10:00:00Z,Seeking Alpha,jdoe,-0.25,0.8,12,fine\n"
    )
    (part,) = parts_of(text, "sentiment", "specification", symbol="ACME")
    (row,) = rows_of(part)
    assert (row["source"], row["provider"], row["score"], row["engagement"]) == ("news", "seeking_alpha", -0.25, 12.0)
    problems = refused(text.replace("Seeking Alpha", "Redit"), "sentiment", "specification", symbol="ACME")
    assert [(one.row, one.column, one.value) for one in problems] == [(2, "source", "'Redit'")]
    assert "Did you mean 'reddit'?" in problems[0].remedy


def test_the_specifications_competitive_file_is_dated_by_its_name() -> None:
    text = "Symbol,Company Name,Sector,market_cap\nTSLA,Tesla,Auto,8e11\n"
    name = "openbb_tesla_competitive_analysis_20240102_002300.csv"
    (part,) = parts_of(text, "competitive", "specification", name, symbol="TSLA")
    assert rows_of(part) == [{"peer": "TSLA", "symbol": "TSLA", "date": "2024-01-02", "market_cap": 8e11}]


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
