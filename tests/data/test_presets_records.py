"""EDGAR, JSON documents, Kaggle's collections, the specification's files: cell by cell."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from finnex.data.json_tables import frame_of, read_json
from finnex.data.names import TAXONOMIES
from finnex.errors import InputError
from tests.helpers.vendor_files import bar, parts_of, refused, rows_of, said

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


def test_a_tag_with_its_taxonomy_is_that_tag() -> None:
    tagged = FACTS.replace("\n2023", "\nRevenues,2023").replace("\nstart", "\ntag,start")
    (plain,) = parts_of(tagged, "fundamentals", "edgar", "facts.csv", symbol="ACME")
    for prefix in (*(f"{name}:" for name in TAXONOMIES), "us-gaap_", "us_gaap:", "US-GAAP:", "ifrs_full:"):
        text = tagged.replace("Revenues", f"{prefix}Revenues")
        (found,) = parts_of(text, "fundamentals", "edgar", "facts.csv", symbol="ACME")
        assert rows_of(found) == rows_of(plain)
    assert {row["metric"] for row in rows_of(plain)} == {"Revenues"}


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


def test_edgar_rows_with_typed_dates_keep_one_tag_of_a_balance() -> None:
    days = {"start": [pd.NaT] * 2, "end": ["2023-03-31"] * 2, "filed": ["2023-05-01"] * 2}
    frame = pd.DataFrame({name: pd.to_datetime(values) for name, values in days.items()})
    tags = ["EntityCommonStockSharesOutstanding", "CommonStockSharesOutstanding"]
    (part,) = parts_of(frame.assign(tag=tags, val=[41.0, 40.0], form="10-Q"), "fundamentals", "edgar", symbol="ACME")
    assert [(row["metric"], row["value"]) for row in rows_of(part)] == [("CommonStockSharesOutstanding", 40.0)]
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
