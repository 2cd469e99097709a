"""Files as somebody else has them come out as our tables, or are refused in the file's own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.config import Config, parse_config, source_at
from finnex.data.enhanced_file import generated_entries, symbol_of_file
from finnex.data.panel import make_panel
from finnex.data.tables import Tables, read_tables
from finnex.data.written_times import in_utc
from finnex.errors import ConfigError, InputError
from finnex.layout import parse_catalogue
from finnex.pipeline import read_run

BARS = "Date,Open,High,Low,Close,Volume,My Factor\n2024-01-02,10,11,9,10.5,1000,1.5\n2024-01-03,10.5,12,10,11,1200,\n"
RECORD_HEADER = "timestamp,platform,source,sentiment_score,confidence,engagement_score,text\n"
RECORDS = RECORD_HEADER + (
    "2024-01-02T10:00:00Z,Reddit,r/stocks,0.5,0.9,120,to the moon\n"
    "2024-01-02T15:30:00-05:00,Seeking Alpha,jdoe,-0.25,0.8,,an analysis\n"
)
COMPANIES = "Symbol,Company Name,Sector,market_cap,pe_ratio\nTSLA,Tesla,Auto,8e11,70.1\nF,Ford,Auto,4e10,\n"
NAMES = {
    "enhanced": "enhanced.csv",
    "sentiment": "records.csv",
    "competitive": "openbb_tesla_competitive_analysis_20240102_002300.csv",
}
Given = Callable[..., Config]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """Return a maker of configurations over files given as text."""

    def make(
        files: dict[str, str],
        *,
        preset: str | None = "specification",
        symbols: tuple[str, ...] = ("TSLA",),
        **inputs: Any,
    ) -> Config:
        paths = {}
        for table, text in files.items():
            (tmp_path / NAMES.get(table, f"{table}.csv")).write_text(text, encoding="utf-8")
            paths[table] = NAMES.get(table, f"{table}.csv")
        document = {
            "inputs": paths | inputs | ({"preset": preset} if preset else {}),
            "symbols": symbols,
            "store": {"path": "images.zarr"},
        }
        return parse_config(document, tmp_path / "finnex.toml")

    return make


def refusal(config: Config) -> str:
    with pytest.raises(InputError) as caught:
        read_tables(config)
    return str(caught.value)


def test_the_authors_three_files_become_our_tables(given: Given) -> None:
    tables: Tables = read_tables(given({"enhanced": BARS, "sentiment": RECORDS, "competitive": COMPANIES}))
    assert tables.prices.columns.tolist() == ["symbol", "date", "open", "high", "low", "close", "volume"]
    assert tables.prices["close"].tolist() == [10.5, 11.0]
    assert tables.enhanced is not None
    assert tables.enhanced.columns.tolist() == ["symbol", "date", "My Factor"]
    assert set(tables.enhanced["symbol"]) == {"TSLA"}
    records = tables.sentiment
    assert records is not None
    assert records["source"].tolist() == ["social", "news"]
    assert records["provider"].tolist() == ["reddit", "seeking_alpha"]
    assert records["score"].tolist() == [0.5, -0.25]
    assert records["confidence"].tolist() == [0.9, 0.8]
    assert records["engagement"].tolist() == [120, 0]
    assert records["timestamp"].astype(str).tolist() == ["2024-01-02 10:00:00", "2024-01-02 20:30:00"]
    companies = tables.competitive
    assert companies is not None
    assert companies.columns.tolist() == ["symbol", "date", "peer", "market_cap", "pe_ratio"]
    assert companies[["symbol", "peer"]].to_numpy().tolist() == [["TSLA", "F"], ["TSLA", "TSLA"]]
    assert set(companies["date"].astype(str)) == {"2024-01-02"}


def test_a_table_of_prices_wins_over_the_bars_of_the_enhanced_file(given: Given) -> None:
    prices = "symbol,date,open,high,low,close,volume\nTSLA,2024-01-02,20,21,19,20.5,5\n"
    tables = read_tables(given({"enhanced": BARS, "prices": prices}))
    assert tables.prices["close"].tolist() == [20.5]
    assert tables.enhanced is not None
    assert tables.enhanced.columns.tolist() == ["symbol", "date", "My Factor"]


def test_bars_of_an_enhanced_file_are_checked_as_prices_are_and_named_as_the_file_has_them(given: Given) -> None:
    told = refusal(given({"enhanced": BARS.replace("10.5,12,10,11", "10.5,9,10,11").replace("10.5,1000", "n/a,1000")}))
    assert "row 2, column 'Close': is not a finite number (value: 'n/a')" in told
    assert "row 3, column 'High': high is below low" in told


def test_a_configuration_without_prices_is_refused(given: Given) -> None:
    with pytest.raises(ConfigError, match="there are no prices; name a prices table"):
        given({"sentiment": RECORDS})
    told = refusal(given({"enhanced": "Date,My Factor\n2024-01-02,1\n"}))
    assert "column 'open': the column is missing" in told


def test_an_unknown_platform_is_refused_with_the_nearest(given: Given) -> None:
    told = refusal(given({"enhanced": BARS, "sentiment": RECORDS.replace("Reddit", "Redit")}))
    assert told.count("\n") == 0
    assert (
        "row 2, column 'platform': is no platform that the preset knows (value: 'Redit'). Did you mean 'reddit'?"
        in told
    )


def test_without_the_preset_the_authors_names_are_refused_but_for_their_capitals(given: Given) -> None:
    told = refusal(given({"enhanced": BARS, "sentiment": RECORDS}, preset=None))
    assert "records.csv, column 'symbol': the column is missing" in told
    assert "column 'date'" not in told


def test_columns_of_ones_own_need_no_preset_and_go_before_it(given: Given) -> None:
    text = "ticker,when,kind,tone\nTSLA,2024-01-02T10:00:00Z,news,0.5\n"
    columns = {"sentiment": {"symbol": "ticker", "timestamp": "when", "source": "kind", "score": "tone"}}
    prices = {"prices": "symbol,date,open,high,low,close,volume\nTSLA,2024-01-02,20,21,19,20.5,5\n"}
    plain = read_tables(given(prices | {"sentiment": text}, preset=None, columns=columns)).sentiment
    assert plain is not None
    assert plain[["symbol", "source", "score"]].to_numpy().tolist() == [["TSLA", "news", 0.5]]
    finer = given({"enhanced": BARS, "sentiment": RECORDS}, columns={"sentiment": {"provider": "source"}})
    records = read_tables(finer).sentiment
    assert records is not None
    assert records["provider"].tolist() == ["r/stocks", "jdoe"]
    wrong = given({"enhanced": BARS, "sentiment": RECORDS}, columns={"sentiment": {"score": "sentiment_scor"}})
    assert "column 'sentiment_scor': [inputs.columns] reads 'score' from it" in refusal(wrong)
    assert "Did you mean 'sentiment_score'?" in refusal(wrong)


def test_a_score_outside_its_range_is_told_under_the_files_own_name(given: Given) -> None:
    told = refusal(given({"enhanced": BARS, "sentiment": RECORDS.replace("-0.25", "-2.5")}))
    assert "row 3, column 'sentiment_score': a score lies outside [-1, 1] (value: -2.5)" in told


def test_a_file_without_a_symbol_belongs_to_the_one_configured_symbol_only(given: Given) -> None:
    told = refusal(given({"enhanced": BARS}, symbols=("TSLA", "F")))
    assert "column 'symbol': the column is missing" in told


def test_a_stamp_without_a_zone_is_refused_until_its_zone_is_declared(given: Given) -> None:
    naive = RECORDS.replace("10:00:00Z", "10:00:00")
    assert "has no time zone" in refusal(given({"enhanced": BARS, "sentiment": naive}))
    records = read_tables(given({"enhanced": BARS, "sentiment": naive}, timestamp_zone="America/New_York")).sentiment
    assert records is not None
    assert records["timestamp"].astype(str).tolist() == ["2024-01-02 15:00:00", "2024-01-02 20:30:00"]
    with pytest.raises(ConfigError, match=r"timestamp_zone 'America/NewYork' is unknown.*America/New_York"):
        given({"enhanced": BARS}, timestamp_zone="America/NewYork")


def test_a_doubtful_local_time_is_never_dated_too_early() -> None:
    local = pd.to_datetime(pd.Series(["2024-11-03 01:30:00", "2024-03-10 02:30:00", "2024-07-01 09:30:00"]))
    assert in_utc(local, "America/New_York").astype(str).tolist() == [
        "2024-11-03 06:30:00",
        "2024-03-10 07:00:00",
        "2024-07-01 13:30:00",
    ]


@pytest.mark.parametrize("stamp", ["2024-01-02 00:00:00-05:00", "2024-01-02T00:00:00", "2024-01-02 00:00:00+00:00"])
def test_midnight_of_any_zone_is_its_date(stamp: str, given: Given) -> None:
    tables = read_tables(given({"enhanced": BARS.replace("2024-01-02", stamp)}))
    assert tables.prices["date"].astype(str).tolist() == ["2024-01-02", "2024-01-03"]


def test_a_competitive_file_that_does_not_say_when_is_refused(given: Given, tmp_path: Path) -> None:
    config = given({"enhanced": BARS, "competitive": COMPANIES})
    bare = tmp_path / "competitive.csv"
    bare.write_text(COMPANIES, encoding="utf-8")
    told = refusal(
        config.model_copy(update={"inputs": config.inputs.model_copy(update={"competitive": source_at(bare)})})
    )
    assert "competitive.csv, column 'date': the column is missing" in told


def test_an_enhanced_files_columns_stay_refused_unless_asked_for(
    sample_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = sample_config()
    (tmp_path / "enhanced.csv").write_text("symbol,date,rsi_41\nNVDA,2015-03-02,50\n", encoding="utf-8")
    inputs = config.inputs.model_copy(update={"enhanced": source_at(tmp_path / "enhanced.csv")})
    run = read_run(config.model_copy(update={"inputs": inputs}))
    assert run.tables.enhanced is not None
    with pytest.raises(InputError, match=r"column 'rsi_41': the catalogue has no feature of this name.*rsi_14"):
        make_panel(run.tables, run.config, "NVDA", run.layout.catalogue.entries)


def test_generated_entries_fill_heat_maps_in_order_and_are_a_catalogue() -> None:
    header = "region,name,table,unit,normalizer,low,high,window_sessions,max_age_sessions,orientation,source,meaning"
    rows = generated_entries(["a, b", "c", "d"], {"market": 2, "technical": 5}, header.split(","))
    entries = parse_catalogue(f"{header}\n{rows}").entries
    assert [(entry.name, entry.region) for entry in entries] == [
        ("a, b", "market"),
        ("c", "market"),
        ("d", "technical"),
    ]
    assert {(entry.table, entry.normalizer, entry.window_sessions) for entry in entries} == {
        ("enhanced", "zscore", 252)
    }
    with pytest.raises(ConfigError, match="market have 2 rows left for 3 columns"):
        generated_entries(["a", "b", "c"], {"market": 2}, header.split(","))


def test_whose_an_enhanced_file_is_stands_in_it_or_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "tesla_mega_dataset.csv"
    path.write_text(BARS)
    assert symbol_of_file(path) == "TESLA"
    path.write_text("Ticker,Date\nTSLA,2024-01-02\nTSLA,2024-01-03\n")
    assert symbol_of_file(path) == "TSLA"
    path.write_text("Ticker,Date\nTSLA,2024-01-02\nF,2024-01-03\n")
    with pytest.raises(ConfigError, match=r"several companies \(F, TSLA\). Name one with symbol="):
        symbol_of_file(path)


def test_a_catalogue_that_is_absent_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").touch()
    document = {
        "inputs": {"prices": "prices.csv"},
        "symbols": ["A"],
        "store": {"path": "s"},
        "image": {"catalogue": "my.csv"},
    }
    with pytest.raises(ConfigError, match=r"\[image\] catalogue names .*my.csv, which does not exist"):
        parse_config(document, tmp_path / "finnex.toml")
