from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finnex.config import SECTOR_ETFS, parse_config
from finnex.data.features import compute, make_context
from finnex.data.features.calendar_events import TABLE_EVENTS
from finnex.data.names import CONCEPTS, EVENTS, METRICS, SERIES, SERIES_ALIASES, unread
from finnex.data.readers import READERS
from finnex.data.remarks import reports
from finnex.data.tables import read_tables
from finnex.data.warnings import input_warnings
from finnex.errors import InputError
from finnex.exam.random_market import random_market, write_market


class Recorder(dict[str, Any]):
    """A mapping that keeps the names it is asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def test_the_names_listed_are_those_that_features_read(tmp_path: Path) -> None:
    market = random_market(300, 0)
    config = write_market(tmp_path, market.tables, market.settings)
    context = make_context(market.tables, config, config.symbols[0])
    recorder = Recorder(context.section.observations)
    priced = frozenset((config.symbols[0], *context.peers))
    with np.errstate(all="ignore"):
        compute(replace(context, section=replace(context.section, observations=recorder, priced=priced)))
    assert recorder.asked - set(SECTOR_ETFS) == set(SERIES)
    assert set(TABLE_EVENTS.values()) == set(EVENTS)


def test_a_name_that_no_feature_reads_is_said_with_the_nearest(tmp_path: Path) -> None:
    market = random_market(300, 1)
    config = write_market(tmp_path, market.tables, market.settings)
    tables = market.tables
    assert tables.macro is not None
    tables = replace(tables, macro=tables.macro[tables.macro["series"] != "CPIAUCSL"])
    assert [one for one in input_warnings(tables, config) if "read by no feature" in one or "no row of" in one] == []
    assert tables.macro is not None
    assert tables.fundamentals is not None
    assert tables.events is not None
    wrong = replace(
        tables,
        macro=pd.concat([tables.macro, tables.macro.iloc[:1].assign(series="DGS100")], ignore_index=True),
        fundamentals=tables.fundamentals.assign(symbol=tables.fundamentals["symbol"] + ".US", revenues=1.0),
        events=tables.events.assign(name="FOMC_MEETING"),
    )
    said = "\n".join(input_warnings(wrong, config))
    assert "macro: the series 'DGS100' (did you mean 'DGS10'?) is read by no feature" in said
    assert "fundamentals: the column 'revenues' (did you mean 'revenue'?) is read by no feature" in said
    assert "events: the name 'FOMC_MEETING'" in said
    assert f"Did you mean '{config.symbols[0]}.US'?" in said


@pytest.mark.parametrize(("alias", "name"), SERIES_ALIASES.items())
def test_freds_own_name_of_a_series_is_read_as_ours(alias: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "macro.csv"
    path.write_text(f"series,date,available_date,value\n{alias},2024-01-02,2024-01-02,13\n")
    assert READERS["macro"](path, [])["series"].tolist() == [name]


def test_nothing_is_said_of_names_that_are_read() -> None:
    assert unread(["VIX", "DGS10"], SERIES) == []
    assert unread(["something else"], SERIES) == ["'something else'"]


def test_the_page_of_inputs_lists_every_name_that_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text()
    listed = page[page.index("## Names that are read") :]
    assert [name for name in (*SERIES, *SERIES_ALIASES, *EVENTS, *METRICS, *CONCEPTS) if name not in listed] == []


PRICES = "symbol,date,open,high,low,close,volume\nACME,2024-03-07,1,1,1,1,1\n"
FILED = (
    "symbol,period_end,available_date,revenue,eps\nACME,2023-12-31,2024-02-01,10,1\nACME,2023-09-30,2023-11-01,9,1\n"
)
LONG = "series,date,available_date,value\nGDPC1,2023-10-01,2024-01-25,100\nVIX,2024-03-06,2024-03-06,13\n"
WIDE = "observation_date,GDPC1,VIXCLS\n2023-10-01,100,13\n"
VINTAGES = "observation_date,GDPC1_20240125,GDPC1_20240228,VIXCLS_20240301\n2023-10-01,100,101,13\n"
EVENTS_FILE = "name,date,announced\nOPEC,2024-03-06,2024-01-02\nFOMC,2024-03-06,2024-01-02\n"
METRICS_FILE = """symbol,period_end,available_date,metric,value
ACME,2023-12-31,2024-02-01,us-gaap:EarningsPerShareBasic,1
ACME,2023-12-31,2024-02-01,us-gaap:Revenues,10
"""
LINE = re.compile(r"ignore = \[[^\]]*\]")


def unread_names(folder: Path, table: str, source: dict[str, object]) -> list[str]:
    """Return what is said of names that no feature reads, of a table next to prices."""
    (folder / "prices.csv").write_text(PRICES)
    document: dict[str, object] = {
        "inputs": {"prices": "prices.csv", table: source}, "symbols": ["ACME"], "store": {"path": "i.zarr"},
    }  # fmt: skip
    config = parse_config(document, folder / "finnex.toml")
    return [one for one in input_warnings(read_tables(config), config) if "read by no feature" in one]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("table", "text", "preset", "kept"),
    [
        ("fundamentals", FILED, None, "revenue"),
        ("fundamentals", METRICS_FILE, None, "revenue"),
        ("macro", LONG, None, "VIX"),
        ("macro", WIDE, "fred", "VIX"),
        ("macro", VINTAGES, "fred", "VIX"),
        ("events", EVENTS_FILE, None, "FOMC"),
    ],
    ids=["metric a column", "metric a row", "series a row", "series a column", "vintages", "event"],
)
def test_the_line_that_a_warning_names_silences_a_right_name_that_no_feature_reads(
    table: str, text: str, preset: str | None, kept: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"given.{kind}"
    path.write_text(text)
    if kind == "parquet":
        pd.read_csv(path).to_parquet(path, engine="pyarrow")
    source: dict[str, object] = {"path": path.name} | ({"preset": preset} if preset else {})
    (warned,) = unread_names(tmp_path, table, source)
    assert "Correct" not in warned
    line = LINE.search(warned)
    assert line is not None
    ignore = tomllib.loads(line[0])["ignore"]
    assert unread_names(tmp_path, table, source | {"ignore": [ignore[0].lower()]}) == []
    document: dict[str, object] = {
        "inputs": {"prices": "prices.csv", table: source | {"ignore": ignore}}, "symbols": ["ACME"],
        "store": {"path": "i.zarr"},
    }  # fmt: skip
    frame = getattr(read_tables(parse_config(document, tmp_path / "finnex.toml")), table)
    left = {*frame.columns, *frame.get("series", ()), *frame.get("name", ())}
    assert kept in left
    assert ignore[0] not in left
    assert any(name.endswith(ignore[0]) for one in reports(frame) for name in one.ignored)


def test_bad_cells_of_a_series_that_is_ignored_are_not_checked(tmp_path: Path) -> None:
    (tmp_path / "macro.csv").write_text(LONG.replace(",100", ",many"))
    with pytest.raises(InputError, match="is not a finite number"):
        unread_names(tmp_path, "macro", {"path": "macro.csv"})
    assert unread_names(tmp_path, "macro", {"path": "macro.csv", "ignore": ["GDPC1"]}) == []


def test_a_table_of_ignored_series_alone_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "macro.csv").write_text(LONG)
    assert unread_names(tmp_path, "macro", {"path": "macro.csv", "ignore": ["GDPC1", "VIX"]}) == []


def test_the_line_that_silences_names_has_those_that_the_message_shows_and_counts_the_others(tmp_path: Path) -> None:
    rows = [f"THIRTY_LETTERS_AND_THEN_{name}" for name in ("A", "B", "C", "D", "E")]
    (tmp_path / "macro.csv").write_text(
        "series,date,available_date,value\n" + "".join(f"{name},2023-10-01,2024-01-25,1\n" for name in rows)
    )
    (said,) = unread_names(tmp_path, "macro", {"path": "macro.csv"})
    assert f"ignore = {json.dumps(rows[:3])} silences this, and so do the 2 others there." in said
    assert rows[3] not in said
