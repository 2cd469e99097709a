"""Tables in folders named key=value: each file has the words of its folders, and never its own name for a symbol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.config import parse_config
from finnex.data.tables import Tables, read_tables
from finnex.data.warnings import input_warnings, reading_notes
from finnex.errors import InputError

DAYS = ["2024-03-04", "2024-03-05", "2024-03-06"]
BARS = pd.DataFrame(
    {"date": DAYS, "open": 10.5, "high": 11.5, "low": 10.0, "close": [10.5, 10.25, 11.0], "volume": 1e3}
)
Read = Callable[..., tuple[Tables, list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def make(*, symbols: tuple[str, ...] = ("ACME",), **inputs: Any) -> tuple[Tables, list[str]]:
        document: dict[str, object] = {"inputs": inputs, "symbols": symbols, "store": {"path": "i.zarr"}}
        config = parse_config(document, tmp_path / "finnex.toml")
        tables = read_tables(config)
        return tables, [*reading_notes(tables, config), *input_warnings(tables, config)]

    return make


def put(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, engine="pyarrow", index=False)


@pytest.mark.parametrize("end", ["part-0.parquet", "part-0.csv"])
@pytest.mark.parametrize(
    "folder",
    ["symbol={}", "Symbol={}", "ticker={}", "Ticker={}", "symbol={}/date=2024", "year=2024/symbol={}/month=3"],
)
@pytest.mark.parametrize("path", ["prices/", "prices/**/*.*"])
def test_the_symbol_is_that_of_the_folder(path: str, folder: str, end: str, read: Read, tmp_path: Path) -> None:
    for symbol in ("ACME", "BETA"):
        put(tmp_path / "prices" / folder.format(symbol) / end, BARS)
    tables, said = read(prices=path)
    assert tables.prices.groupby("symbol")["close"].apply(list).to_dict() == {
        "ACME": [10.5, 10.25, 11.0],
        "BETA": [10.5, 10.25, 11.0],
    }
    assert any("and 1 more is read with symbol as its folder's name says" in one for one in said)
    assert "not read" not in "".join(said)


def test_what_pandas_writes_in_parts_is_read_and_hidden_files_are_not(read: Read, tmp_path: Path) -> None:
    whole = pd.concat([BARS.assign(symbol=symbol, year=2024) for symbol in ("ACME", "BRK/B")])
    whole.to_parquet(tmp_path / "prices", engine="pyarrow", partition_cols=["symbol", "year"])
    (tmp_path / "prices" / "_SUCCESS").write_text("")
    (tmp_path / "prices" / "symbol=ACME" / ".part.parquet").write_text("still arriving")
    source = {"path": "prices", "symbols_as": {"BRK/B": "BRK.B"}}
    tables, _ = read(symbols=("ACME", "BRK.B"), prices=source)
    assert tables.prices["symbol"].value_counts().to_dict() == {"ACME": 3, "BRK.B": 3}


def test_a_file_for_each_day_takes_its_date_from_the_folder(read: Read, tmp_path: Path) -> None:
    for number, day in enumerate(DAYS):
        row = BARS.iloc[[number]].drop(columns="date").assign(symbol="ACME")
        put(tmp_path / "prices" / f"date={day}" / "part-0.parquet", row)
    tables, _ = read(prices="prices")
    assert tables.prices["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS


def test_a_column_of_the_file_goes_before_its_folder(read: Read, tmp_path: Path) -> None:
    put(tmp_path / "prices" / "symbol=OTHER" / "date=2020" / "p.parquet", BARS.assign(symbol="ACME"))
    tables, said = read(prices="prices")
    assert set(tables.prices["symbol"]) == {"ACME"}
    assert tables.prices["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS
    assert "folder" not in "".join(said)


def test_a_key_that_is_no_column_of_ours_is_read_by_the_line_that_the_refusal_names(read: Read, tmp_path: Path) -> None:
    for symbol in ("ACME", "BETA"):
        put(tmp_path / "prices" / f"stock_id={symbol}" / "part-0.parquet", BARS)
    with pytest.raises(InputError, match=r"column 'symbol': the column is missing.*stock_id.*columns = \{ symbol = "):
        read(prices="prices")
    tables, _ = read(prices={"path": "prices", "columns": {"symbol": "stock_id"}})
    assert set(tables.prices["symbol"]) == {"ACME", "BETA"}


def test_series_sources_and_metrics_may_be_folders(read: Read, tmp_path: Path) -> None:
    put(tmp_path / "prices" / "symbol=ACME" / "p.parquet", BARS)
    value = pd.DataFrame({"date": ["2024-03-04"], "available_date": ["2024-03-05"], "value": [1.0]})
    score = pd.DataFrame({"timestamp": ["2024-03-05T10:00:00Z"], "score": [0.5]})
    filed = pd.DataFrame({"period_end": ["2023-12-31"], "available_date": ["2024-02-01"], "value": [9.0]})
    for series in ("VIX", "DGS10"):
        put(tmp_path / "macro" / f"series={series}" / "p.parquet", value)
    for source in ("news", "social"):
        put(tmp_path / "mood" / f"source={source}" / "symbol=ACME" / "p.parquet", score)
    for metric in ("Revenues", "Assets"):
        put(tmp_path / "filed" / "symbol=ACME" / f"metric={metric}" / "p.parquet", filed)
    tables, _ = read(prices="prices", macro="macro", sentiment="mood", fundamentals="filed")
    assert tables.macro is not None
    assert tables.sentiment is not None
    assert tables.fundamentals is not None
    assert set(tables.macro["series"]) == {"VIX", "DGS10"}
    assert set(tables.sentiment["source"]) == {"news", "social"}
    assert tables.fundamentals[["symbol", "revenue", "total_assets"]].to_numpy().tolist() == [["ACME", 9.0, 9.0]]
